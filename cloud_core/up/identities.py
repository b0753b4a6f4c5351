"""Credentials of everything that `tiermesh up` starts: minted on the first start, then kept.

What is kept stays what it is: a node that was revoked is revoked in the next start as well.
"""

from collections.abc import Iterable, Sequence

from cloud_core.identity.authority import Authority, Holder
from cloud_core.identity.provisioned import Provisioned, write_provisioned
from cloud_core.up.layout import Layout
from cloud_core.up.servers import Trust

LIFETIME_S = 30 * 86_400.0
"""Of a node's JWT; it is renewed at half of it."""


def minted(layout: Layout, cloud: str, site: str, edges: Sequence[str], now: float) -> Trust:
    """Write what is missing of credentials; return whom servers are to believe."""
    authority = Authority.kept(layout.identity, now)
    for holder in _infrastructure(cloud, site):
        authority.credentials(holder, layout.credentials(f"{holder.role}-{holder.site}"), now=now)
    nodes = []
    for edge in edges:
        holder = Holder("agent", edge, site)
        path = layout.credentials(f"agent-{edge}")
        found = authority.credentials(holder, path, now=now, lifetime_s=LIFETIME_S)
        nodes.append(Provisioned(public=found.public, node=edge, site=site, tier="edge"))
    write_provisioned(layout.provisioned, nodes)
    return trust_of(authority)


def trust_of(authority: Authority) -> Trust:
    """Return whom a server of this authority's mesh believes."""
    accounts = authority.accounts
    return Trust(authority.operator_jwt, accounts.mesh, accounts.system, authority.preload())


def _infrastructure(cloud: str, site: str) -> Iterable[Holder]:
    yield Holder("cloud", cloud, cloud, tier="cloud", parent=cloud)
    yield Holder("resolver", cloud, cloud, tier="cloud", parent=cloud)
    yield Holder("site", site, site, tier="middle", parent=cloud)
    yield Holder("leaf", site, site, tier="middle", parent=cloud)
    yield Holder("resolver-leaf", site, site, tier="middle", parent=cloud)
