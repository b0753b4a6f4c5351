"""What an operator may change about an agent, and why; and how every process reads its file.

Read once, by `__main__`; everything else is handed the values.
"""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from protocol.bundles import Format
from protocol.errors import BadRequestError
from protocol.types import Name, NonNegative, Positive, Price, Tier


def kept_dir(name: str) -> Path:
    """Where a process of this name keeps its state unless its configuration says so."""
    return Path("~/.tiermesh/state").expanduser() / name


class Config(BaseModel):
    """Base of every configuration: immutable, and strict about names, because typos exist."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AgentConfig(Config):
    """One agent: who it is, what it may use, how it tells."""

    node: Name
    """Its name within the site. Two agents of one name fight over the same asks."""

    site: Name
    """The site whose routers may ask it."""

    tier: Tier = "edge"
    """Where it stands: policies and tokens permit tiers."""

    nats_url: str = "nats://127.0.0.1:4222"
    """The site's NATS server. One that is not up yet is waited for."""

    nats_credentials: Path | None = None
    """Its credentials file, which `tiermesh-agent enrol` has written; none on a mesh without
    identities."""

    nats_ca: Path | None = None
    """The certificate authority that the NATS server's certificate must be signed by: nothing is
    said to any other. Null: no TLS, for loopback."""

    trust: Path | None = None
    """The first root of the mesh's bundles (`1.root.json`), which it came with: whose signatures
    count. None: it holds no bundles of a mesh."""

    bundles: tuple[Path, ...] = ()
    """Repositories on this machine (a stick, a copy): looked into before the site is asked, and
    believed no more than that. Needs `trust`."""

    update_s: Positive = 10.0
    """Between two looks for newer bundles. Lower sees them sooner; an order to update is heeded at
    once all the same."""

    state_dir: Path = Field(default_factory=lambda said: kept_dir(said.get("node", "node")))
    """What it learns and keeps across starts: measured profiles. Lost, it is measured again. By
    default in `~/.tiermesh/state`, wherever it was started."""

    price: Price = Price()
    """What it costs while it works and while it is held: decides who is cheapest."""

    memory_bytes: Annotated[int, Field(gt=0)] | None = None
    """What loaded variants may take together; None: half of the machine's memory. Higher keeps more
    variants warm, and leaves less to everything else on the machine."""

    threads: Annotated[int, Field(ge=1, le=256)] = 1
    """Threads within one run. Higher shortens a run of a large model, and lengthens that of a tiny
    one."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Runs at a time. More than cores / threads only makes every run slower."""

    queue_limit: Annotated[int, Field(ge=1)] = 1024
    """Rows that may wait. Asks beyond are refused at once, so that their router tries elsewhere. An
    ask that is larger than this by itself is taken when nothing else waits."""

    warm: tuple[str, ...] = ()
    """Globs of variant ids to load at start. The rest is loaded on the first ask or on order."""

    runtimes: tuple[Format, ...] | None = None
    """Formats that it may run; None: every one whose runtime is installed."""

    hardware: Name | None = None
    """Hardware class, where it should not be found out: nodes of one class share profiles."""

    period_s: Positive = 2.0
    """Longest silence between two adverts. Lower notices a dead node sooner (suspect after 3
    missed, gone after 10), and costs nodes / period_s messages a second at the site."""

    ping_s: Positive = 10.0
    """Between two pings of its NATS server: after three without a reply the connection is dead, and
    made anew. Lower notices a silent cut sooner, and costs 1 / ping_s messages a second."""

    mbps: Positive = 1000.0
    """Bandwidth of its link to the site, 10^6 bits a second: the time of large tensors."""

    inline_below_ms: NonNegative = 0.25
    """Runs predicted shorter than this run on the event loop itself: handing them to a thread costs
    more than they do. Higher saves that more often, and delays whatever else the loop has to do."""

    measure_s: NonNegative = 0.5
    """Running time for measuring a variant that was never measured here; while nobody asks, and
    given up after the run under way, until later, when somebody does. More knows large batches
    better. 0: never measure; the builder's figures stand."""

    drain_s: NonNegative = 10.0
    """Longest time to finish what is queued when told to stop. What is left then is refused."""

    @model_validator(mode="after")
    def _vouched_for(self) -> "AgentConfig":
        if self.bundles and self.trust is None:
            raise ValueError("bundles are loaded when somebody vouches for them: set trust")
        return self


ConfigT = TypeVar("ConfigT", bound=BaseModel)


def read(path: Path, model: type[ConfigT]) -> ConfigT:
    """Return the configuration in a TOML or JSON file, by its suffix.

    Raises `BadRequestError`, which names the file, the field and how to mend it. Relative paths in
    the file are left as they are: relative to where the process runs.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadRequestError(f"{path}: cannot be read: {why}", "give a .toml or .json") from error
    try:
        return model.model_validate(_PARSERS[_suffix(path)](text))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise BadRequestError(f"{path}: {error}", f"mend the {_suffix(path)[1:]} there") from error
    except ValidationError as error:
        raise _fault(path, model, error) from error


_PARSERS = {".toml": tomllib.loads, ".json": json.loads}


def _suffix(path: Path) -> Literal[".toml", ".json"]:
    match path.suffix.lower():
        case ".toml":
            return ".toml"
        case ".json":
            return ".json"
    raise BadRequestError(f"{path}: neither TOML nor JSON by its name", "name it .toml or .json")


def _fault(path: Path, model: type[BaseModel], error: ValidationError) -> BadRequestError:
    """The first fault, by its place in the file; secrets in the values are not repeated."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the whole file"
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(model.model_fields)) if len(first["loc"]) == 1 else ""
        return BadRequestError(
            f"{path}: {place}: no such field", f"known here: {known}" if known else "remove it"
        )
    if first["type"] == "missing":
        return BadRequestError(f"{path}: {place}: is missing", f"add {place}")
    return BadRequestError(f"{path}: {place}: {first['msg']}", f"mend {place}")
