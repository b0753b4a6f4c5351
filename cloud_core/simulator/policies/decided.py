"""What every rival has: how much CPU its decisions took."""

from abc import ABC, abstractmethod
from time import thread_time_ns

from cloud_core.simulator.node import Node
from cloud_core.simulator.world import Query


class Decided(ABC):
    """Measures `decide`, in which a subclass chooses and sends."""

    def __init__(self) -> None:
        self.decision_ns: list[int] = []

    def arrived(self, query: Query) -> None:
        start = thread_time_ns()
        self.decide(query)
        self.decision_ns.append(thread_time_ns() - start)

    @abstractmethod
    def decide(self, query: Query) -> None:
        """Send it somewhere, or refuse it."""

    def changed(self, node: Node) -> None:  # noqa: B027  # most do not care
        """A node has loaded, evicted, started or stopped."""
