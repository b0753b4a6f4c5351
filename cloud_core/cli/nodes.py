"""`tiermesh nodes`: who runs models, how they are, and taking one out of service."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import typer

from cloud_core.cli import enrol, show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, Where, where
from cloud_core.cli.sending import post
from protocol.errors import ConflictError, UnknownError

app = typer.Typer(help="The nodes of the mesh.", no_args_is_help=True)

TIERS = ("edge", "middle", "cloud")
COLUMNS = ("tier", "site", "node", "health", "state", "hardware", "warm", "queue ms", "link ms")


RUNS = (
    "variant", "answers", "predicted p50", "observed p50", "predicted p99", "observed p99",
    "correction",
)  # fmt: skip


@app.command("list")
def list_(
    context: typer.Context,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List the nodes, by tier. Sites whose nodes cannot be seen now are named beside it."""
    nodes, silent = _seen(where(context, url, token, folder))
    if as_json:
        show.as_json({"nodes": nodes})
    else:
        show.table(COLUMNS, (row(node) for node in by_tier(nodes)))
    for said in silent:
        show.remark(said)


@app.command("show")
def show_(
    context: typer.Context,
    node: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show one node: what is warm, what it can run, what it cannot; predicted against observed."""
    found = _one(*_seen(where(context, url, token, folder)), node)
    if as_json:
        show.as_json(found)
        return
    advert = found["advert"]
    hidden = {"kind", "version", "loaded", "link", "boot", "sequence", "revision"}
    pairs = [(name, value) for name, value in advert.items() if name not in hidden]
    loaded = [f"{one['variant']} ({one['state']})" for one in advert["loaded"]]
    show.fields([*pairs, ("health", found["health"]), ("silent_s", found["silent_s"])])
    show.fields([("in memory", loaded), ("can run", found["variants"])])
    show.table(("cannot run", "why"), found["unable"].items())
    if found.get("runs"):
        show.table(RUNS, (_runs(one) for one in found["runs"]), title="a run of one row, in ms")


@app.command()
def drain(
    context: typer.Context,
    node: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Let a node finish what it has and take nothing new."""
    _order(where(context, url, token, folder), node, "drain", as_json=as_json)


@app.command()
def resume(
    context: typer.Context,
    node: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Let a drained node take queries again."""
    _order(where(context, url, token, folder), node, "resume", as_json=as_json)


@app.command()
def revoke(
    context: typer.Context,
    node: str,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Disconnect a node for good, at once, wherever it is connected."""
    enrol.change(where(context, url, token, folder), node, "revoke", as_json=as_json)


def by_tier(nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pure. Return the nodes in the order in which they are shown."""

    def place(node: Mapping[str, Any]) -> tuple[object, ...]:
        advert = node["advert"]
        return TIERS.index(advert["tier"]), advert["site"], advert["node"]

    return sorted(nodes, key=place)


def row(node: Mapping[str, Any]) -> tuple[object, ...]:
    """Pure. Return one line of the list."""
    advert = node["advert"]
    warm = sum(one["state"] == "warm" for one in advert["loaded"])
    names = (advert["tier"], advert["site"], advert["node"], node["health"], advert["state"])
    link = advert["link"]["ms"][0]
    return (*names, advert["hardware"], warm, round(advert["queue_ms"], 2), round(link, 2))


def unseen(nodes: Sequence[Mapping[str, Any]], sites: Sequence[Mapping[str, Any]]) -> list[str]:
    """Pure. Say of which sites no node can be seen, though they have some."""
    seen = {node["advert"]["site"] for node in nodes}
    return [
        f"{site['site']} is {site['health']}, unheard for {site['silent_s']:.0f} s: "
        f"its {sum(site['nodes'].values())} nodes cannot be seen from here"
        for site in sites
        if site["nodes"] and site["site"] not in seen
    ]


def _seen(place: Where) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the nodes, and what is to be said of those that cannot be seen."""
    with place.mesh() as mesh:
        nodes = mesh.nodes()
        return nodes, unseen(nodes, mesh.sites())


def _one(nodes: list[dict[str, Any]], silent: list[str], name: str) -> dict[str, Any]:
    """Return the node of this name, or of ``site/node`` where two sites have one."""
    site, _, node = name.rpartition("/")
    adverts = [(one["advert"], one) for one in nodes]
    found = [
        one
        for advert, one in adverts
        if advert["node"] == node and (not site or advert["site"] == site)
    ]
    names = ", ".join(f"{advert['site']}/{advert['node']}" for advert, _ in adverts)
    if not found:
        raise UnknownError(f"no node {name[:127]!r}", "; ".join((f"there are {names}", *silent)))
    if len(found) > 1:
        raise ConflictError(f"{node} is in several sites", f"say which: {names}")
    return found[0]


def _order(place: Where, name: str, verb: str, *, as_json: bool) -> None:
    advert = _one(*_seen(place), name)["advert"]
    path = f"/v1/nodes/{quote(advert['site'])}/{quote(advert['node'])}/{verb}"
    done = post(place, path)
    if as_json:
        show.as_json(done)
    else:
        show.plain(f"{verb}: {advert['site']}/{advert['node']}")


def _runs(one: Mapping[str, Any]) -> tuple[str, ...]:
    ms = ("predicted_p50_ms", "observed_p50_ms", "predicted_p99_ms", "observed_p99_ms")
    figures = (f"{one[name]:.3g}" for name in ms)
    return (one["variant"], str(one["count"]), *figures, f"x{one['correction']:.2f}")
