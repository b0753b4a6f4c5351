"""What of the store can run on this node: found once, at start. Its life from then is warming's."""

from edge_agent.bundles.store import Held, Store
from edge_agent.config import AgentConfig
from edge_agent.hardware import memory_bytes
from edge_agent.profiler import Profiles
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.intake import Signature
from edge_agent.runtimes import registry
from edge_agent.stock.holdings import Holding, Holdings
from protocol.bundles import RuntimePin

MEMORY_SHARE = 0.5
"""Of the machine's memory, where the configuration does not say."""


def held_here(
    config: AgentConfig, store: Store, profiles: Profiles, hardware: str
) -> tuple[Holdings, dict[str, str]]:
    """The variants that can run here, and why the others cannot."""
    formats = config.runtimes
    pins = {
        form: pin
        for form, pin in registry.available().items()
        if formats is None or form in formats
    }
    unable = store.unable(pins, hardware)
    able = [held for name, held in store.held.items() if name not in unable]
    cap = config.memory_bytes or int(memory_bytes() * MEMORY_SHARE)
    holdings = [_holding(held, pins[held.variant.format], profiles, hardware) for held in able]
    return Holdings(holdings, cap), unable


def _holding(held: Held, pin: RuntimePin, profiles: Profiles, hardware: str) -> Holding:
    """With what was measured here before, else with the builder's figures."""
    profile = profiles.get(held.variant, pin, hardware) or held.variant.profile
    return Holding(
        held=held,
        pin=pin,
        signature=Signature(held.task),
        forecast=Forecast(profile),
        memory_bytes=profile.memory_bytes,
    )
