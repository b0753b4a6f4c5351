"""Where queries enter and which nodes are at hand there; and the parent, where the others are."""

from dataclasses import dataclass, field

from cloud_core.simulator.node import Node
from cloud_core.simulator.scenario import Scenario
from protocol.types import Tier


@dataclass(slots=True, eq=False)
class Place:
    """A site, with the tier at which queries enter it."""

    index: int
    site: str
    tier: Tier
    own: list[Node] = field(default_factory=list)
    """Its nodes, where it is the only place of that site; else they are the other place's ..."""
    nodes: list[Node] = field(default_factory=list)
    """... and those that its router knows."""
    by_fleet: dict[str, list[Node]] = field(default_factory=dict)


def places(scenario: Scenario, nodes: list[Node]) -> tuple[list[Place], Place]:
    """Return every place where queries enter, and the parent of all of them.

    At a place are the nodes of its site. In the cloud, and at sites where nothing enters, are the
    parent's. Where the cloud itself is entered, the place has the same nodes as the parent.
    """
    found: list[Place] = []
    for tier in dict.fromkeys(trace.enters for trace in scenario.traces):
        for site in entered(scenario, tier):
            found.append(Place(len(found), site, tier))
    parent = Place(len(found), "cloud", "cloud")
    _settle(found, parent, nodes)
    for place in (*found, parent):
        for node in place.nodes:
            place.by_fleet.setdefault(node.kind.fleet.name, []).append(node)
    return found, parent


def _settle(found: list[Place], parent: Place, nodes: list[Node]) -> None:
    """Give every place its nodes."""
    at_site: dict[str, list[Node]] = {}
    for node in nodes:
        at_site.setdefault(node.site, []).append(node)
    below = {place.site for place in found if place.tier != "cloud"}
    for site, here in at_site.items():
        parent.nodes += [n for n in here if n.kind.fleet.tier == "cloud" or site not in below]
    seen: set[str] = set()
    for place in found:
        here = at_site.get(place.site, [])
        if place.tier == "cloud":
            place.nodes = parent.nodes
        else:
            place.nodes = [node for node in here if node.kind.fleet.tier != "cloud"]
            place.own = [] if place.site in seen else place.nodes
            seen.add(place.site)


def entered(scenario: Scenario, tier: Tier) -> list[str]:
    """Return the sites of a tier's fleets; where it has none, those of any but the cloud's."""
    own = [fleet for fleet in scenario.fleets if fleet.tier == tier]
    near = own or [fleet for fleet in scenario.fleets if fleet.tier != "cloud"]
    sites = dict.fromkeys(site for fleet in near for site in fleet.site_names)
    return list(sites) or [tier]
