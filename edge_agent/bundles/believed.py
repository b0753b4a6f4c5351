"""Pure. The small types of trust: floors, rights, targets. Whether to believe one is trust's."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, NewType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from protocol.bundles import Digest, Manifest
from protocol.errors import UntrustedError
from protocol.types import Count, Name, Rows

Channel = Literal["current", "candidate", "withdrawn"]
"""Current: what nodes install; candidate: published, not promoted; withdrawn: rolled back from."""

RIGHTS = "x-tiermesh-rights"
"""The delegation's field that says what a publisher may publish."""
SIGNED_AT = "x-tiermesh-signed-at"
"""The timestamp's field that says when it was signed, in seconds since the epoch."""

TrustedManifest = NewType("TrustedManifest", Manifest)
"""Only `TrustedSet.manifest` makes one, and the store takes nothing else."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class Floor(_Kept):
    """The newest version of a role that was believed, and the keys that vouched for it."""

    version: Rows
    keys: tuple[str, ...]
    """A floor counts for as long as these may still vouch: new keys begin anew."""
    digest: str = ""
    """Of a timestamp: the same version with other bytes is refused."""


class Floors(_Kept):
    """What survives a wiped cache of metadata: no older version, no earlier time."""

    time: Annotated[float, Field(ge=0)] = 0.0
    """Seconds since the epoch; what a signed timestamp said. Never this machine's own clock, which
    may be days ahead."""
    roles: Mapping[str, Floor] = Field(default_factory=dict)


class Rights(_Kept):
    """What a publisher may publish."""

    code: bool = False
    """`.pt2` variants, which are code."""
    tasks: tuple[str, ...] = ("*",)
    """Globs of task names."""

    def permits(self, task: str) -> bool:
        return any(fnmatchcase(task, pattern) for pattern in self.tasks)


class Custom(_Kept):
    """What a target says beside its length and digest."""

    channel: Channel = "candidate"


@dataclass(frozen=True, slots=True)
class Target:
    """A bundle version that is signed for; its bytes have not been seen."""

    path: str
    publisher: str
    bundle: str
    version: int
    digest: str
    """Of its head: manifest and golden frames in one archive."""
    size_bytes: int
    channel: Channel
    rights: Rights

    @property
    def key(self) -> tuple[str, str]:
        """What is installed at most once."""
        return self.publisher, self.bundle


class TargetPath(_Kept):
    """``<publisher>/<bundle>/<version>.tar``"""

    publisher: Name
    bundle: Name
    version: Rows

    def __str__(self) -> str:
        return f"{self.publisher}/{self.bundle}/{self.version}.tar"

    @classmethod
    def parse(cls, path: str) -> "TargetPath":
        """Return its parts; raise `UntrustedError` when it is not exactly what they would make."""
        publisher, _, rest = path.partition("/")
        bundle, _, file = rest.partition("/")
        version = file.removesuffix(".tar")
        try:
            parts = cls.model_validate(
                {"publisher": publisher, "bundle": bundle, "version": version}
            )
        except ValidationError as error:
            raise UntrustedError(f"{path[:100]!r} is not the path of a bundle") from error
        if str(parts) != path:
            raise UntrustedError(f"{path[:100]!r} is not the path of a bundle")
        return parts


_DIGEST: TypeAdapter[str] = TypeAdapter(Digest)
_SIZE: TypeAdapter[int] = TypeAdapter(Count)


def target(path: str, *, length: int, hashes: Mapping[str, str], custom: Any) -> Target:  # noqa: ANN401  # JSON
    """Return what signed metadata says of a target; its rights are its publisher's to have."""
    parts = TargetPath.parse(path)
    try:
        return Target(
            path=path,
            publisher=parts.publisher,
            bundle=parts.bundle,
            version=parts.version,
            digest=_DIGEST.validate_python(f"sha256-{hashes.get('sha256', '')}"),
            size_bytes=_SIZE.validate_python(length),
            channel=Custom.model_validate(custom or {}).channel,
            rights=Rights(),
        )
    except ValidationError as error:
        raise UntrustedError(f"{path[:100]!r}: its metadata is malformed") from error
