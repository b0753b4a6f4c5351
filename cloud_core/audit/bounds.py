"""Pure. How many entries of the audit log a node may cause, and a site with all its nodes.

A node that says more is counted, and the count is one entry: nobody fills the log, nor hides by
flooding it what another tells. All of it takes a bounded amount of memory.
"""

from typing import NamedTuple

from edge_agent.reports.rate import Rate

NODE_BURST, NODE_PER_S = 96, 0.1
"""More than a node's own journal sends: one that is honest loses nothing here."""
SITE_BURST, SITE_PER_S = 512, 1.0
MAX_NODES, MAX_SITES = 512, 4096
"""Nodes of a site, and sites, of which something is remembered; a node beyond counts as its site's.
Who invents nodes is a site, and does it to itself only."""
ALL = "*"
"""In a node's place: of a site, what had no place of its own."""


class Suppressed(NamedTuple):
    """What was not written down."""

    site: str
    node: str
    times: int


class _Speaker:
    """One node, or a site."""

    __slots__ = ("rate", "suppressed")

    def __init__(self, burst: int, per_s: float, now: float) -> None:
        self.rate = Rate(burst, per_s, now)
        self.suppressed = 0

    def idle(self, now: float) -> bool:
        """Whether there is nothing to remember of it."""
        return not self.suppressed and self.rate.full(now)


class _Site(_Speaker):
    """One site, and its nodes."""

    __slots__ = ("nodes",)

    def __init__(self, now: float) -> None:
        super().__init__(SITE_BURST, SITE_PER_S, now)
        self.nodes: dict[str, _Speaker] = {}

    def idle(self, now: float) -> bool:
        return super().idle(now) and all(node.idle(now) for node in self.nodes.values())

    def node(self, name: str, now: float) -> _Speaker:
        """The node; the site itself, where there is no place for another."""
        if name not in self.nodes:
            if self.suppressed:  # a flood of names costs nothing
                return self
            if len(self.nodes) >= MAX_NODES:
                self.nodes = {one: it for one, it in self.nodes.items() if not it.idle(now)}
            if len(self.nodes) >= MAX_NODES:
                return self
            self.nodes[name] = _Speaker(NODE_BURST, NODE_PER_S, now)
        return self.nodes[name]


class Bounds:
    """The mutable state is the rates, and what was suppressed."""

    def __init__(self) -> None:
        self._sites: dict[str, _Site] = {}

    def __repr__(self) -> str:
        nodes = sum(len(site.nodes) for site in self._sites.values())
        return f"<Bounds of {nodes} nodes in {len(self._sites)} sites>"

    def admit(self, site: str, node: str, now: float) -> bool:
        """Whether an entry may be written for this node; if not, it is counted."""
        whole = self._site(site, now)
        if whole is None:
            return False
        own = whole.node(node, now)
        for speaker in dict.fromkeys((own, whole)):  # what one has said before comes first
            if speaker.suppressed or not speaker.rate.take(now):
                speaker.suppressed += 1
                return False
        return True

    def due(self, now: float) -> tuple[Suppressed, ...]:
        """What was suppressed and may be said now: each an entry of its node's, and its site's."""
        found = []
        for site, whole in self._sites.items():
            if whole.suppressed and whole.rate.take(now):
                found.append(Suppressed(site, ALL, whole.suppressed))
                whole.suppressed = 0
            for node, one in whole.nodes.items():
                if one.suppressed and one.rate.take(now) and whole.rate.take(now):
                    found.append(Suppressed(site, node, one.suppressed))
                    one.suppressed = 0
        return tuple(found)

    def _site(self, name: str, now: float) -> _Site | None:
        if name not in self._sites:
            if len(self._sites) >= MAX_SITES:
                self._sites = {one: it for one, it in self._sites.items() if not it.idle(now)}
            if len(self._sites) >= MAX_SITES:
                return None
            self._sites[name] = _Site(now)
        return self._sites[name]
