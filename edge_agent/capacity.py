"""Pure. What this node can do now, and what it is able to do at all, as messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge_agent.config import AgentConfig
from edge_agent.stock.holdings import Holding, Holdings
from protocol.adverts import Capacity, Description, Loaded, VariantInfo
from protocol.types import QUANTILES, Latency

State = Literal["ready", "draining", "leaving"]


@dataclass(frozen=True, slots=True)
class Moment:
    """What changes from one advert to the next."""

    sequence: int
    state: State
    queue_ms: float
    link: Latency
    revision: int


def capacity(
    config: AgentConfig, holdings: Holdings, moment: Moment, *, hardware: str, boot: str
) -> Capacity:
    """The node's advert."""
    return Capacity(
        node=config.node,
        site=config.site,
        tier=config.tier,
        hardware=hardware,
        boot=boot,
        sequence=moment.sequence,
        state=moment.state,
        period_s=config.period_s,
        loaded=tuple([_loaded(holding) for holding in holdings.resident()]),
        queue_ms=moment.queue_ms,
        memory_bytes=holdings.memory_bytes,
        memory_free_bytes=holdings.free_bytes,
        link=moment.link,
        mbps=config.mbps,
        price=config.price,
        revision=moment.revision,
    )


def description(
    config: AgentConfig, holdings: Holdings, unable: Mapping[str, str], revision: int
) -> Description:
    """Tasks, variants that can run here with their profiles, and why the others cannot."""
    able = [holding for holding in holdings.all.values() if holding.id not in unable]
    tasks = {holding.held.task.name: holding.held.task for holding in able}
    return Description(
        node=config.node,
        site=config.site,
        revision=revision,
        tasks=tuple(tasks.values()),
        variants=tuple([_info(holding) for holding in able]),
        unable=dict(unable),
    )


def latency(samples_ms: Sequence[float]) -> Latency:
    """The distribution of a few samples; all zero when there are none."""
    if not samples_ms:
        return Latency(ms=(0.0, 0.0, 0.0, 0.0, 0.0))
    ms = np.percentile(samples_ms, QUANTILES).tolist()
    return Latency(ms=tuple(ms), count=len(samples_ms))


def _loaded(holding: Holding) -> Loaded:
    return Loaded(variant=holding.id, state="warm" if holding.state == "warm" else "loading")


def _info(holding: Holding) -> VariantInfo:
    variant = holding.held.variant
    return VariantInfo(
        variant=variant.id,
        task=holding.held.task.name,
        architecture=variant.architecture,
        format=variant.format,
        precision=variant.precision,
        accuracy=variant.accuracy,
        max_batch=variant.max_batch,
        size_bytes=variant.size_bytes,
        profile=holding.profile,
    )
