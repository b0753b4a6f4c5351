"""What a router makes of silence, when it was itself that stood still."""

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import ManualClock
from middle_tier.routing.ears import Ears
from tests.middle_tier.fleet import a_node, a_view, info


class Stops(ManualClock):
    """Time goes on for `stopped_s` more than whoever sleeps had asked for, once."""

    stopped_s = 0.0

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self._now += self.stopped_s
        self.stopped_s = 0.0


async def test_a_router_that_stood_still_suspects_nobody_and_later_silence_counts():
    clock, view = Stops(), a_view((a_node(), [info()]))
    async with Ears(MemoryBus(MemoryNetwork()), clock, view, "site-1").open(below=False):
        await clock.advance(1.0)
        clock.stopped_s = 60.0
        await clock.advance(61.0)
        assert view.nodes(clock.now())[0].health == "alive"
        await clock.advance(60.0)
        assert view.nodes(clock.now())[0].health == "gone"
