"""The groups of a view as columns, one row a group: storage and growth. Their meaning: table."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from protocol.types import QUANTILES, Profile

SCAN = 16
"""Members of a group (or pool) whose state its row sums up exactly; of more, a sample this big."""

BATCHES = 8
"""Profiled batch sizes that a row holds; of more, the smallest, the largest and some between."""

FREE, OWN, COLD, LEAST, FACTOR = range(5)
"""The lines of `Columns.now`."""

LINES = 5

Floats = npt.NDArray[np.float64]
Column = TypeVar("Column", bound=npt.NDArray[np.generic])


class Columns:
    """Struct of arrays. Unused rows have no nodes and an infinite queue."""

    def __init__(self) -> None:
        self.used = 0
        self.accuracy = np.zeros(0)
        self.usd_per_busy_ms = np.zeros(0)
        self.now: Floats = np.zeros((LINES, 0))
        """What changes all the time: `FREE` and so on, each with an entry a group."""
        self.load_ms = np.zeros(0)
        self.marginal_ms = np.zeros(0)
        self.batch_rows: Floats = np.zeros((0, BATCHES))
        self.batch_ms: Floats = np.zeros((0, BATCHES, len(QUANTILES)))
        self.pool = np.zeros(0, np.intp)
        self.nodes = np.zeros(0, np.int64)
        self.variant = np.zeros(0, np.int64)
        self.architecture = np.zeros(0, np.int64)
        self.tier = np.zeros(0, np.int64)
        self.site = np.zeros(0, np.int64)
        self.state = np.zeros(0, np.int64)
        self.across = np.zeros(0, np.bool_)
        """The group is in another site."""
        self.scan = np.zeros((0, SCAN), np.intp)
        """Slots of (up to `SCAN` of) the members of a warm row, or a pool's own; 0 is nobody."""

    def block(self, rows: int) -> int:
        """Return the first of `rows` new ones."""
        first = self.used
        self.used += rows
        if self.used > len(self.accuracy):
            self._grow(max(64, 2 * self.used))
        return first

    def _grow(self, capacity: int) -> None:
        for name, column in vars(self).items():
            if isinstance(column, np.ndarray) and column is not self.now:
                setattr(self, name, grown(column, capacity))
        self.now = widened(self.now, capacity)

    @property
    def load(self) -> Floats:
        """Smallest `free_at_ms`, and smallest `own_ms`, among the members: infinite where none."""
        load: Floats = self.now[:2]
        return load

    @property
    def cold_ms(self) -> Floats:
        """What loading takes, or nothing where the variant is loaded or somebody loads it."""
        cold_ms: Floats = self.now[COLD]
        return cold_ms

    @property
    def factor(self) -> Floats:
        """What the class's runs are observed to take, over its profile."""
        factor: Floats = self.now[FACTOR]
        return factor

    @property
    def least_factor(self) -> Floats:
        """The smallest of the members' factors."""
        factor: Floats = self.now[LEAST]
        return factor

    def set_profile(self, row: int, profile: Profile) -> None:
        """Write a profile into one row."""
        sizes = _kept(sorted(profile.runs))
        self.load_ms[row] = profile.load_ms
        self.batch_rows[row] = np.inf
        self.batch_rows[row, : len(sizes)] = sizes
        self.batch_ms[row] = profile.runs[sizes[-1]].ms
        for place, size in enumerate(sizes):
            self.batch_ms[row, place] = profile.runs[size].ms
        self.marginal_ms[row] = marginal_ms(profile)

    def set_runs(self, rows: list[int], profile: Profile, shape: Sequence[float]) -> None:
        """Write run times with a median as the profile's, and quantiles as `shape` has them."""
        sizes = _kept(sorted(profile.runs))
        medians = [profile.runs[size].ms[0] for size in sizes]
        medians += medians[-1:] * (BATCHES - len(medians))
        self.batch_ms[rows] = np.outer(medians, shape)


def grown(column: Column, capacity: int) -> Column:
    """Return a copy of `column` with `capacity` entries, the new ones zero."""
    wider = np.zeros((capacity, *column.shape[1:]), column.dtype)
    wider[: len(column)] = column
    return wider  # type: ignore[return-value]  # of the same type, which numpy's stubs cannot say


def widened(load: Floats, capacity: int) -> Floats:
    """Return a copy of some lines with `capacity` entries each, the new ones infinite."""
    wider = np.full((len(load), capacity), np.inf)
    wider[:, : load.shape[1]] = load
    return wider


def marginal_ms(profile: Profile) -> float:
    """Return what one more row adds to a queue: the median run per row, at the best batch size."""
    return min(latency.ms[0] / size for size, latency in profile.runs.items())


def _kept(sizes: list[int]) -> list[int]:
    if len(sizes) <= BATCHES:
        return sizes
    step = (len(sizes) - 1) / (BATCHES - 1)
    return [sizes[round(place * step)] for place in range(BATCHES)]
