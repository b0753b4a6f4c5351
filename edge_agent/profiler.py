"""Runs what a measurement wants to know of a variant, and keeps what was measured on disk."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from pydantic import ValidationError

from edge_agent import kept
from edge_agent.runtimes import registry
from edge_agent.runtimes.base import DTYPES, Load, Runtime, Tensors
from edge_agent.stock.measurement import Measurement
from protocol.bundles import RuntimePin, Task, Variant
from protocol.types import Profile

log = logging.getLogger(__name__)

Now = Callable[[], float]
"""Seconds on a monotonic clock."""


def measure(  # noqa: PLR0913  what was measured while loading is handed in beside it
    runtime: Runtime,
    task: Task,
    variant: Variant,
    *,
    load_ms: float,
    memory_bytes: int,
    budget_s: float = 0.5,
    now: Now = time.perf_counter,
    sample: Tensors | None = None,
) -> Profile:
    """Measure all of it, without giving way to anybody."""
    measurement = Measurement(variant, budget_s, load_ms=load_ms, memory_bytes=memory_bytes)
    go_on(measurement, runtime, task, now=now, sample=sample)
    return measurement.profile()


def go_on(
    measurement: Measurement,
    runtime: Runtime,
    task: Task,
    *,
    now: Now,
    sample: Tensors | None = None,
    halted: Callable[[], bool] = lambda: False,
) -> None:
    """Run what it wants to know, until that is whole or, between two runs, `halted` says so.

    `sample` (golden inputs, say) is repeated to fill a batch; without one the inputs are ones. What
    the runs need of memory is added to the variant's.
    """
    before = rss_bytes()
    size = 0
    inputs: Tensors = {}
    while not halted() and (rows := measurement.rows) is not None:
        if rows != size:
            size, inputs = rows, filled(task, rows, sample)
        start = now()
        measurement.begun(start)
        runtime.infer(inputs)
        measurement.took(now() - start)
    measurement.memory_bytes += max(0, rss_bytes() - before)


def loaded(
    load: Load, variant: Variant, data: bytes, threads: int, *, now: Now = time.perf_counter
) -> tuple[Runtime, float, int]:
    """Load it by `load`: the runtime, the milliseconds and the bytes of memory that took.

    Never less than the file's own size: an allocator may have had the room already. Importing the
    runtime is not counted: it is paid once, and no eviction gives it back.
    """
    registry.prepare(variant.format)
    before, start = rss_bytes(), now()
    runtime = load(variant, data, threads)
    load_ms = (now() - start) * 1e3
    return runtime, load_ms, max(rss_bytes() - before, len(data))


def rss_bytes() -> int:
    """Memory that this process has now."""
    return int(psutil.Process().memory_info().rss)


def filled(task: Task, rows: int, sample: Tensors | None = None) -> Tensors:
    """Inputs of `rows` rows: the sample's repeated, or ones (open dimensions are 1)."""
    if sample:
        return {
            name: np.ascontiguousarray(np.resize(array, (rows, *array.shape[1:])))
            for name, array in sample.items()
        }
    return {
        axes.name: np.ones((rows, *(abs(dim) for dim in axes.shape[1:])), DTYPES[axes.datatype])
        for axes in task.inputs
    }


class Profiles:
    """Measured profiles on disk: a file for each variant's bytes, runtime version and hardware."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(
        self, variant: Variant, runtime: RuntimePin, hardware: str, threads: int = 1
    ) -> Profile | None:
        """What was measured before, if anything; an unreadable file counts as nothing."""
        path = self._path(variant, runtime, hardware, threads)
        try:
            return Profile.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            log.warning("profile %s is unreadable, measuring again: %s", path.name, error)
            return None

    def put(
        self,
        variant: Variant,
        runtime: RuntimePin,
        hardware: str,
        profile: Profile,
        threads: int = 1,
    ) -> None:
        """Keep it: all of it or, when the power fails, nothing of it."""
        path = self._path(variant, runtime, hardware, threads)
        kept.write(path, profile.model_dump_json().encode())

    def _path(self, variant: Variant, runtime: RuntimePin, hardware: str, threads: int) -> Path:
        parts = (variant.digest, f"{runtime.name}-{runtime.version}", hardware, f"{threads}t")
        return self._folder / ("_".join(parts).replace(os.sep, "-") + ".json")
