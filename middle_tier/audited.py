"""Where a site records what it refuses to trust: the cloud's audit log, where there is a cloud."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from edge_agent.audit import Audit, Logged
from edge_agent.bus.streams import Streams
from edge_agent.clock import Clock
from edge_agent.reports.telling import telling
from middle_tier.config import SiteConfig
from middle_tier.gate import Gate
from middle_tier.refused import recorded
from middle_tier.usage.metering import GATE


@asynccontextmanager
async def audited(
    config: SiteConfig, gate: Gate, audit: Audit | None, streams: Streams | None, clock: Clock
) -> AsyncIterator[Audit]:
    """Yield `audit`, or what tells the cloud's, or the own log; what the gate refuses is in it."""
    async with AsyncExitStack() as stack:
        kept = audit or Logged()
        if audit is None and streams is not None and config.parent is not None:
            speaker = config.site, config.agent.node if config.agent is not None else GATE
            kept = await stack.enter_async_context(
                telling(config.kept_dir, speaker, streams, clock)
            )
        await stack.enter_async_context(recorded(gate.refused, kept, clock))
        yield kept
