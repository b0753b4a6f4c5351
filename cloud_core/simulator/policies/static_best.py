"""`static-best`: for each task one variant and fleet, the best in hindsight, at any tier."""

from cloud_core.simulator.policies.always_cloud import Fixed
from cloud_core.simulator.world import World


class StaticBest(Fixed):
    """The best of all."""

    def __init__(self, world: World) -> None:
        super().__init__(world, cloud_only=False)
