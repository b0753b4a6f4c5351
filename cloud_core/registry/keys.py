"""The keys that sign bundle metadata: a file each, named after its role and key; made and opened.

What a key may sign is the metadata's to say. Root keys may lie elsewhere, under a passphrase: they
are needed to make a repository, to rotate keys and once a year, never to publish.
"""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey

from cloud_core.issuer import write_secret
from protocol.errors import ConflictError, ForbiddenError


class Keyring:
    """A folder with keys, and one for root keys where they lie apart (a stick, say).

    A passphrase opens the encrypted ones.
    """

    def __init__(
        self, folder: Path, *, offline: Path | None = None, passphrase: bytes | None = None
    ) -> None:
        self._folders = (folder,) if offline is None else (folder, offline)
        self._passphrase = passphrase

    def __repr__(self) -> str:
        return f"<Keyring {', '.join(str(folder) for folder in self._folders)}>"

    @property
    def locked(self) -> bool:
        """Whether root keys are kept under a passphrase."""
        return self._passphrase is not None

    def make(self, role: str, *, encrypted: bool = False) -> SSlibKey:
        """Make a key, a root's in the folder for those; return its public half."""
        private = Ed25519PrivateKey.generate()
        public = SSlibKey.from_crypto(private.public_key())
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if encrypted:
            if not self._passphrase:
                raise ForbiddenError("no passphrase", "give one for the root keys")
            how = serialization.BestAvailableEncryption(self._passphrase)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how
        )
        folder = self._folders[-1 if role == "root" else 0]
        write_secret(folder / _name(role, public.keyid), pem.decode())
        return public

    def signers(self, role: str, key_ids: Iterable[str], least: int) -> list[CryptoSigner]:
        """Return `least` signers for a role; raise `ForbiddenError` when so many are not here."""
        found = [path for key_id in key_ids if (path := self._path(role, key_id)) is not None]
        if len(found) < least:
            raise ForbiddenError(
                f"{len(found)} of {least} keys for {role} are here",
                f"bring them to {self._folders[0]}, or give --root-keys FOLDER",
            )
        return [self._opened(path) for path in found[:least]]

    def holds(self, role: str, key_ids: Iterable[str], least: int) -> bool:
        """Whether `signers` would find its keys, and could open them."""
        paths = (self._path(role, key_id) for key_id in key_ids)
        return sum(path is not None and self._opens(path) for path in paths) >= least

    def remove(self, role: str, key_id: str) -> None:
        """Remove a key that may sign nothing any more."""
        path = self._path(role, key_id)
        if path is not None:
            path.unlink()

    def _path(self, role: str, key_id: str) -> Path | None:
        paths = (folder / _name(role, key_id) for folder in self._folders)
        return next((path for path in paths if path.exists()), None)

    def _opens(self, path: Path) -> bool:
        return self._passphrase is not None or b"ENCRYPTED" not in path.read_bytes()

    def _opened(self, path: Path) -> CryptoSigner:
        pem = path.read_bytes()
        encrypted = b"ENCRYPTED" in pem
        if encrypted and not self._passphrase:
            raise ForbiddenError(f"{path} has a passphrase", "give it: --passphrase-file FILE")
        try:
            key = serialization.load_pem_private_key(pem, self._passphrase if encrypted else None)
        except ValueError as error:
            raise ForbiddenError(f"{path} cannot be opened", "is the passphrase right?") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise ConflictError(f"{path} is no Ed25519 key", "bring back the key that was there")
        return CryptoSigner(key)


def passphrase_in(path: Path | None) -> bytes | None:
    """Return the passphrase in a file, without the line's end."""
    if path is None:
        return None
    text = path.read_bytes().rstrip(b"\r\n")
    if not text:
        raise ForbiddenError(f"{path} is empty", "put the passphrase in it, on one line")
    return text


def _name(role: str, key_id: str) -> str:
    return f"{role}-{key_id[:16]}.pem"
