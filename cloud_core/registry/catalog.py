"""Pure. Bundles and their versions: what may follow what, and which of them is current.

Signing and keeping what comes out is repository's.
"""

from collections.abc import Iterable, Mapping

from edge_agent.bundles.believed import Channel, Target
from protocol.errors import ConflictError, UnknownError

Changes = Mapping[str, Channel]
"""Target path -> the channel that it moves to."""


def versions(targets: Iterable[Target], publisher: str, bundle: str) -> list[Target]:
    """A bundle's versions, oldest first."""
    return sorted(
        (one for one in targets if one.key == (publisher, bundle)), key=lambda one: one.version
    )


def publisher_of(targets: Iterable[Target], bundle: str) -> str:
    """Whose bundle this is; raise when nobody's, or several publishers have one of that name."""
    found = sorted({one.publisher for one in targets if one.bundle == bundle})
    if not found:
        raise UnknownError(f"no bundle {bundle}", "see: tiermesh bundles list")
    if len(found) > 1:
        raise ConflictError(
            f"{bundle} is published by {', '.join(found)}", "say whose: --publisher NAME"
        )
    return found[0]


def current(published: Iterable[Target]) -> Target | None:
    """The version that nodes install: the newest that was promoted and not rolled back from."""
    promoted = [one for one in published if one.channel == "current"]
    return max(promoted, key=lambda one: one.version, default=None)


def next_version(published: Iterable[Target], asked: int) -> int:
    """The number of a new version: the manifest's own, unless that is taken or passed."""
    return max(asked, 1 + max((one.version for one in published), default=0))


def channel(published: Iterable[Target]) -> Channel:
    """Where a new version begins: a first one has nothing to replace, so it is current at once."""
    return "candidate" if current(published) is not None else "current"


def promoted(published: Iterable[Target], version: int | None) -> Changes:
    """Make a version (by default the newest) the one that nodes install."""
    known = list(published)
    wanted = _version(known, version)
    now = current(known)
    if now is not None and now.version > wanted.version:
        raise ConflictError(
            f"version {now.version} is current", f"go back: tiermesh bundles rollback "
            f"{wanted.bundle} --version {wanted.version}"
        )  # fmt: skip
    return {wanted.path: "current"}


def rolled_back(published: Iterable[Target], version: int | None) -> Changes:
    """Withdraw what is current, and all after `version` (by default, the one before it)."""
    known = list(published)
    now = current(known)
    if now is None:
        raise ConflictError("no version is current", "promote one: tiermesh bundles promote")
    earlier = [one for one in known if one.channel == "current" and one.version < now.version]
    target = _version(earlier, version) if version is not None else current(earlier)
    if target is None:
        raise ConflictError(
            f"version {now.version} is the only one that was current", "publish a newer one"
        )
    return {one.path: "withdrawn" for one in known if one.version > target.version}


def _version(published: Iterable[Target], version: int | None) -> Target:
    known = {one.version: one for one in published}
    chosen = max(known, default=0) if version is None else version
    if chosen not in known:
        numbers = ", ".join(str(number) for number in sorted(known)) or "none"
        raise UnknownError(f"no such version: {chosen}", f"there are: {numbers}")
    return known[chosen]
