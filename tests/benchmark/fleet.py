"""How fast the simulator is, and how much memory it takes, by the size of the fleet.

Run it: `python -m tests.benchmark.fleet [--policy NAME|all ...] [--nodes 1014 ...]`. It runs the
scenario of `scheduling` with 94, 1,014 and 100,014 nodes (200 sites), each in a process of its own.
CPU seconds, as other work on the machine changes them less, and setting up apart. Targets: 5,000
simulated queries a second and policy with 1,000 nodes; the largest in under 4 GB.
"""

import argparse
import resource
import sys
from multiprocessing import get_context
from time import process_time

from cloud_core.simulator.run import POLICIES, Job, run
from cloud_core.simulator.scenario import Scenario, load
from cloud_core.simulator.tables import kits
from tests.benchmark.scheduling import SCENARIO, say

SIZES = {94: (20, 3, 60.0), 1_014: (20, 49, 60.0), 100_014: (200, 499, 10.0)}
"""By nodes: sites, devices at each, seconds."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark.fleet")
    parser.add_argument("--policy", action="append", help="mesh, unless given; may be repeated")
    parser.add_argument("--nodes", action="append", type=int, choices=SIZES, help="all of them")
    options = parser.parse_args(arguments)
    context = get_context("spawn")
    named = options.policy or ["mesh"]
    for name in POLICIES if "all" in named else named:
        for nodes in options.nodes or SIZES:
            process = context.Process(target=measured, args=(name, nodes))
            process.start()
            process.join()
            if process.exitcode:
                return 1
    return 0


def measured(name: str, nodes: int) -> None:
    """Run one fleet under one policy, and print what it took."""
    begin, told = process_time(), list[float]()
    scenario = grown(load(SCENARIO), *SIZES[nodes])
    job = Job(scenario, kits(scenario), name)
    found = run(job, lambda _name, _done: told.append(process_time()))
    end, queries = process_time(), found.figures.queries
    ready = told[0]  # progress is first told of when the first query comes
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    say(
        f"{name:16}{nodes:8,} nodes: {ready - begin:5.1f} s of CPU to set up, then {queries:,}"
        f" queries, {queries / (end - ready):,.0f} a CPU second; {queries / (end - begin):,.0f}"
        f" with both; {queries / found.wall_s:,.0f} a second of wall time, {gigabytes:.2f} GB,"
        f" met {100.0 * found.figures.met / queries:.2f} %\n"
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
