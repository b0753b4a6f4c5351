"""Pure. The speed of a link as a node advertises it, until large transfers have shown another."""

from math import inf

MOSTLY = 0.5
"""A round trip tells of the speed where the transfer should be at least this share of it ..."""

LEAST_MS = 2.0
"""... and take at least so long; of less the link's own scatter is most."""

SHARE = 0.25
"""Weight of a new transfer: eight teach nine tenths of a change."""

FURTHEST = 1000.0
"""No link is believed to be slower, or faster, than this against what its node says."""

OLD_S = 60.0
"""Without a large transfer for so long, the node's own word stands again."""

SLIGHT = 0.05
"""Changes below this share are not worth telling the table of."""


class Speed:
    """The mutable state is the average of what transfers have shown, and when the last one did."""

    __slots__ = ("_at", "_mbps")

    def __init__(self) -> None:
        self._mbps = 0.0
        self._at = -inf

    def __repr__(self) -> str:
        return f"<Speed of {self._mbps:.1f} Mbit/s>"

    def __bool__(self) -> bool:
        return self._at > -inf

    def add(self, observed_mbps: float, advertised_mbps: float, now: float) -> None:
        """Take what one transfer has shown, averaged as logarithms."""
        least, most = advertised_mbps / FURTHEST, advertised_mbps * FURTHEST
        observed = min(most, max(least, observed_mbps))
        before = self._mbps if self._at > -inf else observed
        self._mbps = min(most, max(least, before ** (1.0 - SHARE) * observed**SHARE))
        self._at = now

    @property
    def until_s(self) -> float:
        """When it will be too old; infinite where there is none."""
        return self._at + OLD_S if self else inf

    def expire(self, now: float) -> bool:
        """Forget what is too old; return whether anything was."""
        if not self or now - self._at <= OLD_S:
            return False
        self._at = -inf
        return True

    def believed(self, advertised_mbps: float, before_mbps: float) -> float:
        """Return the speed; what was believed `before` while the difference is slight."""
        if self._at == -inf:
            return advertised_mbps
        slight = abs(self._mbps - before_mbps) <= SLIGHT * before_mbps
        return before_mbps if slight else self._mbps


def tells(link_ms: float, transfer_ms: float) -> bool:
    """Whether a round trip with this link and transfer tells of the speed, not of the link."""
    return transfer_ms >= LEAST_MS and transfer_ms >= MOSTLY * (link_ms + transfer_ms)
