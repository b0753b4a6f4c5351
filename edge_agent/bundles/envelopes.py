"""Pure. Signed metadata, opened in the right order: who vouched, then what it says, then how old.

Which metadata is opened when, and by whose keys, is trust's.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

from tuf.api.dsse import SimpleEnvelope
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Key, MetaFile, Root, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError

from edge_agent.bundles.believed import SIGNED_AT, Floor, Floors
from protocol.errors import RollbackError, StaleError, UntrustedError

SignedT = TypeVar("SignedT", Root, Timestamp, Snapshot, Targets)
Delegator = Root | Targets
Sealed = SimpleEnvelope[Any]

LAST_S = 1e11
"""No clock of ours reads this: a timestamp that says so says nothing."""


def opened(data: bytes, kind: type[SignedT]) -> tuple[Sealed, SignedT]:
    sealed = envelope(data)
    return sealed, parsed(sealed, kind)


def envelope(data: bytes) -> Sealed:
    """Return it with its payload not looked into. A key that signs twice makes it malformed."""
    try:
        sealed: Sealed = SimpleEnvelope.from_bytes(data)
    except DeserializationError as error:
        raise UntrustedError("metadata is not in an envelope") from error
    if sealed.payload_type != SimpleEnvelope.DEFAULT_PAYLOAD_TYPE:
        raise UntrustedError("an envelope of something else than metadata")
    return sealed


def parsed(sealed: Sealed, kind: type[SignedT]) -> SignedT:
    try:
        signed = sealed.get_signed()
    except (DeserializationError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UntrustedError(f"{kind.type} metadata is malformed") from error
    if not isinstance(signed, kind):
        raise UntrustedError(f"metadata of another role in place of {kind.type}")
    return signed


def vouched(delegator: Delegator, role: str, sealed: Sealed) -> tuple[str, ...]:
    """Return the keys that signed exactly these bytes; raise when they are too few."""
    try:
        result = delegator.get_verification_result(role, sealed.pae(), sealed.signatures)
    except ValueError as error:
        raise UntrustedError(f"nobody may vouch for {role}") from error
    # 0. One key counts once, whatever names it goes by; and they reach the threshold.
    if len({_public(key) for key in result.signed.values()}) < result.threshold:
        raise UntrustedError(f"{role}: {len(result.signed)} of {result.threshold} signatures")
    return tuple(sorted(result.signed))


def _public(key: Key) -> str:
    return str(key.keyval["public"])


def exactly(meta: MetaFile, data: bytes, role: str) -> None:
    try:
        meta.verify_length_and_hashes(data)
    except RepositoryError as error:
        raise UntrustedError(f"{role} is not the one that belongs here") from error
    if not meta.hashes:
        raise UntrustedError(f"{role} is named without a digest")


def same_version(meta: MetaFile, version: int, role: str) -> None:
    if version != meta.version:
        raise UntrustedError(f"{role} {version} in place of {meta.version}")


def not_below(floor: Floor | None, role: str, version: int) -> None:
    if floor is not None and version < floor.version:
        raise RollbackError(f"{role} {version}, it was {floor.version} before")


def fresh(signed: Root | Timestamp | Snapshot | Targets, role: str, now: float | None) -> None:
    if now is not None and signed.is_expired(datetime.fromtimestamp(now, UTC)):
        raise StaleError(
            f"{role} metadata expired {signed.expires:%Y-%m-%d %H:%M} UTC",
            "what is installed goes on; to install, check the clock and the way to the site",
        )


def signed_at(timestamp: Timestamp) -> float:
    said = timestamp.unrecognized_fields.get(SIGNED_AT, 0.0)
    return float(said) if isinstance(said, int | float) and 0 <= said < LAST_S else 0.0


def standing(root: Root, vouching: str, floors: Floors, role: str) -> Floor | None:
    """Return the floor under `role`, if the keys behind it may still vouch as `vouching`.

    A thief of a key may have raised a floor out of reach; with the key replaced it counts no more.
    """
    floor = floors.roles.get(role)
    if floor is None:
        return None
    authorised = root.roles[vouching]
    still = set(floor.keys) & set(authorised.keyids)
    return floor if len(still) >= authorised.threshold else None
