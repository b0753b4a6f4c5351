"""Pure. Which cores a gate, its NATS server and an agent take, where they share one machine.

That they take them is the processes' to do.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of each; numbers as the system counts them."""

    gate: frozenset[int]
    server: frozenset[int]
    agent: frozenset[int]


def apart(usable: Iterable[int], turn: int) -> Cores | None:
    """Keep the NATS server off the gate's core; None where there is one core only.

    Each frame that a gate sends wakes the server. On the gate's own core, where the system likes
    to wake it, the gate then waits while the server hands the frame on: they take turns although
    another core is free. A gate needs one core, as its loop is one thread; an agent may run where
    there is room. `turn` is any number: several gates of one machine, each with its own, rarely
    get the same core.
    """
    cores = sorted(usable)
    if len(cores) == 1:
        return None
    gate = cores[turn % len(cores)]
    return Cores(frozenset({gate}), frozenset(cores) - {gate}, frozenset(cores))
