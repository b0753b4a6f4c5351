"""Pure. What an answer says besides its outputs: how they came about and what they cost."""

from typing import NamedTuple

from edge_agent.config import AgentConfig
from edge_agent.queue.batching import Waiting
from protocol.bundles import Variant
from protocol.messages import Answer
from protocol.types import Tensor


class Facts(NamedTuple):
    """What all members of a batch share."""

    run_ms: float
    rows: int
    queue_ms: float
    """Work that waits on the node now."""
    now: float


def answer_to(
    waiting: Waiting,
    outputs: tuple[Tensor, ...],
    config: AgentConfig,
    variant: Variant,
    facts: Facts,
) -> Answer:
    """The answer; each ask of a batch pays for its own rows."""
    share = waiting.rows / facts.rows
    return Answer(
        id=waiting.ask.id,
        variant=variant.id,
        architecture=variant.architecture,
        node=config.node,
        site=config.site,
        tier=config.tier,
        outputs=outputs,
        run_ms=facts.run_ms,
        held_ms=(facts.now - waiting.arrived) * 1e3,
        batch=facts.rows,
        cold=waiting.cold,
        queue_ms=facts.queue_ms,
        predicted_ms=waiting.predicted_ms,
        cost_usd=config.price.usd_per_busy_ms * facts.run_ms * share,
    )
