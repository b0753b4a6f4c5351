"""A mesh's keys as one encrypted file, and back. What belongs to them is said here alone.

The key comes from a passphrase by scrypt, the bytes are sealed with ChaCha20-Poly1305: a wrong
passphrase and a changed byte look alike, and nothing is written before all of it is verified.
"""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from edge_agent import kept
from protocol.errors import BadRequestError, ConflictError, TooLargeError, UnknownError

FOLDERS = ("keys", "identity", "tokens", "credentials")
"""Below the mesh's folder: what cannot be made again."""

DESIRED = "nodes/*/desired/*.json"
"""Also below it: what each site was told last of tenants, revoked tokens and policy. A hub that has
lost its buckets is given them again from this by the cloud's process."""
MAGIC = b"tiermesh keys 1\n"
SALT_BYTES, NONCE_BYTES = 16, 12
SCRYPT_N = 1 << 16
"""64 MiB and about 0.2 s for each passphrase tried."""

LEAST_PASSPHRASE = 12
MAX_BYTES = 64 << 20


def seal(root: Path, passphrase: str) -> tuple[bytes, list[str]]:
    """Return the encrypted archive of the keys below `root`, and the names in it."""
    if len(passphrase) < LEAST_PASSPHRASE:
        raise BadRequestError(
            "the passphrase is too short", f"take {LEAST_PASSPHRASE} characters or more"
        )
    names = sorted(_names(root))
    if not names:
        raise UnknownError(f"there are no keys in {root}", "give the mesh's folder with --dir")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            data = (root / name).read_bytes()
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o600
            archive.addfile(info, io.BytesIO(data))
    head = MAGIC + os.urandom(SALT_BYTES) + os.urandom(NONCE_BYTES)
    sealed = _cipher(passphrase, head).encrypt(head[-NONCE_BYTES:], packed.getvalue(), head)
    return head + sealed, names


def opened(data: bytes, passphrase: str) -> dict[str, bytes]:
    """Return the files of an archive by name; raise `BadRequestError`."""
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"a backup of {len(data)} bytes", f"at most {MAX_BYTES}")
    size = len(MAGIC) + SALT_BYTES + NONCE_BYTES
    head, sealed = data[:size], data[size:]
    if not head.startswith(MAGIC) or len(head) < size:
        raise BadRequestError("this is no backup of keys", "`tiermesh keys backup` makes one")
    try:
        packed = _cipher(passphrase, head).decrypt(head[-NONCE_BYTES:], sealed, head)
    except InvalidTag as error:
        raise BadRequestError(
            "the passphrase is wrong, or the file was changed", "nothing was restored"
        ) from error
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        return {member.name: _content(archive, member) for member in archive}


def restore(root: Path, files: dict[str, bytes], *, over: bool) -> None:
    """Write the files, each whole or not at all; `over`: in place of those that are there.

    Raises `ConflictError` before anything is written when one is there and differs.
    """
    there = [
        name
        for name, data in files.items()
        if (root / name).exists() and (root / name).read_bytes() != data
    ]
    if there and not over:
        raise ConflictError(
            f"{root} holds other keys: {', '.join(there[:3])}", "give --over to replace them"
        )
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.write(path, data)  # readable by its owner only


def _names(root: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix()
    for path in root.glob(DESIRED):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(root).as_posix()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Even what is sealed is looked at: an archive may have been made by something else."""
    parts = PurePosixPath(member.name).parts
    file = archive.extractfile(member) if member.isreg() else None
    placed = parts[:1] in {(folder,) for folder in FOLDERS} or PurePosixPath(member.name).match(
        DESIRED
    )
    if file is None or not placed or ".." in parts or member.name.startswith("/"):
        raise BadRequestError(f"{member.name[:80]!r} has no place in a backup of keys")
    return file.read()


def _cipher(passphrase: str, head: bytes) -> ChaCha20Poly1305:
    salt = head[len(MAGIC) : len(MAGIC) + SALT_BYTES]
    derived = Scrypt(salt=salt, length=32, n=SCRYPT_N, r=8, p=1).derive(passphrase.encode())
    return ChaCha20Poly1305(derived)
