"""Pure. Which member of a group: exact predictions for a few, and the power of two choices."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from operator import attrgetter
from typing import Literal, NamedTuple

from edge_agent.admission import MBPS_BYTES_PER_MS
from middle_tier.scheduler.columns import FACTOR
from middle_tier.scheduler.members import Member, Pool
from middle_tier.scheduler.table import Table
from protocol.adverts import VariantInfo
from protocol.types import Tier

LOOK_AT_ALL = 4
"""Groups up to this size are looked at member by member; larger ones by two choices."""

DRAWS = 8
"""Random members of a large pool that are tried in search of two that belong to a cold group."""

_LOAD = attrgetter("free_at_ms")
_FINISH = attrgetter("finish_ms")

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Predicted(NamedTuple):
    """One member's parts."""

    member: Member
    finish_ms: float
    link_ms: float
    transfer_ms: float
    queue_ms: float
    cold_ms: float
    run_ms: float


@dataclass(slots=True)
class Look:
    """What is the same for every group of one decision."""

    table: Table
    now_ms: float
    latest_ms: float
    percentile: float
    nbytes: int
    batch: int
    tried: frozenset[tuple[str, str]]
    seed: int
    quantile: int | None
    """Which of `QUANTILES` the percentile is; None: none of them."""


class Group(NamedTuple):
    """One row, opened."""

    pool: Pool
    crowd: list[Member]
    """Its members; of a cold one all of its pool."""
    info: VariantInfo
    warm_row: int
    warm: bool
    marginal_ms: float
    """What one row more adds to the queue of a node."""
    what: tuple[str, str, float, str, str, str]
    """What a `Candidate` of it begins with: variant to site ..."""
    where: tuple[Tier, bool, Literal["node", "site"]]
    """... and what follows the node's name there."""

    def __eq__(self, other: object) -> bool:
        """Alike in another table as well, where its pool is another object."""
        return isinstance(other, Group) and self[2:] == other[2:]

    def __hash__(self) -> int:
        return hash(self[3:])


def opened(table: Table, row: int) -> Group:
    pool = table.pool_of(row)
    cold, at = divmod(row - pool.first, pool.size)
    marginal_ms, info, key = table.columns.marginal_ms.item(row), pool.infos[at], pool.key
    what = info.variant, info.architecture, info.accuracy, info.format, key.hardware, key.site
    crowd = pool.members if cold else table.crowds.setdefault(row, [])
    where = key.tier, not cold, key.scope
    return Group(pool, crowd, info, pool.first + at, not cold, marginal_ms, what, where)


def best_of(look: Look, group: Group, run_ms: float) -> Predicted | None:
    """Return a member of the group with what is predicted of it; None when none may be asked.

    `run_ms` is what a run takes there, uncorrected.

    What it returns fits `latest_ms` whenever one of those that the row sums up does (all, in a
    group of 16 or fewer). Of a group with more than `LOOK_AT_ALL` members two are drawn and the
    better is taken; only when that does not fit are the others looked at.
    """
    crowd = group.crowd
    if len(crowd) <= LOOK_AT_ALL:
        return _best(look, group, run_ms, _turned(crowd, look.seed))
    few = _two(look.seed, group, crowd)
    if not group.warm and (pool := group.pool).loaders:
        few += pool.loaders.get(group.warm_row + pool.size, [])[:DRAWS]
    best = _best(look, group, run_ms, few)
    if best is not None and best.finish_ms <= look.latest_ms:
        return best
    # By queue, as that is what differs most: the first that fits ends the search.
    scanned = _scanned(look.table, group, crowd)
    return _best(look, group, run_ms, scanned, look.latest_ms) or best


def passing_of(look: Look, group: Group, run_ms: float) -> Predicted | None:
    """Return the member of a warm group that is the earliest when what is due later waits.

    Only of what this router has sent itself does it know when it is due.
    """
    crowd = group.crowd
    few = crowd if len(crowd) <= LOOK_AT_ALL else _scanned(look.table, group, crowd)
    each = [_best(look, group, run_ms, (member,)) for member in _turned(few, look.seed)]
    found = [_in_turn(look, seen) for seen in each if seen is not None]
    return min(found, key=_FINISH, default=None)


def _in_turn(look: Look, seen: Predicted) -> Predicted:
    before = max(0.0, seen.queue_ms - seen.member.due_after_ms(look.latest_ms))
    return seen._replace(finish_ms=seen.finish_ms - seen.queue_ms + before, queue_ms=before)


def members_of(table: Table, group: Group) -> list[Member]:
    """Return every member of a group: for explaining."""
    if group.warm:
        return table.crowds.get(group.warm_row, [])
    return [member for member in group.pool.members if group.warm_row not in member.warm]


def _best(
    look: Look, group: Group, run_ms: float, few: Sequence[Member], enough_ms: float = -1.0
) -> Predicted | None:
    """Return the earliest of a few, or the first that finishes by `enough_ms`.

    `edge_agent.admission.finish_ms`, added up here, as this is the inmost loop and each call takes
    as long as all of it.
    """
    if look.tried or not group.warm:
        few = [member for member in few if _may(look, group, member)]
    now_ms, nbytes, quantile, variant = look.now_ms, look.nbytes, look.quantile, group.what[0]
    usual: float = look.table.columns.now.item(FACTOR, group.warm_row)
    best, best_ms = None, inf
    for member in few:
        if member.barred and member.barred.get(variant, 0.0) > now_ms:
            continue
        queue = member.free_at_ms - now_ms
        if member.own_ms > queue:  # noqa: PLR1730  # `max` takes five times as long
            queue = member.own_ms
        link = member.link_ms(look.percentile) if quantile is None else member.ways_ms[quantile]
        transfer = nbytes / (member.mbps * MBPS_BYTES_PER_MS)
        cold = 0.0 if group.warm else _cold_ms(look, group, member)
        factor = usual * member.pace
        if member.factors:
            factor *= member.factors.get(variant, 1.0)
        run = run_ms * factor
        finish = link + transfer + queue + cold + run
        if finish < best_ms or best is None:
            best, best_ms = (member, finish, link, transfer, queue, cold, run), finish
            if finish <= enough_ms:
                break
    return None if best is None else tuple.__new__(Predicted, best)


def _may(look: Look, group: Group, member: Member) -> bool:
    """Whether it is in the group, and has not been asked."""
    if not group.warm and group.warm_row in member.warm:
        return False
    return (member.site, member.name) not in look.tried


def _cold_ms(look: Look, group: Group, member: Member) -> float:
    """Loading, after all that is being loaded; or what is left of it where it has begun."""
    load_ms, loading = group.pool.load_ms[group.warm_row - group.pool.first], member.loading
    if not loading:
        return load_ms
    ready_at_ms = loading.get(group.info.variant)
    if ready_at_ms is None:
        return load_ms + max(0.0, max(loading.values()) - look.now_ms)
    return min(len(loading) * load_ms, max(0.0, ready_at_ms - look.now_ms))


def _turned(crowd: Sequence[Member], seed: int) -> Sequence[Member]:
    """Begin elsewhere each time, so that of equals not always the same one is taken."""
    size = len(crowd)
    if size < 2:  # noqa: PLR2004  # one cannot be turned
        return crowd
    start = (seed * _GOLDEN & _MASK) % size
    return [*crowd[start:], *crowd[:start]] if start else crowd


def _two(seed: int, group: Group, crowd: Sequence[Member]) -> list[Member]:
    """Draw two different members of the group; fewer when they are hard to come by."""
    size, row = len(crowd), group.warm_row
    state = (seed + row) * _GOLDEN & _MASK
    state = (state ^ (state >> 29)) * _GOLDEN & _MASK
    one = (state >> 11) % size
    two = one - 1 - (state >> 37) % (size - 1)  # another: counted back from the first
    found = [crowd[one], crowd[two]]
    if group.warm:
        return found
    found = [member for member in found if row not in member.warm]
    for _ in range(DRAWS if len(found) < 2 else 0):  # noqa: PLR2004  # the power of two choices
        state = (state ^ (state >> 29)) * _GOLDEN & _MASK
        member = crowd[(state >> 11) % size]
        if row not in member.warm and member not in found:
            found.append(member)
            if len(found) == 2:  # noqa: PLR2004
                break
    return found


def _scanned(table: Table, group: Group, crowd: Sequence[Member]) -> Sequence[Member]:
    slots = table.columns.scan[group.warm_row if group.warm else group.pool.own_row]
    if len(crowd) <= len(slots):
        return sorted(crowd, key=_LOAD)
    found = (table.sums.members[slot] for slot in slots.tolist())
    alike = [member for member in found if member is not None and member.pool is group.pool]
    return sorted(alike, key=_LOAD)
