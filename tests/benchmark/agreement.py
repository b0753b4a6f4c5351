"""A running mesh beside the simulator: the same arrivals, in real processes and stepped.

Run it: `python -m tests.benchmark.agreement [--rounds 3]`. `tiermesh up` with nodes on the table
runtime and its relays (2 and 40 ms), asked at the site's gate; the scenario says the same of it.
Tier shares should be within 5 points of each other, attainment (after the first tenth, when what is
needed has been loaded) within 3; median of the rounds.
"""

import argparse
import asyncio
import csv
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import yaml

from cloud_core.builder.measure import GOLDEN, Measured
from cloud_core.builder.package import bundle
from cloud_core.simulator.results import STEADY_FROM as STEADY
from cloud_core.simulator.run import simulate
from cloud_core.simulator.scenario import TIERS, Scenario, load
from cloud_core.simulator.tables import kits
from cloud_core.simulator.world import World
from cloud_core.up.topology import PRICES
from middle_tier.client import AsyncMesh
from middle_tier.scheduler.types import Policy
from protocol.bundles import Binding, RuntimePin, Task, Variant, digest_key
from protocol.errors import MeshError
from protocol.types import Axes, Latency, Profile

TASK = Task(
    name="waiting",
    inputs=(Axes(name="x", datatype="FP32", shape=(-1, 4)),),
    outputs=(Axes(name="y", datatype="FP32", shape=(-1, 2)),),
)
VARIANTS = (("quick", 0.70, 60.0), ("good", 0.80, 150.0))
"""Name, accuracy, run time in ms (to 1.3 times as much at the 99.9th percentile)."""
SPREAD = (1.0, 1.1, 1.15, 1.2, 1.3)
LOAD_MS = 300.0
"""Beside the run on golden inputs, with which a node ends each load."""
WANTS = (
    {"latency_ms": 200, "percentile": 95, "min_accuracy": 65},
    {"latency_ms": 500, "percentile": 95, "min_accuracy": 75},
)
SECONDS, RATE = 40, 16


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.agreement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as name:
        folder = Path(name)
        a_bundle(folder / "bundles")
        scenario = a_scenario(folder)
        foreseen = simulated(scenario)
        say(f"simulated  {shown(foreseen)}\n")
        rounds = []
        for number in range(options.rounds):
            rounds.append(measured(scenario, folder, number))
            say(f"round {number + 1}    {shown(rounds[-1])}\n")
    found = {key: median(one[key] for one in rounds) for key in foreseen}
    say(f"median     {shown(found)}\n")
    for key, within in (*((tier, 5.0) for tier in TIERS), ("met", 3.0)):
        off = abs(found[key] - foreseen[key])
        judged = "within" if off <= within else "NOT within"
        say(f"  {key}: off by {off:.1f} points ({judged} {within:g})\n")
    return 0


def a_bundle(out: Path) -> None:
    """Write the table variants as a bundle, as the builder would."""
    made = []
    out.mkdir()
    for name, accuracy, ms in VARIANTS:
        runs = {"1": [ms * each for each in SPREAD]}
        table = {"runs": runs, "load_ms": LOAD_MS, "memory_bytes": 1000, "outputs": {"y": [2]}}
        path = out / f"{name}.json"
        path.write_text(json.dumps(table))
        data = path.read_bytes()
        golden = {GOLDEN: {"y": np.zeros((1, 2), np.float32)}}
        made.append(Measured(a_variant(name, accuracy, ms, data), path, golden))
    bundle("waiting", TASK, {"x": np.zeros((1, 4), np.float32)}, made, out=out)


def a_variant(name: str, accuracy: float, ms: float, data: bytes) -> Variant:
    return Variant(
        id=f"{name}.table", architecture=name, format="table", precision="fp32",
        file=f"{name}.json", digest=digest_key(sha256(data).hexdigest()), size_bytes=len(data),
        accuracy=accuracy, batches=(1,), max_batch=1,
        inputs={"x": Binding(name="x", datatype="FP32")},
        outputs={"y": Binding(name="y", datatype="FP32")},
        runtimes=(RuntimePin(name="table", version="1"),),
        profile=Profile(
            load_ms=LOAD_MS + ms, memory_bytes=1000,
            runs={1: Latency.model_validate({"ms": [ms * each for each in SPREAD]})},
        ),
    )  # fmt: skip


def a_scenario(folder: Path) -> Scenario:
    """The same mesh, as a scenario: `up`'s prices and relays, queries that enter at the site."""
    with (folder / "tables.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("system", "model", "top1_pct", "p50_ms", "p90_ms", "p95_ms", "p99_ms"))
        for name, accuracy, ms in VARIANTS:
            writer.writerow(("box", name, 100 * accuracy, *(ms * each for each in SPREAD[:4])))
    (folder / "trace.csv").write_text("".join(f"{at},0,1,{RATE}\n" for at in range(SECONDS)))
    stood = (("edge", "site-1", 2), ("middle", "site-1", 1), ("cloud", "cloud", 1))
    fleets = [
        {
            "name": name, "system": "box", "tier": name, "site": site, "sites": 1,
            "per_site": count, "price": PRICES[name].model_dump(),
        }
        for name, site, count in stood
    ]  # fmt: skip
    document = {
        "seed": 1, "duration_s": SECONDS, "profiles": ["tables.csv"],
        "tasks": {
            "waiting": {
                "input_kb": 0.1, "output_kb": 0.1,
                "variants": {name: {"load_ms": LOAD_MS + ms} for name, _, ms in VARIANTS},
            }
        },
        "fleets": fleets,
        "links": {"edge-middle": {"rtt_ms": 2}, "middle-cloud": {"rtt_ms": 40}},
        "traces": [{"file": "trace.csv", "task": "waiting", "enters": "middle"}],
        "wants": list(WANTS),
    }  # fmt: skip
    path = folder / "scene.yaml"
    path.write_text(yaml.safe_dump(document))
    return load(path)


def simulated(scenario: Scenario) -> dict[str, float]:
    figures = simulate(scenario, ["mesh"], rules=Policy()).policies["mesh"].figures
    shares = {tier: 100.0 * figures.tier_share[tier] for tier in TIERS}
    return {**shares, "met": 100.0 - figures.steady_violation_pct}


def measured(scenario: Scenario, folder: Path, number: int) -> dict[str, float]:
    """Start a mesh, ask what the scenario asks when it asks it, stop the mesh."""
    place = folder / f"mesh-{number}"
    arguments = (
        "--port",
        "0",
        "--edges",
        "2",
        "--bundles",
        folder / "bundles",
        "--detach",
        "--json",
    )
    with stopped_behind(place):
        started = json.loads(tiermesh("up", "--dir", place, *arguments))
        gate = next(gate["url"] for gate in started["gates"] if gate["site"] == "site-1")
        outcomes = asyncio.run(asked(scenario, gate, started["token"]))
    tiers = Counter(tier for tier, _ in outcomes if tier)
    shares = {tier: 100.0 * tiers[tier] / max(1, tiers.total()) for tier in TIERS}
    come = World(scenario, kits(scenario)).arrivals.at_s
    steady = [met for (_, met), at in zip(outcomes, come, strict=True) if at >= STEADY * SECONDS]
    return {**shares, "met": 100.0 * sum(steady) / len(steady)}


GUARD = 'read how; "$@"; [ "$how" ] || for n in 1 2 3 4 5; do sleep 1; "$@"; done'
"""Stops the mesh when a pipe ends; when it ends without a word, also one that is just starting."""


@contextmanager
def stopped_behind(place: Path) -> Iterator[None]:
    """Stop the mesh of a folder however the block ends, even if this process is killed in it."""
    command = ["sh", "-c", GUARD, "sh", *tiermesh_command("down", "--dir", place)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True, text=True,
    ) as guard:  # fmt: skip
        try:
            yield
        finally:
            guard.communicate("over\n")


async def asked(scenario: Scenario, gate: str, token: str) -> list[tuple[str, bool]]:
    come = World(scenario, kits(scenario)).arrivals
    loop = asyncio.get_running_loop()
    async with AsyncMesh(gate, token) as mesh:
        await mesh.task("waiting")
        begin = loop.time() + 0.5

        async def ask(number: int) -> tuple[str, bool]:
            want = scenario.wants[int(come.want[number])]
            await asyncio.sleep(begin + float(come.at_s[number]) - loop.time())
            sent = loop.time()
            try:
                got = await mesh.ask(
                    "waiting", {"x": np.zeros((1, 4), np.float32)}, latency_ms=want.latency_ms,
                    percentile=want.percentile, min_accuracy=want.min_accuracy / 100.0,
                )  # fmt: skip
            except MeshError:
                return "", False
            return got.tier, (loop.time() - sent) * 1e3 <= want.latency_ms

        return await asyncio.gather(*(ask(number) for number in range(len(come))))


def tiermesh_command(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("tiermesh")), *map(str, arguments)]


def tiermesh(*arguments: object) -> str:
    command = tiermesh_command(*arguments)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=180)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def shown(one: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:5.1f} %" for name, value in one.items())


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
