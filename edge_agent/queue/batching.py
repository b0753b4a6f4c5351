"""Pure. Which queued asks run together next. When they run is lanes' and the agent's business."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from edge_agent.near import Where
from protocol.codec import Bytes
from protocol.messages import Ask

TYPICAL = 50.0
"""What more often than not would miss its objective is not worth the wait of others."""


TURN_S = 0.0002
"""What each run takes beside itself: begun, and answered, for all of a batch at once."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One admitted ask. All instants are seconds on this node's own monotonic clock."""

    ask: Ask
    buffers: tuple[Bytes, ...]
    """Its inputs' bytes, in the task's order."""
    reply: Where
    rows: int
    arrived: float
    due: float
    """Its objective; infinite once that cannot be met any more: then it waits for all that can
    still make theirs, until its hard deadline."""
    deadline: float
    predicted_ms: float
    cold: bool = False
    """It came before the variant was warm."""
    alone: bool = False
    """Never run with others: a batch that it was in has failed."""
    cost_ms: float = 0.0
    """What it was counted at when it was queued."""


class Batch(NamedTuple):
    """What to do with the first `looked_at` asks of a lane."""

    members: tuple[Waiting, ...]
    """Run these together now."""
    late: tuple[Waiting, ...]
    """Drop these: they cannot finish by their hard deadline."""
    postponed: tuple[Waiting, ...]
    """These miss their objective anyway: they wait for all that can still make theirs."""
    looked_at: int


def next_batch(
    asks: Iterable[Waiting],
    *,
    now: float,
    run_s: Callable[[int, float], float],
    max_rows: int,
) -> Batch:
    """Take asks in order for as long as every member is still in time.

    `asks` are of one variant and shape, in the order in which they run: each tenant's by `due`.
    `run_s` predicts seconds for rows at a percentile. Of those that would be in time together, so
    many run as take the least time each.
    """
    members: list[Waiting] = []
    late: list[Waiting] = []
    postponed: list[Waiting] = []
    rows, percentile, end, looked_at = 0, 0.0, inf, 0
    for waiting in asks:
        together = rows + waiting.rows
        highest = max(percentile, waiting.ask.percentile)
        if members and (waiting.alone or members[0].alone or together > max_rows):
            break
        finish = now + run_s(together, highest)
        if members and finish > min(end, waiting.due, waiting.deadline):
            break
        looked_at += 1
        if finish > waiting.deadline:
            late.append(waiting)
        elif finish > waiting.due < now + run_s(together, TYPICAL):
            postponed.append(waiting)
        else:
            members.append(waiting)
            rows, percentile, end = together, highest, min(end, waiting.due)
    few = thriftiest([waiting.rows for waiting in members], run_s)
    looked_at -= len(members) - few  # members come last: those after the few wait as they did
    return Batch(tuple(members[:few]), tuple(late), tuple(postponed), looked_at)


def thriftiest(rows: Sequence[int], run_s: Callable[[int, float], float]) -> int:
    """Return how many of the first asks take the least time a row when they run together.

    Two rows in a batch that is made for eight may take longer than one after the other.
    """
    few, least, together = 0, inf, 0
    for number, each in enumerate(rows, start=1):
        together += each
        share_s = (run_s(together, TYPICAL) + TURN_S) / together
        if share_s <= least:
            few, least = number, share_s
    return few
