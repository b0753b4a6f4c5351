"""Runs one model file in a process of its own: its outputs, and how long and how much they take.

A process of its own, so that a runtime which crashes takes nothing with it, memory is the variant's
alone, and another environment's runtime can be asked. `ask` starts one, `main` is the process.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from pydantic import BaseModel

from cloud_core.builder.process import surroundings
from edge_agent.runtimes import registry
from edge_agent.runtimes.base import Runtime, Tensors
from protocol.bundles import RuntimePin, Task, Variant
from protocol.errors import ExecutionError, MeshError
from protocol.types import Profile

TIMEOUT_S = 600.0
THREADS = 1


class Question(BaseModel):
    """What to run; inputs lie in its folder, one ``<set>.npz`` each."""

    task: Task
    variant: Variant
    file: Path
    sets: tuple[str, ...]
    budget_s: float
    """How long to measure run times; 0: not at all."""


class Finding(BaseModel):
    """What came of it; outputs lie in its folder, one ``<set>.out.npz`` each."""

    runtime: RuntimePin
    profile: Profile | None


@dataclass(frozen=True)
class Probed:
    """What a file did on a runtime."""

    runtime: RuntimePin
    outputs: dict[str, Tensors]
    """By the name of the input set."""
    profile: Profile | None


def ask(question: Question, inputs: Mapping[str, Tensors], python: Path) -> Probed:
    """Run the file with the runtime of `python`'s environment. Raises `ExecutionError`."""
    with TemporaryDirectory(prefix="tiermesh-probe-") as name:
        folder = Path(name)
        for rows in question.sets:
            _keep(folder / f"{rows}.npz", inputs[rows])
        (folder / "question.json").write_text(question.model_dump_json())
        _run(question, folder, python)
        finding = Finding.model_validate_json((folder / "finding.json").read_bytes())
        outputs = {rows: _arrays(folder / f"{rows}.out.npz") for rows in question.sets}
        return Probed(finding.runtime, outputs, finding.profile)


def main(folder: Path) -> None:
    """Answer the question in `folder`."""
    question = Question.model_validate_json((folder / "question.json").read_bytes())
    data = question.file.read_bytes()
    runtime = registry.load(question.variant, data, THREADS, question.task)
    for name in question.sets:
        _keep(folder / f"{name}.out.npz", runtime.infer(_arrays(folder / f"{name}.npz")))
    finding = Finding(
        runtime=registry.available()[question.variant.format],
        profile=_profile(question, data, _arrays(folder / f"{question.sets[0]}.npz")),
    )
    (folder / "finding.json").write_text(finding.model_dump_json())


def _run(question: Question, folder: Path, python: Path) -> None:
    command = [str(python), "-m", "cloud_core.builder.probe", str(folder)]
    try:
        subprocess.run(  # noqa: S603  an interpreter that the operator named
            command, env=surroundings(), timeout=TIMEOUT_S,
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit status {error.returncode}"])[-1]
        raise ExecutionError(f"{question.variant.id} does not run: {last}") from error
    except subprocess.TimeoutExpired as error:
        raise ExecutionError(f"{question.variant.id} took over {TIMEOUT_S:.0f} s") from error


def _profile(question: Question, data: bytes, sample: Tensors) -> Profile | None:
    """Measure a second loading: the first one paid for importing the runtime.

    A node's load ends with a run of the golden inputs, and so does this one.
    """
    if not question.budget_s:
        return None
    # psutil is not in every environment that is only asked for outputs
    from edge_agent import profiler  # noqa: PLC0415

    def load(variant: Variant, data: bytes, threads: int) -> Runtime:
        runtime = registry.load(variant, data, threads)
        runtime.infer(sample)
        return runtime

    runtime, load_ms, memory_bytes = profiler.loaded(load, question.variant, data, THREADS)
    profile = profiler.measure(
        runtime, question.task, question.variant,
        load_ms=load_ms, memory_bytes=memory_bytes, budget_s=question.budget_s, sample=sample,
    )  # fmt: skip
    return profile.model_copy(update={"measured": False})


def _keep(path: Path, arrays: Tensors) -> None:
    np.savez(path, allow_pickle=False, **dict(arrays))


def _arrays(path: Path) -> Tensors:
    with np.load(path, allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except MeshError as failure:
        sys.exit(f"{failure.error}: {failure.__cause__ or failure.hint}".replace("\n", " "))
