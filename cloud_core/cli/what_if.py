"""What a policy would change, before it is applied: traffic, recent or given, under both.

Simulated here, on the operator's machine. What is not: `wants`, which are filled in before a gate
remembers a query. How sure answers are (`escalate`) is assumed: as sure as their variants are
accurate.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cloud_core.cli import show
from cloud_core.simulator.lately import Replay, Traffic, replay
from cloud_core.simulator.policies.replayed import outcome
from cloud_core.simulator.results import Outcome
from cloud_core.simulator.run import simulate
from cloud_core.simulator.scenario import Scenario, load
from middle_tier.scheduler.types import Policy

UNSEEN = ("wants",)
"""Parts of a policy that make no difference here."""

FIGURES = ("met_pct", "violation_pct", "refused", "mean_accuracy", "cost_usd", "energy_wh")


def compared(traffic: Path, now: Policy, then: Policy) -> dict[str, Any]:
    """Return the figures of one scenario under the policy in force, and under another."""
    scenario = load(traffic)
    return {
        "scenario": scenario.name,
        "assumed": _assumed(now, then),
        "now": _figures(scenario, now),
        "then": _figures(scenario, then),
    }


def lately(gates: Sequence[Traffic], now: Policy, then: Policy) -> dict[str, Any]:
    """Return the figures of what the gates were asked lately: the first knows the nodes."""
    one, other = replay(gates, now), replay(gates, then)
    return {
        "scenario": one.scenario.name,
        "queries": len(one.arrivals),
        "seconds": round(one.scenario.duration_s, 1),
        "assumed": _assumed(now, then),
        "unseen": [name for name in UNSEEN if getattr(now, name) != getattr(then, name)],
        "now": _live(one),
        "then": _live(other),
    }


def shown(found: dict[str, Any]) -> None:
    """Print both, and the difference."""
    now, then = found["now"], found["then"]
    rows = [(name, *_line(now[name], then[name])) for name in FIGURES if name in now]
    rows += [
        (f"{tier} share", *_line(now["tier_share"].get(tier, 0), then["tier_share"].get(tier, 0)))
        for tier in ("edge", "middle", "cloud")
    ]
    title = f"\nsimulated: {found['scenario']}"
    if "seconds" in found:
        title += f", {found['queries']:,} queries in {found['seconds']:,} s"
    show.console.print(title, highlight=False, markup=False)
    show.table(("figure", "now", "then", "change"), rows)
    for gate in found.get("silent", ()):
        show.remark(f"{gate} is silent: what it was asked is not in these figures")
    for name in found.get("unseen", ()):
        show.remark(f"{name}: not simulated, its change is not in these figures")
    if found.get("assumed"):
        show.aside.print(
            "escalate: how sure answers are is not recorded; they are taken to be as sure as their"
            " variants are accurate"
        )


def _assumed(now: Policy, then: Policy) -> list[str]:
    return ["escalate"] if now.escalate.share or then.escalate.share else []


def _figures(scenario: Scenario, policy: Policy) -> dict[str, Any]:
    return _read(simulate(scenario, ("mesh",), rules=policy).policies["mesh"])


def _live(one: Replay) -> dict[str, Any]:
    """Summaries of sites say what a busy hour costs, not what of that is energy."""
    figures = _read(outcome(one))
    del figures["energy_wh"]
    return figures


def _read(run: Outcome) -> dict[str, Any]:
    figures = run.figures.as_dict()
    return {**figures, "met_pct": 100.0 * figures["met"] / max(1, figures["queries"])}


def _line(now: float | None, then: float | None) -> tuple[str, str, str]:
    both = None if now is None or then is None else f"{then - now:+.4g}"
    return show.text(now), show.text(then), both or "-"
