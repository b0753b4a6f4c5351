"""What of a store can run on this node. Its life from then is warming's."""

from edge_agent.bundles.store import Held, Store
from edge_agent.config import AgentConfig
from edge_agent.hardware import memory_bytes
from edge_agent.profiler import Profiles
from edge_agent.queue.forecast import Forecast
from edge_agent.queue.intake import Signature
from edge_agent.runtimes import registry
from edge_agent.stock.holdings import Holding
from edge_agent.stock.measurement import completed
from protocol.bundles import Format, RuntimePin

MEMORY_SHARE = 0.5
"""Of the machine's memory, where the configuration does not say."""


class Inventory:
    """What this machine can run, and how fast it was."""

    def __init__(self, config: AgentConfig, profiles: Profiles, hardware: str) -> None:
        self._config = config
        self._profiles = profiles
        self._hardware = hardware
        self._pins = pins(config)

    @property
    def memory_bytes(self) -> int:
        """What all holdings may take together."""
        return self._config.memory_bytes or int(memory_bytes() * MEMORY_SHARE)

    def taken(self, store: Store) -> tuple[list[Holding], dict[str, str]]:
        """The variants that can run here, cold, and why the others cannot."""
        unable = store.unable(self._pins, self._hardware)
        able = [held for name, held in store.held.items() if name not in unable]
        return [
            _holding(held, self._pins[held.variant.format], self._profiles, self._hardware)
            for held in able
        ], unable


def pins(config: AgentConfig) -> dict[Format, RuntimePin]:
    """The runtimes that this node has and may use."""
    formats = config.runtimes
    return {
        form: pin
        for form, pin in registry.available().items()
        if formats is None or form in formats
    }


def _holding(held: Held, pin: RuntimePin, profiles: Profiles, hardware: str) -> Holding:
    """With what was measured here before, else with the builder's figures."""
    known = profiles.get(held.variant, pin, hardware) or held.variant.profile
    profile = known.but(runs=completed(known.runs, held.variant))
    return Holding(
        held=held,
        pin=pin,
        signature=Signature(held.task),
        forecast=Forecast(profile),
        memory_bytes=profile.memory_bytes,
    )
