"""Pure. The oracle's program: the least cost at which given work can be done, as a relaxed MILP.

Work comes in groups of alike queries; a group may be split over the ways that could serve it. The
result is a bound: whatever really happens is a feasible point of this program, at no more cost.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

Floats = npt.NDArray[np.float64]

SLACK = 1e-6
"""Of what must not be exceeded: the solver's own tolerance."""

NODES = 16
"""Of the search for whole starts: after them the bound that is proven by then counts, a lower one.
A number and not a time, so that the same scenario has the same oracle on any machine."""

GAP = 1e-4
"""How near to its optimum the solver must come; its proven lower bound is what counts."""


@dataclass(frozen=True, slots=True)
class Stock:
    """Nodes of one fleet, together."""

    nodes: int
    on_demand: bool = False
    start_s: float = 0.0
    idle_s: float = 0.0
    usd_per_held_s: float = 0.0
    usd_per_work_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """A variant on a fleet."""

    stock: int
    load_s: float


@dataclass(frozen=True, slots=True)
class Group:
    """Alike queries of one window, and what each way would take of each: seconds, and dollars."""

    window: int
    queries: int
    ways: tuple[tuple[int, float, float], ...]
    """(way, seconds of work, dollars for bytes), each the least of any of them."""
    kind: int = 0
    """The kind of want: of one kind so many come at one place at most ..."""


@dataclass(frozen=True, slots=True)
class Work:
    """All of it."""

    stocks: tuple[Stock, ...]
    ways: tuple[Way, ...]
    groups: tuple[Group, ...]
    windows: int
    window_s: float
    overhang_s: float
    """How long after its window work of a query may still be done."""
    duration_s: float
    most: dict[tuple[int, int], int] = field(default_factory=dict)
    """... (kind, stock) -> that number; at all places together where the stock is shared."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The least, and how it is reached."""

    unmet: float
    """Queries that are not served."""
    usd: float
    """Of energy, bytes, and what on-demand nodes are held; not of nodes that are always held."""
    served: tuple[tuple[int, int, float], ...] = ()
    """(group, way, queries)."""
    held_s: tuple[float, ...] = ()
    """By stock: node seconds of on-demand nodes."""
    loads: float = 0.0


class _Found(NamedTuple):
    """A solution (empty: none was found), and what none can be below."""

    x: Floats
    least: float


@dataclass(slots=True)
class _Rows:
    """Constraints as they are written down, row by row."""

    row: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def add(self, terms: list[tuple[int, float]], low: float, high: float) -> None:
        at = len(self.low)
        for column, value in terms:
            self.row.append(at)
            self.column.append(column)
            self.value.append(value)
        self.low.append(low)
        self.high.append(high)

    def constraint(self, columns: int) -> LinearConstraint:
        shape = (len(self.low), columns)
        matrix = coo_matrix((self.value, (self.row, self.column)), shape).tocsr()
        return LinearConstraint(matrix, self.low, self.high)


class Program:
    """Variables, in this order:

    * x: queries of a group served by a way
    * m: queries of a group not served
    * y: loads of a way
    * h: ready nodes of an on-demand stock in a window (node seconds over the window's)
    * z: starts that become ready in a window: the only whole numbers
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._flows = [
            (at, way, seconds, usd)
            for at, group in enumerate(work.groups)
            for way, seconds, usd in group.ways
        ]
        self._rentable = [at for at, stock in enumerate(work.stocks) if stock.on_demand]
        self._m = len(self._flows)
        self._y = self._m + len(work.groups)
        self._h = self._y + len(work.ways)
        self._z = self._h + len(self._rentable) * work.windows
        self._size = self._z + len(self._rentable) * work.windows
        self._rows = _Rows()
        self._all_is_served_or_not()
        self._work_fits()
        self._loaded_where_it_runs()
        for place in range(len(self._rentable)):
            self._held(place)

    def least_unmet(self, since: int = 0) -> float:
        """Return the fewest queries that have to be left out, of those from a window on."""
        cost = np.zeros(self._size)
        cost[self._m : self._y] = [float(each.window >= since) for each in self._work.groups]
        return max(0.0, self._solved(cost, None).least)  # a start that is rounded up costs nothing

    def least_cost(self, unmet: float) -> Bound:
        """Return the least cost with at most so many left out."""
        found = self._whole(unmet)
        x = found.x
        served = tuple(
            (group, way, amount)
            for (group, way, _, _), amount in zip(self._flows, x[: self._m].tolist(), strict=True)
            if amount > SLACK
        )
        held = [0.0] * len(self._work.stocks)
        for place, stock in enumerate(self._rentable):
            ready, starts = self._columns(place)
            held[stock] = float(
                x[ready].sum() * self._work.window_s
                + x[starts].sum() * self._work.stocks[stock].start_s
            )
        left_out = float(x[self._m : self._y].sum())
        return Bound(left_out, found.least, served, tuple(held), float(x[self._y : self._h].sum()))

    def _columns(self, place: int) -> tuple[slice, slice]:
        windows = self._work.windows
        first, start = self._h + place * windows, self._z + place * windows
        return slice(first, first + windows), slice(start, start + windows)

    def _whole(self, unmet: float) -> _Found:
        """Return the least cost with whole starts, as far as that is worth searching for."""
        split = self._solved(self._costs(), unmet)
        starts = split.x[self._z :]
        if np.abs(starts - np.round(starts)).max(initial=0.0) < SLACK:
            return split
        whole = np.zeros(self._size)
        whole[self._z :] = 1
        found = self._solved(self._costs(), unmet, whole)
        return _Found(found.x if len(found.x) else split.x, max(found.least, split.least))

    def _solved(self, cost: Floats, unmet: float | None, whole: Floats | None = None) -> _Found:
        constraints = [self._rows.constraint(self._size)]
        if unmet is not None:
            rows = _Rows()
            rows.add([(at, 1.0) for at in range(self._m, self._y)], 0.0, unmet + SLACK)
            constraints.append(rows.constraint(self._size))
        scale = max(1e-12, float(np.abs(cost).max()))
        found = milp(
            cost / scale, constraints=constraints, integrality=whole, bounds=Bounds(0.0, np.inf),
            options={"mip_rel_gap": GAP, "node_limit": NODES},
        )  # fmt: skip
        if whole is None and found.x is None:
            raise ArithmeticError(f"the oracle's program has no solution: {found.message}")
        x = np.empty(0) if found.x is None else np.asarray(found.x)
        least = found.fun if whole is None else found.mip_dual_bound
        return _Found(x, -np.inf if least is None else float(least) * scale)

    def _costs(self) -> Floats:
        work, cost = self._work, np.zeros(self._size)
        for at, (_, way, seconds, usd) in enumerate(self._flows):
            cost[at] = usd + seconds * work.stocks[work.ways[way].stock].usd_per_work_s
        for at, way_ in enumerate(work.ways):
            cost[self._y + at] = way_.load_s * work.stocks[way_.stock].usd_per_work_s
        for place, stock in enumerate(self._rentable):
            ready, starts = self._columns(place)
            rent = work.stocks[stock].usd_per_held_s
            cost[ready] = rent * work.window_s
            cost[starts] = rent * work.stocks[stock].start_s
        return cost

    def _all_is_served_or_not(self) -> None:
        terms: list[list[tuple[int, float]]] = [[] for _ in self._work.groups]
        for at, (group, _, _, _) in enumerate(self._flows):
            terms[group].append((at, 1.0))
        for at, group_ in enumerate(self._work.groups):
            queries = float(group_.queries)
            self._rows.add([*terms[at], (self._m + at, 1.0)], queries, queries)

    def _work_fits(self) -> None:
        """In each window, and over the whole run: a node is one node; so is one that was loaded."""
        work = self._work
        of_way: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for at, (group, way, seconds, _) in enumerate(self._flows):
            of_way.setdefault((way, work.groups[group].window), []).append((at, seconds))
        long_s = work.window_s + work.overhang_s
        of_stock: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for (way, window), terms in of_way.items():
            self._rows.add([*terms, (self._y + way, -long_s)], -np.inf, 0.0)
            of_stock.setdefault((work.ways[way].stock, window), []).extend(terms)
        for (stock, window), terms in of_stock.items():
            if work.stocks[stock].on_demand:
                place = self._rentable.index(stock)
                ready, _ = self._columns(place)
                held = [(ready.start + window, -work.window_s)]
                if window + 1 < work.windows:  # what is left of a window's work runs in the next
                    held.append((ready.start + window + 1, -min(work.window_s, work.overhang_s)))
                    self._rows.add([*terms, *held], -np.inf, 0.0)
                else:
                    most = work.overhang_s * work.stocks[stock].nodes
                    self._rows.add([*terms, *held], -np.inf, most)
            else:
                self._rows.add(terms, -np.inf, work.stocks[stock].nodes * long_s)

    def _loaded_where_it_runs(self) -> None:
        """A place where all of a kind go one way has loaded it; of a share, that share of a load.

        Summed over places: the loads of a way are at least the queries of a kind that go that way,
        over the most of that kind that any place has.
        """
        terms: dict[tuple[int, int], list[tuple[int, float]]] = {}
        for at, (group, way, _, _) in enumerate(self._flows):
            terms.setdefault((self._work.groups[group].kind, way), []).append((at, 1.0))
        for (kind, way), flows in terms.items():
            most = self._work.most.get((kind, self._work.ways[way].stock))
            if most:
                self._rows.add([*flows, (self._y + way, -float(most))], -np.inf, 0.0)

    def _held(self, place: int) -> None:
        """No more nodes than there are, or were started; each start is held until it may stop."""
        work = self._work
        stock = work.stocks[self._rentable[place]]
        ready, starts = self._columns(place)
        for window in range(work.windows):
            now = ready.start + window
            self._rows.add([(now, 1.0)], 0.0, float(stock.nodes))
            begun = [(starts.start + before, -1.0) for before in range(window + 1)]
            self._rows.add([(now, 1.0), *begun], -np.inf, 0.0)
        least = [
            (
                starts.start + window,
                -max(0.0, min(stock.idle_s, work.duration_s - (window + 1) * work.window_s)),
            )
            for window in range(work.windows)
        ]
        held = [(ready.start + window, work.window_s) for window in range(work.windows)]
        self._rows.add([*held, *least], 0.0, np.inf)
