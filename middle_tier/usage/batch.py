"""Pure. What tenants have used between two looks at a gate's counts, as it travels to the cloud."""

from collections.abc import Iterable, Mapping
from typing import Annotated, NamedTuple

from pydantic import Field

from protocol.types import Count, Name, NonNegative, Wire


class Used(NamedTuple):
    """What one tenant has used."""

    queries: int = 0
    answered: int = 0
    met: int = 0
    rows: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: tuple[object, ...]) -> "Used":
        if not isinstance(other, Used):
            return NotImplemented
        return Used(
            self.queries + other.queries, self.answered + other.answered, self.met + other.met,
            self.rows + other.rows, self.cost_usd + other.cost_usd,
        )  # fmt: skip

    def since(self, before: "Used") -> "Used":
        """What was added since `before`."""
        return Used(
            self.queries - before.queries, self.answered - before.answered, self.met - before.met,
            self.rows - before.rows, self.cost_usd - before.cost_usd,
        )  # fmt: skip

    def document(self) -> dict[str, object]:
        """With the attainment: the share of queries whose want was met."""
        attainment = self.met / self.queries if self.queries else None
        return {**self._asdict(), "attainment": attainment}


class Line(Wire):
    """`Used` on the wire."""

    queries: Count = 0
    answered: Count = 0
    met: Count = 0
    rows: Count = 0
    cost_usd: NonNegative = 0.0


class Batch(Wire):
    """What a gate's tenants have used lately. Of each `gate`, numbers ascend: none counts twice."""

    gate: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,63}$")]
    number: Annotated[int, Field(ge=1, lt=2**63)]
    site: Name
    day: Count
    """Days since the epoch, UTC, by the gate's clock."""
    tenants: dict[Name, Line]

    @property
    def id(self) -> str:
        return f"{self.gate}.{self.number}"


def lines(used: Mapping[str, Used]) -> dict[str, Line]:
    return {tenant: Line(**one._asdict()) for tenant, one in used.items()}


def used(line: Line) -> Used:
    return Used(line.queries, line.answered, line.met, line.rows, line.cost_usd)


def difference(now: Mapping[str, Used], before: Mapping[str, Used]) -> dict[str, Used]:
    """What each tenant has used since; those that have used nothing are left out."""
    found = {tenant: one.since(before.get(tenant, Used())) for tenant, one in now.items()}
    return {tenant: one for tenant, one in found.items() if one != Used()}


def joined(batch: Batch, more: Mapping[str, Used]) -> Batch:
    """The batch, with more used on the same day."""
    total = {tenant: used(line) for tenant, line in batch.tenants.items()}
    for tenant, one in more.items():
        total[tenant] = total.get(tenant, Used()) + one
    return batch.model_copy(update={"tenants": lines(total)})


def summed(parts: Iterable[Used]) -> Used:
    total = Used()
    for part in parts:
        total += part
    return total
