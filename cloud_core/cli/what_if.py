"""What a policy would change, before it is applied: given traffic, simulated under both."""

from pathlib import Path
from typing import Any

from cloud_core.cli import show
from cloud_core.simulator.run import simulate
from cloud_core.simulator.scenario import Scenario, load
from middle_tier.scheduler.types import Policy

FIGURES = ("met_pct", "violation_pct", "refused", "mean_accuracy", "cost_usd", "energy_wh")


def compared(traffic: Path, now: Policy, then: Policy) -> dict[str, Any]:
    """Return the figures of one scenario under the policy in force, and under another."""
    scenario = load(traffic)
    return {
        "scenario": scenario.name,
        "now": _figures(scenario, now),
        "then": _figures(scenario, then),
    }


def shown(found: dict[str, Any]) -> None:
    """Print both, and the difference."""
    now, then = found["now"], found["then"]
    rows = [(name, *_line(now[name], then[name])) for name in FIGURES]
    rows += [
        (f"{tier} share", *_line(now["tier_share"].get(tier, 0), then["tier_share"].get(tier, 0)))
        for tier in ("edge", "middle", "cloud")
    ]
    show.table(("figure", "now", "then", "change"), rows, title=f"simulated: {found['scenario']}")


def _figures(scenario: Scenario, policy: Policy) -> dict[str, Any]:
    figures = simulate(scenario, ("mesh",), rules=policy).policies["mesh"].figures.as_dict()
    return {**figures, "met_pct": 100.0 * figures["met"] / max(1, figures["queries"])}


def _line(now: float | None, then: float | None) -> tuple[str, str, str]:
    both = None if now is None or then is None else f"{then - now:+.4g}"
    return show.text(now), show.text(then), both or "-"
