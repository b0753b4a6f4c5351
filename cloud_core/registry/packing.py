"""A bundle's folder, looked at before it is signed: whole, as its manifest says, fit to load."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from edge_agent.bundles import pt2, unpack
from protocol.bundles import MANIFEST, Manifest, Variant, digest_key
from protocol.errors import DecodeError, UnknownError, UntrustedError


@dataclass(frozen=True, slots=True)
class Packed:
    """What is published of a bundle."""

    manifest: Manifest
    head: bytes
    """Manifest and golden frames: the target that is signed for."""
    variants: dict[str, Path]
    """Digest -> file. The head names them, so they need no signature of their own."""


def manifest_in(folder: Path) -> Manifest:
    """Return the manifest of a bundle's folder. Raises `MeshError`."""
    try:
        return Manifest.parse(_read(folder / MANIFEST))
    except DecodeError as error:
        raise DecodeError(f"{folder / MANIFEST}: {error.error}", error.hint) from error


def packed(folder: Path, *, publisher: str, version: int) -> Packed:
    """Return the bundle as one publisher signs it. Raises `MeshError` when something is amiss."""
    said = manifest_in(folder)
    manifest = said.model_copy(update={"publisher": publisher, "version": version})
    for variant in manifest.variants:
        _checked(variant, _read(folder / variant.file))
    files = {
        MANIFEST: manifest.model_dump_json(exclude_defaults=True).encode(),
        manifest.golden: _read(folder / manifest.golden),
        manifest.golden_outputs: _read(folder / manifest.golden_outputs),
    }
    head = unpack.packed(files)
    unpack.head(head)
    return Packed(manifest, head, {v.digest: folder / v.file for v in manifest.variants})


def has_code(manifest: Manifest) -> bool:
    return any(variant.format == "pt2" for variant in manifest.variants)


def _checked(variant: Variant, data: bytes) -> None:
    if digest_key(sha256(data).hexdigest()) != variant.digest or len(data) != variant.size_bytes:
        raise UntrustedError(
            f"{variant.file} is not what the manifest says", "build the bundle again"
        )
    if variant.format == "pt2":
        pt2.screen(data)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnknownError(f"{path}: {error.strerror}", "give a folder that was built") from error
