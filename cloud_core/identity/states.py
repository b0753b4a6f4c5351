"""Pure. The states of an identity, as a table: what may become of it by whose doing.

pending      asked to join; may not connect until an operator approves
active       may connect, and have its JWT renewed
quarantined  two had its key at once: may not connect until an operator looks into it
revoked      never again; the device needs a new key and a new token
"""

from typing import Literal

from protocol.errors import ConflictError
from protocol.identity import IdentityState

Event = Literal["approve", "reject", "quarantine", "revoke"]

AFTER: dict[tuple[IdentityState, Event], IdentityState] = {
    ("pending", "approve"): "active",
    ("pending", "reject"): "revoked",
    ("pending", "revoke"): "revoked",
    ("active", "quarantine"): "quarantined",
    ("active", "revoke"): "revoked",
    ("quarantined", "approve"): "active",
    ("quarantined", "reject"): "revoked",
    ("quarantined", "revoke"): "revoked",
}
BARRED: frozenset[IdentityState] = frozenset({"quarantined", "revoked"})
"""Whoever connects with such a key is refused, and disconnected."""


def after(state: IdentityState, event: Event) -> IdentityState:
    """Return the next state; raise `ConflictError` for a step that does not exist."""
    found = AFTER.get((state, event))
    if found is None:
        may = sorted(name for at, name in AFTER if at == state)
        raise ConflictError(
            f"an identity that is {state} cannot be told to {event}",
            f"what can be: {', '.join(may)}" if may else "enrol the device with a new key",
        )
    return found
