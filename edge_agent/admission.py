"""Pure. When would this finish, and is that in time? Agents admit, routers predict with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from protocol.types import Latency, Profile

Ms = TypeVar("Ms", float, npt.NDArray[np.float64])
"""One candidate, or a column of them: the same rule for both."""

MBPS_BYTES_PER_MS = 125.0
"""1 Mbit/s is 125 bytes a millisecond."""


def transfer_ms(nbytes: int, mbps: Ms) -> Ms:
    """Time for `nbytes` on a link of `mbps` (10^6 bits a second)."""
    return nbytes / (mbps * MBPS_BYTES_PER_MS)


def finish_ms(*, link: Ms, transfer: Ms, queue: Ms, cold: Ms, run: Ms) -> Ms:
    """Time from sending to answer: every part in ms, each at the want's percentile.

    `cold` is 0 for a variant that is warm; `run` is already corrected for the node (derated). An
    agent calls it with no link and no transfer: those are behind the ask when it arrives.
    """
    return link + transfer + queue + cold + run


@dataclass(frozen=True, slots=True)
class Load:
    """What stands before a new ask on this node."""

    queue_ms: float
    """Work admitted and not finished."""
    cold_ms: float
    """What is left of loading the variant; 0 when it is warm."""


def admits(
    profile: Profile, load: Load, *, rows: int, percentile: float, budget_ms: float
) -> float | None:
    """Return the predicted finish when it is within the budget, else None."""
    finish = predicted_ms(profile, load, rows=rows, percentile=percentile)
    return finish if finish <= budget_ms else None


def predicted_ms(profile: Profile, load: Load, *, rows: int, percentile: float) -> float:
    """The agent's view of `finish_ms`: the ask is here, what remains is queue, cold and run."""
    run = run_ms(profile, rows, percentile)
    return finish_ms(link=0.0, transfer=0.0, queue=load.queue_ms, cold=load.cold_ms, run=run)


def run_ms(profile: Profile, rows: int, percentile: float) -> float:
    """Run time of `rows` together; more rows than the largest profiled batch take several runs.

    Of several runs one is counted at `percentile`, the others at their median: a sum of high
    percentiles would be many times what the sum of so many independent runs ever takes.
    """
    largest = max(profile.runs)
    whole, rest = divmod(rows, largest)
    full: Latency = profile.runs[largest]
    if not whole:
        return profile.run(rest).at(percentile)
    typical = (whole - 1) * full.at(50.0) + (profile.run(rest).at(50.0) if rest else 0.0)
    return full.at(percentile) + typical


def work_ms(profile: Profile, rows: int, percentile: float) -> float:
    """Run time of `rows` that wait and need not run together, in the batches that take the least.

    As of several runs in `run_ms`, one is counted at `percentile`, the others at their median.
    """
    sizes = sorted(profile.runs)
    each_ms = [profile.runs[size].at(50.0) for size in sizes]
    typical, widest = _least_work(sizes, each_ms, rows, len(sizes), {})
    return typical + profile.runs[widest].at(percentile) - profile.runs[widest].at(50.0)


def _least_work(
    sizes: Sequence[int], each_ms: Sequence[float], rows: int, most: int,
    known: dict[tuple[int, int], tuple[float, int]],
) -> tuple[float, int]:  # fmt: skip
    """Return the median time of `rows` in batches of the first `most` sizes, and the widest."""
    widest, each = sizes[most - 1], each_ms[most - 1]
    if most == 1:
        return each * ceil(rows / widest), widest
    found = known.get((rows, most))
    if found is None:
        whole, rest = divmod(rows, widest)
        found = each * (whole + bool(rest)), widest
        if rest and whole:
            rest_ms = _least_work(sizes, each_ms, rest, most - 1, known)[0]
            found = min(found, (each * whole + rest_ms, widest))
        found = min(found, _least_work(sizes, each_ms, rows, most - 1, known))
        known[rows, most] = found
    return found
