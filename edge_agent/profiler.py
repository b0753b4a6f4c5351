"""Measures how long a variant takes on this machine, and keeps what was measured on disk."""

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
from protocol.bundles import RuntimePin, Task, Variant
from protocol.types import QUANTILES, Latency, Profile

log = logging.getLogger(__name__)

WARM_UP_RUNS = 2
LEAST_RUNS = 3
MOST_RUNS = 200

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
    """Run it at each batch size, the smallest first, until the budget is used up.

    The smallest is always measured; a size that would not fit any more is left out (more rows than
    the largest measured are then predicted as several runs). `sample` (golden inputs, say) is
    repeated to fill a batch; without one the inputs are ones. What the runs need of memory is added
    to `memory_bytes`. What so few runs do not show of how they scatter is as the variant's profile
    says.
    """
    sizes = batch_sizes(variant)
    before = rss_bytes()
    end = now() + budget_s
    runs: dict[int, Latency] = {}
    for place, size in enumerate(sizes):
        share_s = (end - now()) / (len(sizes) - place)
        if runs and _likely_ms(runs, size) * (WARM_UP_RUNS + LEAST_RUNS) > (end - now()) * 1e3:
            break
        samples_ms = _timed(runtime, filled(task, size, sample), share_s, now)
        runs[size] = distribution(samples_ms, variant.profile.run(size))
    memory_bytes += max(0, rss_bytes() - before)
    return Profile(load_ms=load_ms, memory_bytes=memory_bytes, runs=rising(runs), measured=True)


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


def batch_sizes(variant: Variant) -> tuple[int, ...]:
    """The sizes worth measuring: the file's own, or powers of two and the largest."""
    if variant.batches:
        return variant.batches
    powers = [1 << power for power in range(variant.max_batch.bit_length())]
    return tuple(sorted({*powers, variant.max_batch}))


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


def rising(runs: dict[int, Latency]) -> dict[int, Latency]:
    """A larger batch is never predicted faster than a smaller one: that would be noise."""
    floor: Latency | None = None
    risen: dict[int, Latency] = {}
    for size, latency in sorted(runs.items()):
        if floor is not None:
            ms = tuple(max(pair) for pair in zip(latency.ms, floor.ms, strict=True))
            floor = Latency.model_validate({"ms": ms, "count": latency.count})
        else:
            floor = latency
        risen[size] = floor
    return risen


def distribution(samples_ms: list[float], before: Latency | None = None) -> Latency:
    """The percentiles of what was measured.

    One that so few samples cannot show is at least as far from the median as `before` has it: else
    a single run would say that all take as long as it did.
    """
    ms: list[float] = np.percentile(samples_ms, QUANTILES).tolist()
    if before is not None and before.ms[0] > 0:
        for at, (percentile, known_ms) in enumerate(zip(QUANTILES, before.ms, strict=True)):
            if len(samples_ms) * (1.0 - percentile / 100.0) < 1.0:
                ms[at] = max(ms[at], ms[0] * known_ms / before.ms[0])
    return Latency.model_validate({"ms": ms, "count": len(samples_ms)})


def _likely_ms(runs: dict[int, Latency], size: int) -> float:
    """A run of `size`, were it in proportion to the largest measured."""
    largest = max(runs)
    return runs[largest].ms[0] * size / largest


def _timed(runtime: Runtime, inputs: Tensors, share_s: float, now: Now) -> list[float]:
    end = now() + share_s
    for _ in range(WARM_UP_RUNS):
        start = now()
        runtime.infer(inputs)
        first_ms = (now() - start) * 1e3
        if now() > end:
            return [first_ms]
    samples: list[float] = []
    while len(samples) < LEAST_RUNS or (len(samples) < MOST_RUNS and now() < end):
        start = now()
        runtime.infer(inputs)
        samples.append((now() - start) * 1e3)
    return samples


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
