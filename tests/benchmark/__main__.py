"""``python -m tests.benchmark``: the same small model behind every contestant, in paired rounds.

What is measured and how, and the last figures, are in README.md beside this.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from protocol.bundles import MANIFEST, Manifest
from tests.benchmark import contestants, report
from tests.benchmark.contestants import ROOT, Contestant
from tests.benchmark.generator import load, responder, workshop
from tests.benchmark.machine import CORES, GENERATOR, SERVER, cpu_seconds, description, on
from tests.benchmark.workload import Workload, records, workload

DEMO = ROOT / "deploy" / "demo"


@dataclass(frozen=True)
class Bench:
    """What every measurement needs."""

    given: Workload
    seconds: float
    folder: Path
    program: Path


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if len(CORES) < 2:  # a server's core and the generator's
        raise SystemExit("the benchmark needs two cores: one for the server, one for the generator")
    chosen = [
        c for c in contestants.ALL if not options.only or any(o in c.name for o in options.only)
    ]
    with workshop() as (folder, program):
        bench = Bench(workload(options.model or smallest()), options.seconds, folder, program)
        say(f"{description()}\nmodel {bench.given.model.name}, {options.rounds} rounds\n")
        top = ceiling(bench)
        say(f"the generator's own ceiling at 32 clients: {top:,.0f} queries/s\n")
        rounds = [one_round(bench, chosen, number) for number in range(options.rounds)]
    say(f"{report.table(rounds)}\n\n{report.judged(rounds)}\n")
    if options.json:
        whole = {
            "machine": description(), "model": bench.given.model.name, "ceiling": top,
            "rounds": rounds, "medians": report.medians(rounds), "targets": report.verdicts(rounds),
        }  # fmt: skip
        options.json.write_text(json.dumps(whole, indent=1))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m tests.benchmark", description=__doc__)
    made.add_argument("--rounds", type=int, default=5, help="paired rounds (default 5)")
    made.add_argument("--seconds", type=float, default=2.0, help="measured time of each load")
    made.add_argument(
        "--model", type=Path, help="an ONNX digits model (default: the smallest demo one)"
    )
    made.add_argument("--only", action="append", help="contestants whose name contains this")
    made.add_argument("--json", type=Path, help="write everything measured to this file")
    return made


def smallest() -> Path:
    """The smallest fp32 ONNX file of the demo bundles."""
    found = [
        (variant.size_bytes, path.parent / variant.file)
        for path in DEMO.glob(f"*/{MANIFEST}")
        for variant in Manifest.parse(path.read_bytes()).variants
        if (variant.format, variant.precision) == ("onnx", "fp32")
    ]
    if not found:
        raise SystemExit(f"no ONNX variant below {DEMO}: name one with --model")
    return min(found)[1]


def ceiling(bench: Bench) -> float:
    """The generator against a server that does nothing."""
    body = bench.given.scores[0].tobytes()
    answer, requests = bench.folder / "answer", bench.folder / "requests"
    answer.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    request = contestants.oip(bench.given, bench.given.images[0])
    requests.write_bytes(records([request], bench.given.labels[:1]))
    with responder(bench.program, answer, SERVER) as port:
        return load(
            bench.program, port, requests, clients=report.MANY, seconds=1.0, cores=GENERATOR
        )["rate"]


def one_round(
    bench: Bench, chosen: Sequence[Contestant], number: int
) -> dict[str, dict[int, dict[str, float]]]:
    """Every contestant once, one after the other, each freshly started."""
    say(f"round {number + 1} ")
    measured = {"onnxruntime in a loop": {report.ONE: in_a_loop(bench)}}
    for contestant in chosen:
        measured[contestant.name] = measure(bench, contestant)
        say(".")
    say("\n")
    return measured


def in_a_loop(bench: Bench) -> dict[str, float]:
    command = [
        sys.executable,
        "-m",
        "tests.benchmark.ort_loop",
        bench.given.model,
        str(bench.seconds),
    ]
    with on(SERVER):
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(bench: Bench, contestant: Contestant) -> dict[int, dict[str, float]]:
    """One contestant, at one client and at many."""
    requests = bench.folder / "requests"
    made = [contestant.request(bench.given, image) for image in bench.given.images]
    requests.write_bytes(records(made, bench.given.labels))
    figures = {}
    with contestants.running(contestant, bench.given, bench.folder / "log") as server:
        for clients in (report.ONE, report.MANY):
            before = cpu_seconds(server.pid)
            got = load(
                bench.program, server.port, requests,
                clients=clients, seconds=bench.seconds, cores=contestant.generator_cores,
            )  # fmt: skip
            figures[clients] = got | {
                "per_cpu_s": got["served"] / (cpu_seconds(server.pid) - before)
            }
    return figures


def say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
