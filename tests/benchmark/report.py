"""Pure. From what was measured to a table, ratios within each round, and targets met or not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Measured = Mapping[str, float]
Round = Mapping[str, Mapping[int, Measured]]
"""Contestant -> clients -> figures."""

ONE, MANY = 1, 32
FIGURES = ("rate", "p50_ms", "p99_ms", "per_cpu_s")


@dataclass(frozen=True)
class Target:
    """A ratio or a difference of two figures of one round, and what its median should be."""

    name: str
    figure: str
    clients: int
    of: str
    to: str
    kind: str
    """``ratio`` or ``difference``."""
    at_least: float | None = None
    at_most: float | None = None
    """Neither: no target, for orientation."""

    @property
    def wanted(self) -> str:
        if self.at_least is not None:
            return f">= {self.at_least}"
        return f"<= {self.at_most}" if self.at_most is not None else ""

    def values(self, rounds: Sequence[Round]) -> list[float]:
        """The figure of each round in which both were measured."""
        pairs = [
            (r[self.of][self.clients][self.figure], r[self.to][self.clients][self.figure])
            for r in rounds
            if self.of in r and self.to in r
        ]
        return [a / b if self.kind == "ratio" else a - b for a, b in pairs]

    def verdict(self, value: float) -> str:
        """``met``, ``NOT MET``, or nothing where there is no target."""
        if not self.wanted:
            return ""
        return "met" if self.met(value) else "NOT MET"

    def met(self, value: float) -> bool:
        return (self.at_least is None or value >= self.at_least) and (
            self.at_most is None or value <= self.at_most
        )


TARGETS = (
    Target("site of one: rate against FastAPI", "rate", MANY,
           "tiermesh serve", "fastapi, 1 worker", "ratio", at_least=1.3),
    Target("site of one: p50 against FastAPI", "p50_ms", ONE,
           "tiermesh serve", "fastapi, 1 worker", "ratio", at_most=1.1),
    Target("over NATS: rate against FastAPI", "rate", MANY,
           "tiermesh serve --nats", "fastapi, 2 workers", "ratio", at_least=1.0),
    Target("over NATS: p50 above site of one", "p50_ms", ONE,
           "tiermesh serve --nats", "tiermesh serve", "difference", at_most=0.5),
    Target("site of one: per CPU-second against FastAPI", "per_cpu_s", MANY,
           "tiermesh serve", "fastapi, 1 worker", "ratio"),
    Target("over NATS: per CPU-second against FastAPI", "per_cpu_s", MANY,
           "tiermesh serve --nats", "fastapi, 2 workers", "ratio"),
)  # fmt: skip


def medians(rounds: Sequence[Round]) -> dict[str, dict[int, dict[str, float]]]:
    """Each contestant's median figures, by number of clients."""
    seen = {(name, clients): None for r in rounds for name in r for clients in r[name]}
    table: dict[str, dict[int, dict[str, float]]] = {}
    for name, clients in seen:
        runs = [r[name][clients] for r in rounds if clients in r.get(name, {})]
        figures = {figure: median(run[figure] for run in runs) for figure in FIGURES}
        table.setdefault(name, {})[clients] = figures
    return table


def verdicts(rounds: Sequence[Round]) -> list[dict[str, object]]:
    """Each target with its median, its spread, and whether it was met."""
    lines: list[dict[str, object]] = []
    for target in TARGETS:
        values = target.values(rounds)
        if not values:
            continue
        lines.append({
            "target": target.name, "clients": target.clients, "wanted": target.wanted,
            "unit": "x" if target.kind == "ratio" else "ms", "median": median(values),
            "lowest": min(values), "highest": max(values),
            "verdict": target.verdict(median(values)),
        })  # fmt: skip
    return lines


def table(rounds: Sequence[Round]) -> str:
    """The medians as Markdown."""
    lines = [
        "| contestant | clients | queries/s | p50 ms | p99 ms | queries per server CPU-second |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, by_clients in medians(rounds).items():
        for clients, figures in by_clients.items():
            lines.append(
                f"| {name} | {clients} | {figures['rate']:,.0f} | {figures['p50_ms']:.3f} "
                f"| {figures['p99_ms']:.3f} | {figures['per_cpu_s']:,.0f} |"
            )
    return "\n".join(lines)


def judged(rounds: Sequence[Round]) -> str:
    """The targets as Markdown."""
    lines = [
        "| target | clients | wanted | median (lowest to highest) | |",
        "|---|---:|---:|---:|---|",
    ]
    for line in verdicts(rounds):
        unit = line["unit"]
        lines.append(
            f"| {line['target']} | {line['clients']} | {line['wanted']} "
            f"| {line['median']:.2f} {unit} ({line['lowest']:.2f} to {line['highest']:.2f}) "
            f"| {line['verdict']} |"
        )
    return "\n".join(lines)
