import io

import numpy as np
import pytest

from edge_agent.runtimes import bare, registry
from protocol.errors import BadRequestError
from tests.data.blend import BLEND, a_variant

torch = pytest.importorskip("torch", reason="torch is not in this environment")

BATCH = torch.export.Dim("batch", min=1, max=16)


def packed(module, *examples, dynamic=True):
    shapes = tuple({0: BATCH} for _ in examples) if dynamic else None
    program = torch.export.export(module.eval(), examples, dynamic_shapes=shapes)
    made = io.BytesIO()
    torch.export.save(program, made)
    return made.getvalue()


class Counting(torch.nn.Module):
    """Changes a buffer of its own on every call: its graph is not a plain one."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x):
        self.calls += 1
        return x * 2, x + self.calls


class Doubling(torch.nn.Module):
    def forward(self, x):
        return x * 2


def served(data):
    found = bare.read("model.pt2", data)
    return found, registry.load(found.variant, data, 1, found.task)


def test_a_program_that_changes_its_buffers_is_run_all_the_same():
    found, runtime = served(packed(Counting(), torch.ones(2, 3)))
    assert [axes.name for axes in found.task.outputs] == ["output_0", "output_1"]
    for call in (1, 2):
        outputs = runtime.infer({"x": np.ones((4, 3), np.float32)})
        np.testing.assert_array_equal(outputs["output_0"], np.full((4, 3), 2))
        np.testing.assert_array_equal(outputs["output_1"], np.full((4, 3), 1 + call))


def test_the_signature_is_read_from_the_file():
    found, runtime = served(packed(Doubling(), torch.ones(2, 3, dtype=torch.int64)))
    assert found.task.inputs[0].shape == (-1, 3)
    assert found.task.inputs[0].datatype == "INT64"
    assert found.variant.batches == ()
    assert found.variant.max_batch == 16
    assert runtime.infer({"x": np.ones((40, 3), np.int64)})["output_0"].sum() == 240


def test_a_fixed_first_dimension_is_the_only_batch():
    found, runtime = served(packed(Doubling(), torch.ones(2, 3), dynamic=False))
    assert found.task.inputs[0].shape == (-1, 3)
    assert found.variant.batches == (2,)
    assert runtime.infer({"x": np.ones((5, 3), np.float32)})["output_0"].shape == (5, 3)


def test_bytes_that_are_no_program_are_a_bad_request():
    with pytest.raises(BadRequestError):
        bare.read("model.pt2", b"PK\x03\x04 not really")


@pytest.mark.gpu
def test_it_runs_on_the_card_where_there_is_one():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    data = packed(Doubling(), torch.ones(2, 3))
    variant = a_variant(
        BLEND, "pt2", data,
        inputs={"x": {"name": "x", "datatype": "FP32"}},
        outputs={"y": {"name": "output_0", "datatype": "FP32"}},
    )  # fmt: skip
    runtime = registry.load(variant, data, 1)
    before = torch.cuda.memory_allocated()
    outputs = runtime.infer({"x": np.ones((3, 3), np.float32)})
    np.testing.assert_array_equal(outputs["y"], np.full((3, 3), 2))
    assert torch.cuda.max_memory_allocated() > before
