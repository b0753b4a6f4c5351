"""From measured variants to a bundle's folder: manifest, files, golden frames. Signs nothing."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cloud_core.builder.measure import Measured
from edge_agent.runtimes.base import Tensors
from protocol.bundles import MANIFEST, Manifest, Task, Variant
from protocol.codec import Frame, encode
from protocol.errors import DecodeError
from protocol.messages import Answer, Ask, Asks, Replies
from protocol.types import Axes, Tensor

GOLDEN = "golden.frame"
GOLDEN_OUTPUTS = "golden-outputs.frame"
BUILDER = "builder"
"""The node and site that golden answers come from."""


def bundle(
    name: str, task: Task, golden: Tensors, packed: Sequence[Measured], *, out: Path
) -> tuple[Path, Manifest]:
    """Write the bundle below `out` in one step, in place of an older one of its name.

    The version is one more than the older one's.
    """
    folder = out / name
    draft = out / f".{name}.draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    manifest = Manifest(
        bundle=name,
        version=_version(folder) + 1,
        task=task,
        variants=tuple(one.variant for one in packed),
        golden=GOLDEN,
        golden_outputs=GOLDEN_OUTPUTS,
    )
    for one in packed:
        shutil.copyfile(one.path, draft / one.variant.file)
    (draft / GOLDEN).write_bytes(encode(_asked(task, golden, packed[0].variant)))
    (draft / GOLDEN_OUTPUTS).write_bytes(encode(_answered(task, packed)))
    (draft / MANIFEST).write_text(manifest.model_dump_json(indent=1) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder, manifest


def bundle_name(task: str, architecture: str) -> str:
    """What an architecture's bundle is called: a `Name`, whatever the architecture is."""
    return re.sub(r"[^a-z0-9-]+", "-", f"{task}-{architecture}".lower())[:63]


def _version(folder: Path) -> int:
    """The version of the bundle that is there; 0 when there is none."""
    try:
        return Manifest.parse((folder / MANIFEST).read_bytes()).version
    except (FileNotFoundError, DecodeError):
        return 0


def _asked(task: Task, golden: Tensors, variant: Variant) -> Frame:
    inputs, buffers = _tensors(task.inputs, golden)
    ask = Ask(id="golden", variant=variant.id, inputs=inputs, budget_ms=1e6, deadline_ms=1e6)
    return Frame(Asks(items=(ask,)), buffers)


def _answered(task: Task, packed: Sequence[Measured]) -> Frame:
    answers: list[Answer] = []
    buffers: list[bytes] = []
    for one in packed:
        outputs, parts = _tensors(task.outputs, one.golden)
        buffers.extend(parts)
        answers.append(
            Answer(
                id="golden", variant=one.variant.id, architecture=one.variant.architecture,
                node=BUILDER, site=BUILDER, tier="cloud", outputs=outputs, run_ms=0, held_ms=0,
            )
        )  # fmt: skip
    return Frame(Replies(items=tuple(answers)), tuple(buffers))


def _tensors(axes: Sequence[Axes], arrays: Tensors) -> tuple[tuple[Tensor, ...], tuple[bytes, ...]]:
    tensors = tuple(
        Tensor(name=one.name, datatype=one.datatype, shape=arrays[one.name].shape) for one in axes
    )
    return tensors, tuple(np.ascontiguousarray(arrays[one.name]).tobytes() for one in axes)
