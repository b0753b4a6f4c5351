"""Pure. The report of a simulation: one HTML file with tables and plots, complete in itself."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import accumulate

from cloud_core.simulator import svg
from cloud_core.simulator.results import Outcome, Results
from cloud_core.simulator.scenario import TIERS, Fleet, Scenario

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --paper: #fff; --faint: #8a929a; --grid: #e4e7ea;
  --c0: #2563eb; --c1: #111827; --c2: #dc2626; --c3: #d97706; --c4: #7c3aed; --c5: #059669;
  --c6: #db2777; --c7: #0891b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ea; --paper: #14171a; --faint: #8a929a;
  --grid: #2a2f34; --c0: #60a5fa; --c1: #e5e7eb; --c2: #f87171; --c3: #fbbf24; --c4: #a78bfa;
  --c5: #34d399; --c6: #f472b6; --c7: #22d3ee; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 1240px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: .95rem; margin: .5rem 0 .2rem; font-weight: 600; }
p, summary { color: var(--faint); margin: .2rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .4rem; text-align: right; border-bottom: 1px solid var(--grid); }
table { font-size: .82rem; } td { white-space: nowrap; }
th { font-weight: 600; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem 1.5rem; }
.plots > div { max-width: 560px; }
svg { max-width: 100%; height: auto; } svg text { font-size: 11px; fill: var(--faint); }
.grid { stroke: var(--grid); } .axis { stroke: var(--ink); stroke-dasharray: 3 3; }
.key { display: inline-block; margin-right: 1rem; } .key i { display: inline-block; width: 14px;
  height: 4px; margin-right: 6px; vertical-align: middle; }
.wide { overflow-x: auto; }
"""

COLUMNS = (
    "policy", "wants met", "unmet", "unmet, steady", "refused", "accuracy", "below accuracy",
    "cost", "energy", "edge", "middle", "cloud", "cold starts", "decision us p50", "p99",
)  # fmt: skip


def page(scenario: Scenario, results: Results) -> str:
    """Return the page."""
    names = list(results.policies)
    parts = (
        f"<h1>{escape(results.scenario)}</h1>",
        _about(scenario, results),
        "<h2>What came of it</h2>",
        _table(COLUMNS, (_row(name, one) for name, one in results.policies.items())),
        _distance(results),
        "<h2>Over time</h2>",
        _keys(names),
        '<div class="plots">',
        *_over_time(scenario, results),
        "</div>",
        "<h2>Where it ran</h2>",
        _keys(TIERS),
        '<div class="plots">',
        *_tiers(scenario, results),
        "</div>",
        "<h2>What there was</h2>",
        _table(("fleet", "system", "tier", "nodes", "held", "price"), map(_fleet, scenario.fleets)),
        _notes(results.notes),
    )
    title = f"tiermesh simulate: {escape(results.scenario)}"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body>\n{''.join(parts)}\n</body></html>\n"
    )


def _about(scenario: Scenario, results: Results) -> str:
    queries = next(iter(results.policies.values())).figures.queries
    return (
        f"<p>{queries:,} queries in {scenario.duration_s:g} s; seed {results.seed}; simulated in "
        f"{results.wall_s:.1f} s, {results.queries_per_s:,.0f} queries a second and policy.</p>"
    )


def _row(name: str, one: Outcome) -> tuple[str, ...]:
    figures = one.figures
    met = 100.0 * figures.met / figures.queries if figures.queries else 0.0
    return (
        name, f"{met:.2f} %", f"{figures.violation_pct:.2f} %",
        f"{figures.steady_violation_pct:.2f} %", f"{figures.refused:,}",
        f"{figures.mean_accuracy:.2f}", f"{figures.below_accuracy_pct:.2f} %",
        f"${figures.cost_usd:.4g}", f"{figures.energy_wh:.3g} Wh",
        *(f"{100.0 * figures.tier_share[tier]:.1f} %" for tier in TIERS),
        f"{figures.cold_starts:,}", figures.decided_us("p50"), figures.decided_us("p99"),
    )  # fmt: skip


def _distance(results: Results) -> str:
    """Cost over the oracle's bound, where the oracle was run."""
    oracle = results.policies.get("oracle")
    if oracle is None or oracle.figures.cost_usd <= 0:
        return ""
    ratios = [
        (name, one.figures.cost_usd / oracle.figures.cost_usd)
        for name, one in results.policies.items()
    ]
    missed = [
        (name, 100.0 * float((oracle.met & ~one.met).sum()) / max(1, int(oracle.met.sum())))
        for name, one in results.policies.items()
    ]
    return (
        '<h2>Distance to the oracle</h2><div class="plots">'
        f"<div><h3>cost over the oracle's bound (logarithmic)</h3>"
        f"{svg.bars(ratios, mark=1.0, unit=' x')}</div>"
        f"<div><h3>unmet of the wants that it meets (logarithmic; dashed: 1 %)</h3>"
        f"{svg.bars(missed, mark=1.0, unit=' %')}</div></div>"
    )


def _over_time(scenario: Scenario, results: Results) -> Iterable[str]:
    end_s, every = scenario.duration_s, results.policies.items()
    attained = [
        (name, [None if share is None else 100.0 * share for share in one.over_time.attainment])
        for name, one in every
    ]
    yield f"<div><h3>wants met</h3>{svg.lines(attained, end_s, unit=' %')}</div>"
    spent = [(name, list(accumulate(one.over_time.usd))) for name, one in every]
    yield f"<div><h3>cost so far</h3>{svg.lines(spent, end_s, unit=' $', floor_=0.0)}</div>"
    near = [(name, usd) for name, usd in spent if name in ("mesh", "oracle")]
    if len(near) > 1:
        drawn = svg.lines(near, end_s, unit=" $", floor_=0.0)
        yield f"<div><h3>cost so far, mesh and oracle alone</h3>{drawn}</div>"
    accuracy = [(name, one.over_time.accuracy) for name, one in every]
    yield f"<div><h3>accuracy of answers</h3>{svg.lines(accuracy, end_s, unit='')}</div>"


def _tiers(scenario: Scenario, results: Results) -> Iterable[str]:
    for name, one in results.policies.items():
        shares = [(tier, one.over_time.shares[tier]) for tier in TIERS]
        yield f"<div><h3>{escape(name)}</h3>{svg.stacked(shares, scenario.duration_s)}</div>"


def _keys(names: Sequence[str]) -> str:
    keys = (
        f'<span class="key"><i style="background:{svg.colour(at)}"></i>{escape(name)}</span>'
        for at, name in enumerate(names)
    )
    return f"<div>{''.join(keys)}</div>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _fleet(fleet: Fleet) -> tuple[str, ...]:
    price = fleet.price
    held = f"on demand, {fleet.start_s:g} s to start" if fleet.on_demand else "always"
    energy = f"{price.watts:g} W at ${price.usd_per_kwh:g}/kWh" if price.watts else ""
    rent = f"${price.usd_per_hour:g}/h" if price.usd_per_hour else ""
    return (
        fleet.name, fleet.system, fleet.tier, f"{fleet.each * fleet.sites:,}", held,
        ", ".join(part for part in (energy, rent) if part) or "free",
    )  # fmt: skip


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    lines = "".join(f"<li>{escape(note)}</li>" for note in notes)
    said = f"<summary>{len(notes)} decisions about the data</summary>"
    return f"<details>{said}<ul>{lines}</ul></details>"
