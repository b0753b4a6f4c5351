"""How fast the simulator is, and how much memory it takes, by the size of the fleet.

Run it: `python -m tests.benchmark.fleet [--policy NAME ...]`. The benchmark's scenario with 94,
1,000 and 100,000 nodes (200 sites), each in a process of its own; CPU seconds, as other work on the
machine changes them less. Targets: 5,000 simulated queries a second and policy with 1,000 nodes;
the largest in under 4 GB.
"""

import argparse
import resource
import sys
from multiprocessing import get_context
from time import process_time

from cloud_core.simulator.run import Job, run
from cloud_core.simulator.scenario import Scenario, load
from cloud_core.simulator.tables import kits
from tests.benchmark.scheduling import SCENARIO, say

SIZES = ((20, 3, 60.0), (20, 49, 60.0), (200, 499, 10.0))
"""Sites, devices at each, seconds: 94, 1,014 and 100,014 nodes."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.fleet")
    parser.add_argument("--policy", action="append", help="mesh, unless given; may be repeated")
    options = parser.parse_args(arguments)
    context = get_context("spawn")
    for name in options.policy or ["mesh"]:
        for size in SIZES:
            process = context.Process(target=measured, args=(name, *size))
            process.start()
            process.join()
            if process.exitcode:
                return 1
    return 0


def measured(name: str, sites: int, each: int, seconds: float) -> None:
    """Run one fleet under one policy, and print what it took."""
    scenario = grown(load(SCENARIO), sites, each, seconds)
    nodes = sum(
        fleet.sites * (fleet.per_site or 0) if fleet.sites > 1 else fleet.nodes or 0
        for fleet in scenario.fleets
    )
    begin = process_time()
    found = run(Job(scenario, kits(scenario), name))
    spent = process_time() - begin
    queries = found.figures.queries
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    say(
        f"{name:16}{nodes:8,} nodes {queries:7,} queries: {queries / spent:7,.0f} a CPU second"
        f" (whole run, setting up included), {queries / found.wall_s:7,.0f} a second of wall time,"
        f" {gigabytes:.2f} GB, met {100.0 * found.figures.met / queries:.2f} %\n"
    )


def grown(scenario: Scenario, sites: int, each: int, seconds: float) -> Scenario:
    """The same scenario with so many sites, and so many devices at each."""
    fleets = tuple(
        fleet.model_copy(
            update={"sites": sites, "per_site": each if fleet.name == "pi" else fleet.per_site}
        )
        if fleet.sites > 1
        else fleet
        for fleet in scenario.fleets
    )
    return scenario.model_copy(update={"fleets": fleets, "duration_s": seconds})


if __name__ == "__main__":
    sys.exit(main())
