"""Pure. NATS keys as text: Ed25519 keys in base32, with a letter for what they are and a checksum.

O is an operator, A an account, U a user; a seed (the private half) is S and then that letter.
"""

import base64
import binascii
from binascii import crc_hqx
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import UntrustedError

Role = Literal["O", "A", "U"]

_PREFIX: dict[str, int] = {"O": 14 << 3, "A": 0, "U": 20 << 3}
_SEED = 18 << 3
_KEY_BYTES, _CRC_BYTES = 32, 2


def public_text(key: Ed25519PublicKey | Ed25519PrivateKey, role: Role) -> str:
    """Return the public half as NATS writes it."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return _text(bytes((_PREFIX[role],)) + public.public_bytes_raw())


def seed_text(key: Ed25519PrivateKey, role: Role) -> str:
    """Return the private half as NATS writes it: a secret."""
    prefix = _PREFIX[role]
    head = bytes((_SEED | prefix >> 5, (prefix & 31) << 3))
    return _text(head + key.private_bytes_raw())


def public_key(text: str, role: Role) -> Ed25519PublicKey:
    """Return the key; raise `UntrustedError` when it is not one of that role."""
    raw = _bytes(text, 1)
    if raw[0] != _PREFIX[role]:
        raise UntrustedError(f"not a public key of role {role}")
    return Ed25519PublicKey.from_public_bytes(raw[1:])


def private_key(text: str, role: Role) -> Ed25519PrivateKey:
    """Return the key of a seed; raise `UntrustedError`, which does not repeat it."""
    raw = _bytes(text.strip(), 2)
    prefix = (raw[0] & 7) << 5 | raw[1] >> 3
    if raw[0] & 0xF8 != _SEED or prefix != _PREFIX[role]:
        raise UntrustedError(f"not a seed of role {role}")
    return Ed25519PrivateKey.from_private_bytes(raw[2:])


def signed(key: Ed25519PrivateKey, message: bytes) -> str:
    """Return the signature as NATS writes it: base64url without padding."""
    return base64.urlsafe_b64encode(key.sign(message)).rstrip(b"=").decode()


def verify(key: Ed25519PublicKey, signature: str, message: bytes) -> None:
    """Raise `UntrustedError` unless `signature` is the key's over `message`."""
    try:
        key.verify(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), message)
    except (InvalidSignature, ValueError) as error:
        raise UntrustedError("the signature does not verify") from error


def _text(raw: bytes) -> str:
    whole = raw + crc_hqx(raw, 0).to_bytes(_CRC_BYTES, "little")
    return base64.b32encode(whole).rstrip(b"=").decode()


def _bytes(text: str, head: int) -> bytes:
    """Return what stands before the checksum: `head` bytes and a key."""
    try:
        whole = base64.b32decode(text + "=" * (-len(text) % 8))
    except (binascii.Error, ValueError) as error:
        raise UntrustedError("not a NATS key: it is not base32") from error
    raw, crc = whole[:-_CRC_BYTES], whole[-_CRC_BYTES:]
    if len(raw) != head + _KEY_BYTES or crc_hqx(raw, 0).to_bytes(_CRC_BYTES, "little") != crc:
        raise UntrustedError("not a NATS key: its length or its checksum is wrong")
    return raw
