"""What the nodes of a fleet have in common, and the stand-ins for what only a real node has."""

from pathlib import Path

from cloud_core.simulator.scenario import Fleet
from edge_agent.bundles.store import Held
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.intake import Signature
from edge_agent.stock.holdings import Holding
from protocol.adverts import VariantInfo
from protocol.bundles import Binding, RuntimePin, Task, Variant, digest_key
from protocol.messages import Ask
from protocol.types import Axes, Latency

PIN = RuntimePin(name="table", version="1")


class Kind:
    """What the nodes of a fleet have in common."""

    def __init__(
        self, fleet: Fleet, infos: tuple[VariantInfo, ...], tasks: dict[str, Task]
    ) -> None:
        self.fleet = fleet
        self.tier = fleet.tier
        self.on_demand = fleet.on_demand
        self.infos = infos
        self.by_variant = {info.variant: info for info in infos}
        self._signatures = {name: Signature(task) for name, task in tasks.items()}
        self._tasks = tasks
        self._held: dict[str, Held] = {}
        self._runs: dict[tuple[str, int], Latency] = {}

    def run(self, variant: str, rows: int) -> Latency:
        """Return what a run of so many rows takes: `Profile.run`, remembered."""
        found = self._runs.get((variant, rows))
        if found is None:
            found = self._runs[variant, rows] = self.by_variant[variant].profile.run(rows)
        return found

    def holding(self, variant: str) -> Holding:
        """Return the variant as a node of this kind holds it before it was ever loaded."""
        info = self.by_variant[variant]
        held = self._held.get(variant)
        if held is None:
            held = self._held[variant] = Held(_variant(info), self._tasks[info.task], Path())
        return Holding(
            held,
            PIN,
            self._signatures[info.task],
            Forecast(info.profile),
            info.profile.memory_bytes,
        )


def _variant(info: VariantInfo) -> Variant:
    return Variant(
        id=info.variant,
        architecture=info.architecture,
        format="table",
        precision=info.precision,
        file=f"{info.variant[:60]}.json",
        digest=digest_key("0" * 64),
        size_bytes=info.size_bytes,
        accuracy=info.accuracy,
        max_batch=info.max_batch,
        inputs={"input": Binding(name="input", datatype="UINT8")},
        outputs={"output": Binding(name="output", datatype="UINT8")},
        runtimes=(PIN,),
        profile=info.profile,
    )


def a_task(name: str, metric: str, *, input_bytes: int, output_bytes: int) -> Task:
    """Return a task of which only the bytes matter."""
    return Task(
        name=name,
        metric=metric,
        inputs=(Axes(name="input", datatype="UINT8", shape=(-1, input_bytes)),),
        outputs=(Axes(name="output", datatype="UINT8", shape=(-1, output_bytes)),),
    )


def an_ask(want: int, percentile: float) -> Ask:
    """Return an ask that stands for all of one kind of want: the queue reads the percentile."""
    return Ask(
        id=f"w{want}", variant="any", inputs=(), budget_ms=1.0, deadline_ms=1.0,
        percentile=percentile,
    )  # fmt: skip
