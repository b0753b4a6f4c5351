"""Pure. How `tiermesh top` looks in so many columns and lines. What it shows: topped."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cloud_core.cli import show

TIERS = (
    "tier", "nodes", "alive", "warm", "load", "queries", "q/s", "met %", "mean ms", "USD/1000",
)  # fmt: skip
NODES = ("tier", "site", "node", "health", "state", "hardware", "warm", "load", "queue ms")
DECISIONS = (
    "gate", "tenant", "task", "variant", "node", "tier", "predicted ms", "took ms", "cost USD",
    "met",
)  # fmt: skip
SPARE = (
    "predicted ms", "hardware", "tenant", "gate", "cost USD", "warm", "queries", "queue ms", "task",
    "state", "mean ms", "alive", "took ms", "USD/1000", "nodes", "site", "load",
)  # fmt: skip
"""What is left out where there are too few columns, the first first."""
LEAST = 3
"""Decisions that are shown, however many nodes there are."""
GAP = 2


def drawn(found: Mapping[str, Any], *, width: float = inf, height: float = inf) -> RenderableType:
    """Return it as people read it: nothing wider, and of nodes those in trouble where not all fit.

    `found` is what `topped.summed` returns.
    """
    head = _head(found)
    left = (
        height - len(found["tiers"]) - 7 - sum(1 + len(x) // width for x in head.plain.split("\n"))
    )
    last = [_decision(one) for one in found["decisions"]]
    last = last[: int(max(LEAST, min(len(last), left - len(found["nodes"]))))]
    lines, more = _nodes(found["nodes"], left - len(last))
    parts: list[RenderableType] = [head, Text(), _table(TIERS, _tiers(found), width), Text()]
    parts += [_table(NODES, lines, width), *more, Text()]
    return Group(*parts, _table(DECISIONS, last, width, title="last decisions"))


def bar(share: float, width: int = 8) -> str:
    """Return a share as a bar and a percentage."""
    full = round(min(1.0, max(0.0, share)) * width)
    return f"{'█' * full}{'░' * (width - full)} {share:4.0%}"


def narrowed(columns: Sequence[str], rows: Sequence[Sequence[str]], width: float) -> list[int]:
    """Return the places of the columns for which there is room."""
    wide = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    kept = list(range(len(columns)))
    for name in SPARE:
        if sum(wide[at] + GAP for at in kept) - GAP <= width:
            break
        kept = [at for at in kept if columns[at] != name]
    return kept


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], width: float, *, title: str = ""
) -> Table:
    kept = narrowed(columns, [[show.text(one) for one in row] for row in rows], width)
    shown = [[row[at] for at in kept] for row in rows]
    return show.made([columns[at] for at in kept], shown, title=title)


def _head(found: Mapping[str, Any]) -> Text:
    whole = found["mesh"]
    head = Text(f"policy revision {found['revision']} · {found['under_way']} under way · ")
    head.append(f"{_text(whole['qps'])} q/s · {_text(whole['met_pct'])} % met · ")
    head.append(f"{_text(whole['usd_per_1000'])} USD per 1,000 queries")
    for gate in found["silent"]:
        head.append(f"\n{gate} does not answer", style="bold red")
    if found["unanswered"]:
        said = ", ".join(f"{number} {why}" for why, number in found["unanswered"].items())
        head.append(f"\nwithout an answer: {said}")
    return head


def _tiers(found: Mapping[str, Any]) -> list[tuple[object, ...]]:
    names = ("tier", "nodes", "alive", "warm")
    figures = ("queries", "qps", "met_pct", "mean_ms", "usd_per_1000")
    return [
        (*(one[name] for name in names), bar(one["load"]), *(_text(one[n]) for n in figures))
        for one in found["tiers"]
    ]


def _nodes(
    nodes: Sequence[Mapping[str, Any]], room: float
) -> tuple[list[tuple[object, ...]], list[Text]]:
    """Return lines for as many as there is room for, and the one that counts the others."""
    shown, more = list(nodes), []
    if len(nodes) > room:
        shown = sorted(nodes, key=_trouble)[: int(max(LEAST, room - 1))]
        more = [Text(f"and {len(nodes) - len(shown):,} more nodes", style="dim")]
    names = NODES[:7]
    lines = [(*(one[n] for n in names), bar(one["load"]), _text(one["queue_ms"])) for one in shown]
    return lines, more


def _trouble(one: Mapping[str, Any]) -> tuple[bool, bool, float]:
    """In which order operators look: who is not well, who takes nothing, who has most to do."""
    return one["health"] == "alive", one["state"] == "ready", -one["load"]


def _decision(one: Mapping[str, Any]) -> tuple[object, ...]:
    names = (one["gate"], one["tenant"], one["task"], one["variant"], one["node"], one["tier"])
    times = (f"{one['predicted_ms']:.2f}", f"{one['elapsed_ms']:.2f}")
    return (*names, *times, f"{one['cost_usd']:.3g}", one["met"])


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.3g}"
