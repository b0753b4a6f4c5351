"""What arrives: when, where, wanting what, and how lucky each run will be; all drawn beforehand.

So every policy meets the same queries, and a query's runs take the same quantile everywhere.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cloud_core.simulator.scenario import Scenario, TracePart, WantPart
from protocol.errors import BadRequestError

STEP = 0.41421356237309505
LINES = 1024
"""Lines that are made plain numbers at once: one by one would take five times as long."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Equally long columns, by time."""

    at_s: Floats
    trace: Ints
    """Index in the scenario's traces."""
    place: Ints
    """Index among the sites of the trace's tier."""
    want: Ints
    """Index in the scenario's wants."""
    draw: Floats
    """The percentile of the run times that its runs will take."""

    def __len__(self) -> int:
        return len(self.at_s)

    def __iter__(self) -> Iterator[tuple[float, int, int, int, float]]:
        """Yield its lines as plain numbers, made of many at once."""
        columns = self.at_s, self.trace, self.place, self.want, self.draw
        for first in range(0, len(self), LINES):
            lines = [column[first : first + LINES].tolist() for column in columns]
            yield from zip(*lines, strict=True)


def drawn_again(number: int, tries: int) -> float:
    """Return the percentile of the run times that a query's next run takes, after so many others.

    By its number: steps of one share come evenly near all numbers, and need no generator.
    """
    return 100.0 * ((number + 1) * tries * STEP % 1.0)


def counts(path: Path) -> list[float]:
    """Read a trace: no header line, a row a second, the last column counts arrivals."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise BadRequestError(f"{path}: cannot be read: {why}", "mend `traces`") from error
    found = []
    for at, line in enumerate(lines, 1):
        try:
            found.append(max(0.0, float(line[-1])))
        except ValueError as error:
            raise BadRequestError(
                f"{path}:{at}: the last column is no number: {line[-1]!r}",
                "traces have no header line, and count arrivals in their last column",
            ) from error
    if not found:
        raise BadRequestError(f"{path}: the trace is empty", "a trace has a row a second")
    return found


def arrivals(scenario: Scenario, sites: dict[str, int], *, scale: float = 1.0) -> Arrivals:
    """Draw what arrives. `sites` says how many there are of each tier that a trace enters."""
    parts = [
        _of_trace(scenario, at, sites[trace.enters], scale=scale)
        for at, trace in enumerate(scenario.traces)
    ]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    at_s, trace, place, want, draw = (column[order] for column in columns)
    return Arrivals(
        at_s, trace.astype(np.int64), place.astype(np.int64), want.astype(np.int64), draw
    )


def _of_trace(scenario: Scenario, at: int, sites: int, *, scale: float) -> tuple[Floats, ...]:
    trace = scenario.traces[at]
    random = np.random.default_rng([scenario.seed, 1, at])
    whole = _whole(np.array(counts(scenario.at(trace.file))) * trace.scale * scale)
    seconds = np.repeat(np.arange(len(whole), dtype=np.float64), whole)
    at_s = np.sort(seconds + random.random(len(seconds)))
    at_s = at_s[at_s < scenario.duration_s]
    size = len(at_s)
    kinds, shares = _kinds(scenario.wants, trace)
    want = random.choice(kinds, size=size, p=shares)
    return (
        at_s,
        np.full(size, at, np.float64),
        random.integers(sites, size=size).astype(np.float64),
        want.astype(np.float64),
        random.uniform(0.0, 100.0, size),
    )


def _whole(rates: Floats) -> Ints:
    """Round so that the sum is kept: what one second has too much the next has less."""
    ends = np.floor(np.cumsum(rates) + 1e-9).astype(np.int64)
    return np.diff(ends, prepend=0)


def _kinds(wants: tuple[WantPart, ...], trace: TracePart) -> tuple[Ints, Floats]:
    """Return the kinds of want that a trace's queries have, and the share of each."""
    mine = [at for at, want in enumerate(wants) if want.task in (None, trace.task)]
    weights = np.array([wants[at].weight for at in mine])
    return np.array(mine), weights / weights.sum()
