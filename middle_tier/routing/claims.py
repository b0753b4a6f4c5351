"""Pure. Which tenants may claim their share of a node whose queue is too long for their query.

A node runs those within their share first, and only it knows who is. So it is asked, as if nobody
waited there; a tenant whose claim was refused makes none for a moment.
"""

HOLD_S = 0.1
"""How long a tenant makes no claim after one was refused. Shorter asks nodes more in vain."""

MAX_HELD = 4096
"""Tenants remembered; when there are more, all are forgotten."""


class Claims:
    """The mutable state is until when a tenant's claims are held back."""

    def __init__(self) -> None:
        self._held: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<Claims {len(self._held)} held>"

    def may(self, tenant: str, now: float) -> bool:
        """Whether this tenant may claim its share now."""
        until = self._held.get(tenant)
        if until is None:
            return True
        if now < until:
            return False
        del self._held[tenant]
        return True

    def refused(self, tenant: str, now: float) -> None:
        """It had its share, or those within theirs fill the node."""
        if len(self._held) >= MAX_HELD:
            self._held.clear()
        self._held[tenant] = now + HOLD_S
