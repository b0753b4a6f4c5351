"""Pure. How often a query may be asked a second time: because a node is silent, late or unsure."""

from dataclasses import dataclass


@dataclass(slots=True)
class Allowance:
    """Second asks as a share of all: when everything is slow, asking twice makes it slower."""

    share: float = 0.05
    burst: float = 16.0
    """Second asks in hand after a quiet time. A node that dies is found out (`doubts`) while these
    last; what it still owes then is asked again without counting."""
    tokens: float = 16.0

    def earn(self) -> None:
        """A query has begun."""
        self.tokens = min(self.burst, self.tokens + self.share)

    def spend(self) -> bool:
        """Take one second ask, or return False."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True

    def give_back(self) -> None:
        """What was taken was not needed."""
        self.tokens += 1.0


def strict(share: float) -> Allowance:
    """Never more than this share of all, from the first on: nothing is in hand at the start."""
    return Allowance(share, tokens=0.0)
