"""Pure. What `tiermesh top` shows, from what the gates say: sums and rates. How it looks: drawn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cloud_core.cli import nodes

TIERS = nodes.TIERS
LAST = 10
"""Decisions shown."""
BUSY_MS = 1000.0
"""A queue this long counts as full load."""


class Seen(NamedTuple):
    """One look at the mesh."""

    at: float
    """Seconds since the epoch."""
    nodes: list[dict[str, Any]]
    policy: Mapping[str, Any]
    gates: Sequence[Mapping[str, Any]]
    """`GET /v1/now` of each."""
    silent: tuple[str, ...] = ()
    """Gates that did not answer."""


def summed(now: Seen, before: Seen | None) -> dict[str, Any]:
    """Return everything shown as one document; rates are since `before`, or since the start."""
    was = {} if before is None else _tiers(before)
    start = min((gate["since"] for gate in now.gates), default=now.at)
    seconds = max(1e-3, now.at - (start if before is None else before.at))
    found = _tiers(now)
    decisions = [
        {"gate": gate["site"], **each} for gate in now.gates for each in gate["decisions"][:LAST]
    ]
    return {
        "at": now.at,
        "seconds": round(seconds, 3),
        "revision": now.policy["revision"],
        "silent": list(now.silent),
        "tiers": [
            {**_load(tier, now.nodes), **_figures(tier, found, was, seconds)} for tier in TIERS
        ],
        "mesh": _figures(None, found, was, seconds),
        "unanswered": _unanswered(now.gates),
        "under_way": sum(gate.get("under_way", 0) for gate in now.gates),
        "nodes": [_node(one) for one in nodes.by_tier(now.nodes)],
        "decisions": decisions,
    }


def _tiers(seen: Seen) -> dict[str, dict[str, float]]:
    """What all gates have answered since their start, by tier.

    A query that a site hands on is counted by the gate that it came in by, and by no other.
    """
    sums: dict[str, dict[str, float]] = {}
    for gate in seen.gates:
        for tier, figures in gate.get("tiers", {}).items():
            own = sums.setdefault(tier, {})
            for name, value in figures.items():
                own[name] = own.get(name, 0) + value
    return sums


def _figures(
    tier: str | None,
    found: Mapping[str, Mapping[str, float]],
    was: Mapping[str, Mapping[str, float]],
    seconds: float,
) -> dict[str, float | None]:
    """Return counts and rates of one tier, or of all."""

    def of(name: str) -> float:
        names = TIERS if tier is None else (tier,)
        return sum(found.get(t, {}).get(name, 0) - was.get(t, {}).get(name, 0) for t in names)

    answers = of("answers")
    if answers <= 0:
        return {"queries": 0, "qps": 0.0, "met_pct": None, "mean_ms": None, "usd_per_1000": None}
    return {
        "queries": int(answers),
        "qps": answers / seconds,
        "met_pct": 100.0 * of("met") / answers,
        "mean_ms": of("elapsed_ms") / answers,
        "usd_per_1000": 1000.0 * of("cost_usd") / answers,
    }


def _load(tier: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    own = [one for one in found if one["advert"]["tier"] == tier]
    alive = [one for one in own if one["health"] == "alive"]
    shares = [_share(one) for one in alive]
    return {
        "tier": tier,
        "nodes": len(own),
        "alive": len(alive),
        "warm": sum(_warm(one) for one in alive),
        "load": sum(shares) / len(shares) if shares else 0.0,
    }


def _node(one: Mapping[str, Any]) -> dict[str, Any]:
    advert = one["advert"]
    return {
        **{name: advert[name] for name in ("tier", "site", "node", "state", "hardware")},
        "health": one["health"],
        "warm": _warm(one),
        "load": _share(one),
        "queue_ms": advert["queue_ms"],
    }


def _share(one: Mapping[str, Any]) -> float:
    """Return how full a node's queue is."""
    return min(1.0, float(one["advert"]["queue_ms"]) / BUSY_MS)


def _warm(one: Mapping[str, Any]) -> int:
    return sum(each["state"] == "warm" for each in one["advert"]["loaded"])


def _unanswered(gates: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for gate in gates:
        for why, number in gate.get("unanswered", {}).items():
            sums[why] = sums.get(why, 0) + number
    return sums
