"""A scenario: what there is, what arrives, what goes wrong. The file's rules are all here.

What the named data files say is read by `tables`, `traces` and `network`.
"""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from cloud_core.simulator import yamlfile
from protocol.types import Name, NonNegative, Percentile, Positive, Price, Tier

Border = Literal["edge-middle", "middle-cloud"]
BORDERS: tuple[Border, ...] = ("edge-middle", "middle-cloud")
TIERS: tuple[Tier, ...] = ("edge", "middle", "cloud")
Metric = Literal["top1_pct", "f1", "mAP"]
Amount = Annotated[int, Field(ge=1, le=1_000_000)]


class Part(BaseModel):
    """Base of all that stands in the file: immutable, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Override(Part):
    """What is known of some variants beside the data files; an absent field changes nothing."""

    memory_mb: Positive | None = None
    load_ms: NonNegative | None = None
    accuracy: Annotated[float, Field(ge=0, le=100)] | None = None
    """Counts only where the data have none."""


class TaskPart(Part):
    """A task: how its accuracy is measured, and defaults for each of its variants."""

    metric: Metric = "top1_pct"
    input_kb: NonNegative = 0.0
    output_kb: NonNegative = 0.0
    memory_mb: Positive = 100.0
    load_ms: NonNegative = 1000.0
    variants: dict[str, Override] = {}
    """By glob on the model's name; a later one counts more."""


class Fleet(Part):
    """Nodes of one kind: hardware, tier, price; some at each of its sites."""

    name: Name
    system: str
    tier: Tier
    site: str
    sites: Amount = 1
    per_site: Amount | None = None
    nodes: Amount | None = None
    memory_mb: Positive = 4000.0
    held: Literal["always", "on_demand"] = "always"
    start_s: NonNegative = 0.0
    idle_s: NonNegative = 60.0
    price: Price = Price()

    @model_validator(mode="after")
    def _counted(self) -> "Fleet":
        if self.nodes is not None and (self.per_site is not None or self.sites > 1):
            raise ValueError("give nodes (at one site), or sites and per_site")
        if self.sites > 1 and "{i}" not in self.site:
            raise ValueError("several sites need {i} in `site`, as in site-{i}")
        for site in self.site_names[:1]:
            if not fnmatchcase(site, "[a-z0-9]*") or set(site) - set(_NAME):
                raise ValueError(f"{site!r} is no name of a site: use a-z, 0-9 and -")
        return self

    @property
    def each(self) -> int:
        """Nodes at each of its sites."""
        return self.nodes or self.per_site or 1

    @property
    def site_names(self) -> tuple[str, ...]:
        return tuple(self.site.replace("{i}", str(i)) for i in range(1, self.sites + 1))

    @property
    def on_demand(self) -> bool:
        return self.held == "on_demand"


_NAME = "abcdefghijklmnopqrstuvwxyz0123456789-"


class LinkPart(Part):
    """The way over one border between tiers."""

    rtt_ms: NonNegative = 0.0
    mbps: Positive | None = None
    mbps_file: Path | None = None
    usd_per_gb: NonNegative = 0.0

    @model_validator(mode="after")
    def _one_speed(self) -> "LinkPart":
        if self.mbps is not None and self.mbps_file is not None:
            raise ValueError("give mbps or mbps_file, not both")
        return self


class TracePart(Part):
    """Arrivals a second, from a file without header whose last column counts them."""

    file: Path
    scale: Positive = 1.0
    task: Name
    enters: Tier = "edge"


class WantPart(Part):
    """One kind of want, and its share of the queries."""

    weight: Positive = 1.0
    latency_ms: Positive
    percentile: Percentile = 99.0
    min_accuracy: Annotated[float, Field(ge=0, le=100)] = 0.0
    """In the metric's unit: percent for top1_pct."""
    max_cost_usd: NonNegative | None = None
    task: Name | None = None
    """Only of this task; None: of each."""


class FaultPart(Part):
    """Something that goes wrong, from `at_s` for `for_s`: nodes that slow down, or a cut border."""

    at_s: NonNegative
    for_s: Positive = 1e9
    slow: str | None = None
    """Glob on fleets' names."""
    factor: Positive = 2.0
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Of each such fleet's nodes, drawn from the seed."""
    cut: Border | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> "FaultPart":
        if (self.slow is None) == (self.cut is None):
            raise ValueError("give slow (a fleet) or cut (a border), one of the two")
        return self


class Scenario(Part):
    """All of it. `folder` is what relative paths in it count from."""

    seed: Annotated[int, Field(ge=0)] = 0
    duration_s: Annotated[float, Field(gt=0, le=1e6)]
    profiles: Annotated[tuple[Path, ...], Field(min_length=1)]
    tasks: Annotated[dict[Name, TaskPart], Field(min_length=1)]
    fleets: Annotated[tuple[Fleet, ...], Field(min_length=1)]
    links: dict[Border, LinkPart] = {}
    traces: Annotated[tuple[TracePart, ...], Field(min_length=1)]
    wants: Annotated[tuple[WantPart, ...], Field(min_length=1)]
    faults: tuple[FaultPart, ...] = ()
    name: str = Field(default="", exclude=True)
    folder: Path = Field(default=Path(), exclude=True)

    @field_validator("fleets")
    @classmethod
    def _told_apart(cls, fleets: tuple[Fleet, ...]) -> tuple[Fleet, ...]:
        names = [fleet.name for fleet in fleets]
        for at, name in enumerate(names):
            if name in names[:at]:
                raise ValueError(f"at fleets.{at}.name: two fleets are named {name!r}: rename one")
        return fleets

    @model_validator(mode="after")
    def _joined(self) -> "Scenario":
        names = [fleet.name for fleet in self.fleets]
        for at, fault in enumerate(self.faults):
            if fault.slow and not any(fnmatchcase(name, fault.slow) for name in names):
                known = ", ".join(names)
                raise ValueError(f"at faults.{at}.slow: no fleet is named {fault.slow!r}: {known}")
        named: dict[str, str | None] = {
            **{f"traces.{at}.task": trace.task for at, trace in enumerate(self.traces)},
            **{f"wants.{at}.task": want.task for at, want in enumerate(self.wants)},
        }
        for place, task in named.items():
            if task is not None and task not in self.tasks:
                raise ValueError(f"at {place}: no task {task!r} in tasks: {', '.join(self.tasks)}")
        for trace in self.traces:
            if not any(want.task in (None, trace.task) for want in self.wants):
                raise ValueError(f"at wants: none is of task {trace.task!r}, which a trace has")
        return self

    def at(self, path: Path) -> Path:
        """Return where a file named in the scenario is."""
        return self.folder / path


def load(path: Path) -> Scenario:
    """Return the scenario in a file; raise `BadRequestError` with the line and how to mend it."""
    scenario = yamlfile.read(path, Scenario)
    return scenario.model_copy(update={"name": path.stem, "folder": path.parent})
