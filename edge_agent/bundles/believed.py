"""Pure. The small types of trust: floors, rights, targets. Whether to believe one is trust's."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Literal, NewType, get_args

from pydantic import BaseModel, ConfigDict, Field
from tuf.api.metadata import TargetFile

from protocol.bundles import Manifest
from protocol.errors import UntrustedError
from protocol.names import NAME_PATTERN
from protocol.types import Rows

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


MAX_BYTES = 1 << 40
"""No head of a bundle is larger."""


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


@dataclass(frozen=True, slots=True)
class TargetPath:
    """``<publisher>/<bundle>/<version>.tar``"""

    publisher: str
    bundle: str
    version: int

    def __str__(self) -> str:
        return f"{self.publisher}/{self.bundle}/{self.version}.tar"

    @classmethod
    def parse(cls, path: str) -> "TargetPath":
        """Return its parts; raise `UntrustedError` when it is not exactly what they would make."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise UntrustedError(f"{path[:100]!r} is not the path of a bundle")
        publisher, bundle, version = found.groups()
        return cls(publisher, bundle, int(version))


_NAME = NAME_PATTERN.strip("^$")
_PATH = re.compile(rf"({_NAME})/({_NAME})/([1-9][0-9]{{0,8}})\.tar")
_HASH = re.compile(r"[0-9a-f]{64}")
_CHANNELS = frozenset(get_args(Channel))


def target(path: str, file: TargetFile, rights: Rights) -> Target:
    """Return what signed metadata says of a target, with its publisher's rights.

    There may be thousands, at every start: hence plain checks rather than models.
    """
    parts = TargetPath.parse(path)
    digest, length, custom = file.hashes.get("sha256", ""), file.length, file.custom
    channel: Channel | None = custom.get("channel") if isinstance(custom, dict) else None
    sound = _HASH.fullmatch(digest) is not None and 0 <= length < MAX_BYTES
    if channel not in _CHANNELS or channel is None or not sound:
        raise UntrustedError(f"{path[:100]!r}: its metadata is malformed")
    return Target(
        path=path,
        publisher=parts.publisher,
        bundle=parts.bundle,
        version=parts.version,
        digest=f"sha256-{digest}",
        size_bytes=length,
        channel=channel,
        rights=rights,
    )
