"""What the nodes of a simulated mesh say to the routers at hand: adverts and descriptions.

A node whose state has not changed would only repeat itself, so it is silent here; and nobody takes
silence for anything. One that is off (or still starting) is a class of its own, whose loads take as
long as starting and loading together.
"""

from collections.abc import Sequence
from typing import Protocol

from cloud_core.simulator.node import Node
from cloud_core.simulator.places import Place
from cloud_core.simulator.world import World
from middle_tier.view import View
from protocol.adverts import Capacity, Description, Loaded, VariantInfo
from protocol.bundles import estimate
from protocol.types import Latency, Tier

NEVER_S = 1e9


class Listening(Protocol):
    """A router, as far as adverts go."""

    place: Place
    view: View


class Advertising:
    """The mutable state is each node's count of adverts, and how often it was started."""

    def __init__(self, world: World, routers: Sequence[Listening]) -> None:
        self._world = world
        self._sequence: dict[Node, int] = {}
        self._was: dict[Node, bool] = {}
        self._boots: dict[Node, int] = {}
        self._said = {
            (name, started): self._of_kind(
                kind.infos if started else _off(kind.infos, kind.fleet.start_s)
            )
            for name, kind in world.kinds.items()
            for started in (True, False)
        }
        """What all nodes of a fleet say of themselves, but for their names."""
        self._links: dict[tuple[Tier, Tier], Latency] = {}
        self._heard_by: dict[Node, list[Listening]] = {}
        for router in routers:
            for node in router.place.nodes:
                self._heard_by.setdefault(node, []).append(router)
        for node in self._heard_by:
            self.changed(node)

    def changed(self, node: Node) -> None:
        """Tell of a node whose state is another now."""
        started = node.started
        if self._was.get(node) != started:
            self._was[node] = started
            self._boots[node] = self._boots.get(node, 0) + 1
        self._sequence[node] = self._sequence.get(node, 0) + 1
        now = self._world.now
        for router in self._heard_by.get(node, ()):
            advert = self._advert(node, router.place)
            if router.view.advert(advert, now):
                router.view.describe(self._description(node), now)

    def _advert(self, node: Node, place: Place) -> Capacity:
        world, fleet = self._world, node.kind.fleet
        borders = world.network.borders(place.tier, fleet.tier)
        at = min(place.index, len(world.places) - 1)
        return Capacity(
            node=node.name,
            site=node.site,
            tier=fleet.tier,
            hardware=fleet.name if node.started else f"{fleet.name}-off",
            boot=f"{self._boots[node]}",
            sequence=self._sequence[node],
            period_s=NEVER_S,
            loaded=_loaded(node),
            queue_ms=node.queue_ms(world.now),
            link=self._link(place.tier, fleet.tier),
            mbps=min(
                (world.network.mbps(border, at, world.now) for border in borders), default=1e6
            ),
            price=fleet.price,
        )

    def _link(self, here: Tier, there: Tier) -> Latency:
        link = self._links.get((here, there))
        if link is None:
            network = self._world.network
            borders = network.borders(here, there)
            rtt_ms = sum(network.parts[border].rtt_ms for border in borders)
            link = self._links[here, there] = estimate(rtt_ms)
        return link

    def _description(self, node: Node) -> Description:
        said = self._said[node.kind.fleet.name, node.started]
        return said.but(node=node.name, site=node.site)

    def _of_kind(self, infos: tuple[VariantInfo, ...]) -> Description:
        """Return it unchecked: a check of each variant would take longer than all that is said."""
        tasks = tuple(self._world.tasks.values())
        return Description.model_construct(
            node="", site="", revision=0, tasks=tasks, variants=infos, unable={}
        )


def _loaded(node: Node) -> tuple[Loaded, ...]:
    return tuple(
        Loaded(variant=holding.id, state="warm" if holding.state == "warm" else "loading")
        for holding in node.holdings.values()
        if holding.state != "cold"
    )


def _off(infos: tuple[VariantInfo, ...], start_s: float) -> tuple[VariantInfo, ...]:
    """Return the variants as a node that is off has them."""
    return tuple(
        info.model_copy(
            update={
                "profile": info.profile.model_copy(
                    update={"load_ms": info.profile.load_ms + start_s * 1e3}
                )
            }
        )
        for info in infos
    )
