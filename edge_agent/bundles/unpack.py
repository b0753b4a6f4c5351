"""Pure. The head of a bundle as one archive: how it is packed, and which entries may exist at all.

An archive is a plain tar of plain files, in order of their names, with nothing else in it: the same
files always give the same bytes, and bytes that any other packer made are refused.
"""

import io
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from protocol.bundles import MANIFEST, Manifest
from protocol.errors import UntrustedError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,98}")
"""What a tar of the oldest form holds: no folder, no leading dot."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that an archive may hold."""

    files: int = 16
    file_bytes: int = 64 << 20
    """Of one file: golden frames are the largest."""
    total_bytes: int = 96 << 20


CAPS = Caps()


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of these files: always the same bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o444
            archive.addfile(entry, io.BytesIO(files[name]))
    return out.getvalue()


def unpacked(data: bytes, caps: Caps = CAPS) -> dict[str, bytes]:
    """Return the files; raise `UntrustedError` for anything but a plain archive of plain files."""
    files: dict[str, bytes] = {}
    try:
        # 1. It is not compressed: nothing in it can be larger than it is.
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for entry in archive:
                _plain(entry)
                _fits(entry, files, caps)
                opened = archive.extractfile(entry)
                files[entry.name] = opened.read() if opened is not None else b""
    except (tarfile.TarError, ValueError, OSError) as error:
        raise UntrustedError("the archive is malformed") from error
    # 10. Packing the files gives this very archive: nothing hides between or behind them.
    if packed(files) != data:
        raise UntrustedError("the archive is not as it would be packed")
    return files


def head(data: bytes, caps: Caps = CAPS) -> dict[str, bytes]:
    """Return the files of a bundle's head: its manifest, and exactly those that this names."""
    files = unpacked(data, caps)
    # 11. There is a manifest.
    if MANIFEST not in files:
        raise UntrustedError(f"the archive has no {MANIFEST}")
    manifest = Manifest.parse(files[MANIFEST])
    # 12. There is nothing that it does not name, and all that it does.
    named = {MANIFEST, manifest.golden, manifest.golden_outputs}
    if named != set(files):
        extra = ", ".join(sorted(set(files) ^ named))
        raise UntrustedError(f"the archive and its manifest differ: {extra[:200]}")
    return files


def _plain(entry: tarfile.TarInfo) -> None:
    # 2. It is no link.
    if entry.issym() or entry.islnk():
        raise UntrustedError(f"the archive has a link: {entry.name[:100]!r}")
    # 3. It is no device and no pipe.
    if entry.isdev():
        raise UntrustedError(f"the archive has a device: {entry.name[:100]!r}")
    # 4. It is a plain file: no folder, nothing sparse, nothing else that tars may hold.
    if entry.type != tarfile.REGTYPE or entry.pax_headers:
        raise UntrustedError(f"the archive has something else than files: {entry.name[:100]!r}")
    # 5. Its name is a plain file's: no folder, no way out.
    if not _NAME.fullmatch(entry.name):
        raise UntrustedError(f"the archive has a path: {entry.name[:100]!r}")


def _fits(entry: tarfile.TarInfo, files: Mapping[str, bytes], caps: Caps) -> None:
    # 6. No other file has its name.
    if entry.name in files:
        raise UntrustedError(f"the archive has {entry.name} twice")
    # 7. Nor one that a disk may take for it.
    if entry.name.lower() in {name.lower() for name in files}:
        raise UntrustedError(f"the archive has two files that differ in case: {entry.name}")
    # 8. There are not too many.
    if len(files) >= caps.files:
        raise UntrustedError(f"the archive has more than {caps.files} files")
    # 9. It is not too large, nor all of them.
    total = entry.size + sum(len(data) for data in files.values())
    if entry.size > caps.file_bytes or total > caps.total_bytes:
        raise UntrustedError(f"the archive is too large at {entry.name}")
