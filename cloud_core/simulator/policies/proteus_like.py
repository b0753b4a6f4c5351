"""`proteus-like`: accuracy scaling by a MILP every ten seconds, as Proteus does (ASPLOS 2024).

Which variant each device hosts and which share of the queries it gets, for the highest accuracy
that the demand of the last period leaves room for; between two solutions nothing changes. A variant
is allowed for a want when it runs within half of the time that the links leave (the other half is
for the queue, as published), and, so that the floor is the same, when it is as accurate as wanted.
Ours is: sites with the same fleets are solved as one and get the same plan; the cloud is shared;
and a device is filled to three quarters only, without which it fares far worse here.
"""

from dataclasses import dataclass, field
from random import Random

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import lil_matrix

from cloud_core.simulator.fleets import Balancer
from cloud_core.simulator.node import Node
from cloud_core.simulator.places import Place
from cloud_core.simulator.policies.decided import Decided
from cloud_core.simulator.policies.options import Option, options
from cloud_core.simulator.world import Query, World

PERIOD_S = 10.0
UNSERVED = 10.0
"""What leaving a query out costs, in units of accuracy (at most 1): more than any gain."""

FILLED = 0.75
"""Share of a device's time that may be planned: arrivals are uneven, and at 1 queues never end."""

LIMIT_S = 2.0
"""For one solution; the best found by then is taken."""

FRONT = 10
"""Variants of a fleet that are considered: those that no other beats, at most so many."""

Key = tuple[int, str]
"""A kind of want, and the task."""


@dataclass(slots=True, eq=False)
class Group:
    """Places with the same fleets, and the plan that all of them follow."""

    places: list[Place]
    options: dict[str, list[Option]]
    """By task."""
    seen: dict[Key, int] = field(default_factory=dict)
    shares: dict[Key, list[tuple[Option, float]]] = field(default_factory=dict)
    hosted: dict[int, dict[tuple[str, str], list[Node]]] = field(default_factory=dict)
    """By place: (fleet, variant) -> nodes."""


class ProteusLike(Decided):
    """The mutable state is the demand since the last solution, and that solution."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._balancer = Balancer(world)
        self._random = Random(world.scenario.seed)  # noqa: S311  # repeatable on purpose
        alike: dict[tuple[tuple[str, int], ...], list[Place]] = {}
        for place in world.places:
            key = tuple((name, len(nodes)) for name, nodes in sorted(place.by_fleet.items()))
            alike.setdefault(key, []).append(place)
        self._groups = [
            Group(found, {t: _front(options(world, found[0], t)) for t in world.tasks})
            for found in alike.values()
        ]
        self._of = {place.index: group for group in self._groups for place in group.places}
        self._foresee()
        self._solve()

    def _foresee(self) -> None:
        """Before the first period it knows what that will bring: as if it had run before."""
        come, scenario = self._world.arrivals, self._world.scenario
        first = come.at_s < PERIOD_S
        for want, trace in zip(come.want[first].tolist(), come.trace[first].tolist(), strict=True):
            for group in self._groups:
                key = (want, scenario.traces[trace].task)
                share = len(group.places) / len(self._world.places)
                if self._random.random() < share:
                    group.seen[key] = group.seen.get(key, 0) + 1

    def decide(self, query: Query) -> None:
        group = self._of[query.place.index]
        key = (query.want, query.task)
        group.seen[key] = group.seen.get(key, 0) + 1
        hosted = group.hosted.get(query.place.index, {})
        shares = [
            (option, share)
            for option, share in group.shares.get(key, ())
            if hosted.get((option.fleet.name, option.info.variant))
        ]
        if not shares:
            self._world.refused(query)
            return
        weights = [share for _, share in shares]
        option = self._random.choices([option for option, _ in shares], weights)[0]
        nodes = hosted[option.fleet.name, option.info.variant]
        node = min(nodes, key=self._balancer.waits_ms)
        self._balancer.send(query, node, option.info.variant)

    def _solve(self) -> None:
        for group in self._groups:
            plan = _Program(self._world, group).solved()
            if plan is not None:
                self._apply(group, *plan)
            group.seen = {}
        if self._world.now < self._world.scenario.duration_s:
            self._world.at(self._world.now + PERIOD_S, self._solve)

    def _apply(
        self,
        group: Group,
        hosts: dict[tuple[str, str], float],
        shares: dict[Key, list[tuple[Option, float]]],
    ) -> None:
        """Give each place's nodes their variants: those that have one already keep it."""
        group.shares = shares
        cloud = self._world.parent.by_fleet
        group.hosted = {}
        for place in group.places:
            found: dict[tuple[str, str], list[Node]] = {}
            taken: set[Node] = set()
            for (fleet, variant), number in sorted(hosts.items(), key=lambda one: -one[1]):
                nodes = place.by_fleet.get(fleet)
                whole = round(number)
                if nodes is None:
                    nodes, whole = cloud.get(fleet, []), int(np.ceil(number * len(group.places)))
                free = [node for node in nodes if node not in taken]
                free.sort(key=lambda node, v=variant: v not in node.holdings)  # type: ignore[misc]
                found[fleet, variant] = free[:whole]
                taken.update(free[:whole])
            group.hosted[place.index] = found
            for (_, variant), nodes in found.items():
                for node in nodes:
                    node.load(node.holding(variant))


class _Program:
    """One MILP: n[fleet, variant] devices (whole at a place), y[want, option] queries a second."""

    def __init__(self, world: World, group: Group) -> None:
        self._world = world
        self._group = group
        self._demand = {
            key: count / PERIOD_S / len(group.places) for key, count in group.seen.items()
        }
        self._hosts: list[Option] = [o for every in group.options.values() for o in every]
        self._flows = [
            (key, at)
            for key in self._demand
            for at, option in enumerate(self._hosts)
            if option.info.task == key[1] and self._allowed(key[0], option)
        ]

    def _allowed(self, want: int, option: Option) -> bool:
        part = self._world.scenario.wants[want]
        left_ms = (part.latency_ms - option.link_ms) / 2.0
        run = option.info.profile.runs[1].at(part.percentile)
        return option.info.accuracy >= part.min_accuracy / 100.0 and run <= left_ms

    def solved(
        self,
    ) -> tuple[dict[tuple[str, str], float], dict[Key, list[tuple[Option, float]]]] | None:
        if not self._flows:
            return None
        hosts, flows, keys = len(self._hosts), len(self._flows), list(self._demand)
        size = hosts + flows + len(keys)
        fleets = list(dict.fromkeys(option.fleet.name for option in self._hosts))
        counts = {name: self._count(name) for name in fleets}
        rows = lil_matrix((hosts + len(fleets) + len(keys), size))
        low = np.full(rows.shape[0], -np.inf)
        high = np.zeros(rows.shape[0])
        for at, option in enumerate(self._hosts):  # work of an option fits its devices
            rows[at, at] = -1000.0
            rows[hosts + fleets.index(option.fleet.name), at] = 1.0
        for place, (key, at) in enumerate(self._flows):
            rows[at, hosts + place] = self._hosts[at].each_ms / FILLED
            rows[hosts + len(fleets) + keys.index(key), hosts + place] = 1.0
        for at, name in enumerate(fleets):  # no more devices than there are
            high[hosts + at] = counts[name]
        for at, key in enumerate(keys):  # all is served, or counted as not
            row = hosts + len(fleets) + at
            rows[row, hosts + flows + at] = 1.0
            low[row] = high[row] = self._demand[key]
        gain = [-self._hosts[at].info.accuracy for _, at in self._flows]
        cost = np.array([0.0] * hosts + gain + [UNSERVED] * len(keys))
        local = set(self._group.places[0].by_fleet)
        whole = [option.fleet.name in local for option in self._hosts]
        found = milp(
            cost,
            constraints=LinearConstraint(rows.tocsr(), low, high),
            integrality=np.array([*map(int, whole)] + [0] * (flows + len(keys))),
            bounds=Bounds(0, np.inf),
            options={"time_limit": LIMIT_S, "mip_rel_gap": 1e-3},
        )
        return None if found.x is None else self._read(found.x.tolist())

    def _count(self, fleet: str) -> float:
        """Devices at a place; of a shared fleet the place's share."""
        own = self._group.places[0].by_fleet.get(fleet)
        if own:
            return float(len(own))
        return len(self._world.parent.by_fleet[fleet]) / len(self._world.places)

    def _read(
        self, x: list[float]
    ) -> tuple[dict[tuple[str, str], float], dict[Key, list[tuple[Option, float]]]]:
        hosts = {
            (option.fleet.name, option.info.variant): x[at]
            for at, option in enumerate(self._hosts)
            if x[at] > 1e-6  # noqa: PLR2004  # what rounding left
        }
        shares: dict[Key, list[tuple[Option, float]]] = {}
        for place, (key, at) in enumerate(self._flows):
            if x[len(self._hosts) + place] > 1e-6:  # noqa: PLR2004  # the same
                shares.setdefault(key, []).append((self._hosts[at], x[len(self._hosts) + place]))
        return hosts, shares


def _front(every: list[Option]) -> list[Option]:
    """Return of each fleet the variants that no other beats in accuracy and time."""
    kept: list[Option] = []
    for fleet in dict.fromkeys(option.fleet.name for option in every):
        best, front = 0.0, []
        for option in sorted(
            (o for o in every if o.fleet.name == fleet), key=lambda o: (o.each_ms, -o.info.accuracy)
        ):
            if option.info.accuracy > best:
                best = option.info.accuracy
                front.append(option)
        step = max(1.0, len(front) / FRONT)
        kept += [front[min(len(front) - 1, int(at * step))] for at in range(min(FRONT, len(front)))]
        if front and front[-1] not in kept:
            kept.append(front[-1])
    return kept
