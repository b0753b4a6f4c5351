"""Which int8 candidate is kept, how far golden outputs may be off, which runtimes are listed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloud_core.builder.exported import Exported
from cloud_core.builder.measure import Bench, closest, distance, drafted, tolerance
from cloud_core.builder.process import ROOT
from cloud_core.builder.recipe import Validation, top1
from edge_agent.bundles.store import Store
from protocol.errors import ExecutionError

DEMO = ROOT / "deploy" / "demo"
SOURCE = "mlp-tiny.tflite-fp32"


@pytest.mark.parametrize(
    ("distances", "kept"),
    [
        ({"static": 0.01, "dynamic": 0.001}, "static"),
        ({"static": 0.2, "dynamic": 0.1}, "dynamic"),
        ({"static": 0.1, "dynamic": 0.2}, "static"),
        ({"dynamic": 0.3}, "dynamic"),
    ],
)
def test_the_first_that_is_close_enough_is_kept_else_the_closest(distances, kept):
    assert closest(distances) == kept


def test_distance_is_relative_and_the_farthest_output_counts():
    reference = {"a": np.full(4, 100.0), "b": np.ones(4)}
    outputs = {"a": np.full(4, 101.0), "b": np.full(4, 1.5)}
    assert distance(outputs, reference) == pytest.approx(0.5)


def test_int8_may_be_off_by_a_share_of_its_spread_and_fp32_by_little():
    golden = {"scores": np.array([[-10.0, 10.0]])}
    assert tolerance("fp32", golden) == pytest.approx(0.02)
    assert tolerance("int8", golden) == pytest.approx(0.6)
    assert tolerance("fp32", {"vector": np.array([[-0.1, 0.1]])}) == 1e-3


@pytest.fixture(scope="module")
def held():
    return Store.open([DEMO]).held[SOURCE]


@pytest.fixture(scope="module")
def bench(held):
    """Judges by the file's own answers to random scans: no training data is needed here."""
    images = np.random.default_rng(0).uniform(0, 16, (64, 8, 8)).astype(np.float32)
    rows = {"image": images}
    unjudged = Validation(inputs=rows, quality=lambda _: 1.0, calibration=rows)
    one = Bench(held.task, unjudged, Path(sys.executable), budget_s=0.01)
    answers = one.measured(held.variant, held.folder / held.variant.file).outputs["held-out"]
    judge = top1("scores", answers["scores"].argmax(1))
    return replace(one, validation=replace(unjudged, quality=judge))


def exported(held, path):
    variant = held.variant
    return Exported(path, "tflite", variant.inputs, variant.outputs, variant.batches)


def draft(held, path, precision="fp32"):
    return drafted(exported(held, path), architecture="m", precision=precision, max_batch=32)


def test_a_file_is_measured_by_the_runtime_that_runs_it(held, bench):
    path = held.folder / held.variant.file
    variant = replace(bench, budget_s=0.05).measured(draft(held, path), path).variant
    assert variant.accuracy == 1.0
    assert [pin.name for pin in variant.runtimes] == ["ai_edge_litert"]
    assert set(variant.profile.runs) == {1, 8, 32}
    assert variant.profile.load_ms > 0
    assert not variant.profile.measured  # on this node, that is: it is a reference


def test_measuring_leaves_nothing_beside_the_file(held, bench):
    before = sorted(held.folder.iterdir())
    path = held.folder / held.variant.file
    bench.measured(draft(held, path), path)
    assert sorted(held.folder.iterdir()) == before


def test_a_file_that_is_none_is_refused_with_the_runtimes_reason(held, bench, tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"not a model")
    with pytest.raises(ExecutionError, match="does not run"):
        bench.measured(draft(held, path), path)


def test_the_older_runtime_is_listed_where_it_answers_alike(held, bench, tflite_python):
    path = held.folder / held.variant.file
    measured = bench.measured(draft(held, path), path)
    listed = replace(bench, tflite_python=tflite_python).on_tflite(measured)
    assert [pin.name for pin in listed.variant.runtimes] == ["ai_edge_litert", "tflite_runtime"]


@pytest.mark.build
def test_a_file_that_the_older_runtime_answers_wrongly_is_not_listed(
    held, bench, tflite_python, builder_python, tmp_path
):
    code = (
        "import sys; from pathlib import Path; from shutil import copy\n"
        "from cloud_core.builder import quantize\n"
        "from cloud_core.builder.exported import Exported\n"
        "path = Path(sys.argv[2]); copy(sys.argv[1], path)\n"
        "quantize.tflite_dynamic(Exported(path, 'tflite', {}, {}, (1, 8, 32)), {})"
    )
    source, copied = held.folder / held.variant.file, tmp_path / "m.tflite"
    subprocess.run([builder_python, "-c", code, source, copied], cwd=ROOT, check=True)
    path = tmp_path / "m.dynamic.tflite"
    measured = bench.measured(draft(held, path, "int8"), path)
    assert measured.variant.accuracy > 0.9
    with pytest.raises(ExecutionError, match="on tflite_runtime"):
        replace(bench, tflite_python=tflite_python).on_tflite(measured)
