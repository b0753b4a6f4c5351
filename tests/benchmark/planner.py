"""How long a decision takes, node pick included: 2,400 groups with 1,000, 10,000 and 100,000 nodes.

Run it: `python tests/benchmark/planner.py [--json] [--decisions N] [--full-policy]`. No mesh is
started: a view is built from adverts and descriptions as a site's would be, then wants of many
kinds are decided, with the news of an answer between any two. Each decision is timed alone, and
must have found a candidate or said why not. `answer` is what it takes to learn from the answer and
to bring the rows up to date, as a router does between two queries; `both`: the sum for one query.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Sequence

from edge_agent.garbage import settle_in
from middle_tier.scheduler.plan import choose
from middle_tier.scheduler.rules import Permit, permit_of
from middle_tier.scheduler.types import Candidate, Demand, Policy
from middle_tier.view import View
from protocol.adverts import Capacity, Description, Loaded, VariantInfo
from protocol.bundles import Task
from protocol.messages import Answer, Want
from protocol.types import Axes, Latency, Price, Profile, Tier

TASK = Task(
    name="images",
    inputs=(Axes(name="image", datatype="FP32", shape=(-1, 3, 224, 224)),),
    outputs=(Axes(name="scores", datatype="FP32", shape=(-1, 1000)),),
)
TIERS: tuple[Tier, ...] = ("edge", "middle", "cloud")
LINKS = {"edge": 2.0, "middle": 0.5, "cloud": 40.0}
HOURLY_USD = {"edge": 0.002, "middle": 0.05, "cloud": 0.79}
VARIANTS = 100
CLASSES = 12
BATCHES = (1, 4, 8, 16, 32)
POLICY = Policy(usd_per_gb={"middle-cloud": 0.05})
FULL_POLICY = Policy.model_validate(
    {
        "usd_per_gb": {"edge-middle": 0.001, "middle-cloud": 0.05},
        "prices": [
            {"hardware": f"class-{number}", "watts": 10 + number, "usd_per_kwh": 0.15}
            for number in range(0, CLASSES, 2)
        ],
        "permit": [
            {"tenant": "bank-*", "tiers": ["edge", "middle"], "leave_site": False},
            {"task": "images", "sites": ["site-*", "cloud"]},
        ],
        "prefer": {"usd_per_kwh": 0.3, "usd_per_accuracy_point": 1e-9},
    }
)
"""Everything that has a say in a decision: prices, permits, preferences."""


def spread(ms: float) -> Latency:
    return Latency(ms=(ms, 1.1 * ms, 1.2 * ms, 1.5 * ms, 2.0 * ms), count=100)


def infos(hardware: int, variants: int, chance: random.Random) -> tuple[VariantInfo, ...]:
    """Return what one class of hardware runs: the more accurate the slower."""
    speed = (1.0, 4.0, 12.0)[hardware % 3] * chance.uniform(0.7, 1.4)
    found = []
    for number in range(variants):
        base_ms = (2.0 + 1.2 * number * 100 / variants) / speed
        runs = {rows: spread(base_ms * (0.4 + 0.6 * rows)) for rows in BATCHES}
        found.append(
            VariantInfo(
                variant=f"net-{number}",
                task=TASK.name,
                architecture=f"net-{number // 4}",
                format="onnx",
                precision="fp32",
                accuracy=0.6 + 0.3 * number / variants,
                max_batch=32,
                size_bytes=10_000_000,
                profile=Profile(
                    load_ms=200.0 + 5 * number, memory_bytes=10**8, runs=runs, measured=True
                ),
            )
        )
    return tuple(found)


def build(nodes: int, *, variants: int = VARIANTS, classes: int = CLASSES, seed: int = 1) -> View:
    """Return a view in which every group, warm and cold, has a node."""
    chance = random.Random(seed)  # noqa: S311  # a benchmark's load, not a secret
    view = View("site-1")
    kits = [infos(hardware, variants, chance) for hardware in range(classes)]
    loaded = [
        tuple(
            Loaded(variant=f"net-{(start + 7 * step) % variants}", state="warm")
            for step in range(min(10, variants))
        )
        for start in range(variants)
    ]
    links = {tier: spread(LINKS[tier]) for tier in TIERS}
    prices = [
        Price(usd_per_hour=HOURLY_USD[TIERS[hardware % len(TIERS)]] * (1 + 0.1 * hardware))
        for hardware in range(classes)
    ]
    for number in range(nodes):
        hardware = number * classes // nodes
        tier = TIERS[hardware % len(TIERS)]
        advert = Capacity.model_construct(
            node=f"node-{number}",
            site="site-1",
            tier=tier,
            hardware=f"class-{hardware}",
            boot="1",
            sequence=1,
            loaded=loaded[number % variants],
            queue_ms=chance.choice((0.0, 0.0, 3.0, 30.0)),
            link=links[tier],
            mbps=200.0,
            price=prices[hardware],
            revision=1,
            period_s=1e6,
        )
        assert view.advert(advert, 0.0)
        view.describe(
            Description.model_construct(
                node=advert.node,
                site="site-1",
                revision=1,
                tasks=(TASK,),
                variants=kits[hardware],
            ),
            0.0,
        )
    return view


def demand(chance: random.Random, permits: Sequence[Permit | None]) -> Demand:
    """Return one of many wants, few of which are alike, of a tenant of several."""
    latency_ms = chance.uniform(15, 500)
    want = Want.model_construct(
        task=TASK.name,
        latency_ms=latency_ms,
        percentile=chance.choice((50.0, 90.0, 95.0, 99.0, 99.0, 99.9)),
        min_accuracy=chance.uniform(0.5, 0.89),
        max_cost_usd=chance.choice((None, None, 1e-5)),
        architecture=chance.choice((None,) * 9 + ("net-2",)),
    )
    return Demand(
        want=want,
        budget_ms=latency_ms,
        rows=chance.choice((1, 1, 1, 1, 2, 4, 8)),
        in_bytes=602_112,
        out_bytes=4_000,
        tiers=chance.choice((None,) * 5 + (("edge", "middle"),)),
        permit=chance.choice(permits),
    )


def answered(
    view: View, candidate: Candidate, rows: int, *, now: float, chance: random.Random
) -> None:
    """Play the query that was decided: it is sent, and answered much as its profile says."""
    view.sent(candidate, rows, now)
    row_ms = candidate.marginal_ms / rows * 32 / (0.4 + 0.6 * 32)
    run_ms = row_ms * (0.4 + 0.6 * rows) * chance.uniform(0.9, 1.15)
    answer = Answer(
        id="q",
        variant=candidate.variant,
        architecture=candidate.architecture,
        node=candidate.node,
        site=candidate.site,
        tier=candidate.tier,
        outputs=(),
        run_ms=run_ms,
        held_ms=run_ms + candidate.queue_ms,
        batch=rows,
        cold=False,
        queue_ms=chance.choice((0.0, 5.0)),
    )
    elapsed_ms = answer.held_ms + candidate.link_ms + candidate.transfer_ms
    view.observed(candidate, answer, elapsed_ms, now)


def measure(
    view: View, decisions: int, policy: Policy = POLICY, *, seed: int = 2
) -> dict[str, float]:
    """Time decisions, each alone, with an answer's news between any two."""
    tenants = ("acme", "bank-one", "other", "local")
    permits = [permit_of(policy.permit, tenant, TASK.name) for tenant in tenants]
    chance = random.Random(seed)  # noqa: S311  # a benchmark's load, not a secret
    groups = view.groups(TASK.name)
    wall, cpu, learnt, both, found = [], [], [], [], 0
    settle_in()
    for number in range(decisions + 500):
        asked, now = demand(chance, permits), number * 1e-2
        if number % 100 == 0:
            view.tick(now)  # as once a second, beside the decisions
        begin, cpu_begin = time.perf_counter(), time.thread_time()
        plan = choose(asked, groups, policy, now=now, seed=number)
        cpu_end, end = time.thread_time(), time.perf_counter()
        if number >= 500:  # the first ones meet each kind of want for the first time
            wall.append(end - begin)
            cpu.append(cpu_end - cpu_begin)
        assert plan.ranked or plan.counts
        if plan.ranked:
            found += 1
            begin_learning = time.perf_counter()
            answered(view, plan.ranked[0], asked.rows, now=now, chance=chance)
            groups.renew()  # as a router does at the end of the turn in which answers came
            learnt.append(time.perf_counter() - begin_learning)
            both.append(end - begin + learnt[-1])
    assert found > decisions / 2, "most wants can be met"
    return {
        "p50_us": quantile_us(wall, 0.5),
        "p99_us": quantile_us(wall, 0.99),
        "cpu_p50_us": quantile_us(cpu, 0.5),
        "cpu_p99_us": quantile_us(cpu, 0.99),
        "answer_p50_us": quantile_us(learnt, 0.5),
        "answer_p99_us": quantile_us(learnt, 0.99),
        "both_p50_us": quantile_us(both, 0.5),
        "both_p99_us": quantile_us(both, 0.99),
        "met_share": round(found / (decisions + 500), 3),
    }


def quantile_us(seconds: list[float], share: float) -> float:
    return round(sorted(seconds)[int(len(seconds) * share)] * 1e6, 1)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--nodes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--full-policy", action="store_true", help="permits, prices, preferences")
    options = parser.parse_args(arguments)
    policy = FULL_POLICY if options.full_policy else POLICY
    results = {}
    for nodes in options.nodes:
        begin = time.perf_counter()
        view = build(nodes)
        built_s = time.perf_counter() - begin
        live = int((view.table.columns.nodes[: view.table.columns.used] > 0).sum())
        results[f"{nodes} nodes"] = {
            "groups": live, "build_s": round(built_s, 1), **measure(view, options.decisions, policy)
        }  # fmt: skip
        if not options.json:
            print(f"{nodes:7,} nodes: {results[f'{nodes} nodes']}", flush=True)  # noqa: T201
        del view
    view = build(5, variants=10, classes=2)
    results["5 nodes x 10 variants"] = measure(view, options.decisions, policy)
    if options.json:
        sys.stdout.write(json.dumps(results) + "\n")
    else:
        print(f"5 nodes x 10 variants: {results['5 nodes x 10 variants']}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
