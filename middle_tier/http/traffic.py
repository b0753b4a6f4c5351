"""Pure. What has been asked lately and what could answer it: for replays, by operators only.

No payload, no id, no answer: of each query when it came, and which kind it was. Kinds name tenants,
as what a policy permits depends on them.
"""

from collections.abc import Iterable, Mapping

from middle_tier.http.behind import Answering
from middle_tier.http.tally import Asked
from protocol.messages import Query
from protocol.types import Wire

Kind = tuple[object, ...]


def lately(router: Answering, asked: Iterable[Asked], now: float) -> dict[str, object]:
    """Return the queries remembered, oldest first, and every site with what it can run now."""
    places: dict[Kind, int] = {}
    kinds: list[dict[str, object]] = []
    came: list[tuple[float, int]] = []
    for started, query in asked:
        kind = query.want, query.inputs, query.tenant, query.tiers
        place = places.get(kind)
        if place is None:
            place = places[kind] = len(kinds)
            kinds.append(_kind(router, query))
        came.append((round(now - started, 4), place))
    below = [seen.summary for seen in router.view.sites(now) if seen.health != "gone"]
    return {
        "site": router.site,
        "kinds": kinds,
        "asked": came,
        "sites": [_plain(site) for site in (router.capacity(), *below)],
    }


def _kind(router: Answering, query: Query) -> dict[str, object]:
    demand = router.demand(query)
    return {
        "want": _plain(query.want),
        "tenant": query.tenant,
        "tiers": query.tiers,
        "rows": demand.rows,
        "in_bytes": demand.in_bytes,
        "out_bytes": demand.out_bytes,
    }


def _plain(message: Wire) -> Mapping[str, object]:
    return message.model_dump(mode="json")
