"""The commands of `tiermesh bundles` that sign, and those that look at what was signed."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cloud_core.cli import show
from cloud_core.cli.misuse import MisusedError
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.cli.recorded import audit_log
from cloud_core.registry import catalog
from cloud_core.registry.keys import Keyring, passphrase_in
from cloud_core.registry.repository import Published, Repository, spoiled
from cloud_core.up.signed import LOCAL, found, founded, repository
from edge_agent.bundles.believed import Rights, Target
from protocol.bundles import Manifest
from protocol.errors import UnknownError

Name = Annotated[str, typer.Argument(help="The bundle.")]
Publisher = Annotated[str | None, typer.Option(help="Whose, where several have one of that name.")]
Version = Annotated[int | None, typer.Option(min=1, help="Else the obvious one.")]
RootKeys = Annotated[
    Path | None, typer.Option(help="Folder with the root keys, where they lie apart.")
]
Passphrase = Annotated[
    Path | None, typer.Option("--passphrase-file", help="What the root keys are encrypted with.")
]


def at_hand(
    folder: Path, root_keys: Path | None = None, passphrase: Path | None = None,
    *, looking: bool = False,
) -> Repository:  # fmt: skip
    """Return the repository of a mesh, with the keys that are here. Looking is not recorded."""
    place = layout(folder)
    keys = Keyring(place.bundle_keys, offline=root_keys, passphrase=passphrase_in(passphrase))
    audit = None if looking else audit_log(place)
    made = repository(place, time.time, keys=keys, audit=audit)
    if not made.store.exists:
        raise UnknownError(
            f"no bundles are published in {place.root}", "tiermesh bundles publish FOLDER"
        )
    return made


def publish(
    folder: Annotated[Path, typer.Argument(help="With built bundles.", exists=True)],
    *,
    mesh: Dir = HOME,
    publisher: Annotated[str, typer.Option(help="Who signs.")] = LOCAL,
    promote: Annotated[bool, typer.Option(help="Make it current at once.")] = False,
    as_json: Json = False,
) -> None:
    """Sign the bundles below a folder. A bundle's first version is current at once."""
    place = layout(mesh)
    made = founded(place, time.time, audit=audit_log(place))
    bundles = found(folder)
    if not bundles:
        raise UnknownError(f"no bundle below {folder}", "build one: tiermesh bundles build --help")
    done = [made.publish(bundle, publisher=publisher, promote=promote) for bundle in bundles]
    made.renew()
    if as_json:
        show.as_json({"published": [_published(one) for one in done]})
    else:
        rows = [(*_row(one.target), "yes" if one.new else "no") for one in done]
        show.table((*HEADINGS, "new"), rows)


def promote(
    bundle: Name,
    *,
    version: Version = None,
    publisher: Publisher = None,
    mesh: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Make a version (else the newest) the one that nodes install."""
    _moved(at_hand(mesh).promote(bundle, publisher=publisher, version=version), as_json=as_json)


def rollback(
    bundle: Name,
    *,
    version: Version = None,
    publisher: Publisher = None,
    mesh: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Withdraw what is current: nodes go back to the version before (or to the one given)."""
    _moved(at_hand(mesh).rollback(bundle, publisher=publisher, version=version), as_json=as_json)


def verify(*, mesh: Dir = HOME, as_json: Json = False) -> None:
    """Check every signature and every byte of what is published; exit 1 when something is amiss."""
    made = at_hand(mesh, looking=True)
    trusted = made.believed()
    wrong = {**trusted.strays(), **spoiled(made, trusted.catalog().values())}
    expired = [role for role, share in made.left(trusted).items() if share <= 0]
    if as_json:
        show.as_json(
            {
                "roles": {role: _expiry(trusted.expires(role)) for role in trusted.raw},
                "bundles": len(trusted.catalog()),
                "spoiled": {path: error.error for path, error in wrong.items()},
                "expired": expired,
            }
        )
    else:
        rows = [(role, _expiry(trusted.expires(role))) for role in trusted.raw]
        show.table(("role", "expires (UTC)"), rows)
        for path, error in wrong.items():
            show.plain(f"{path}: {error.error}")
        show.plain(f"{len(trusted.catalog())} versions, {len(wrong)} spoiled")
    if wrong or expired:
        raise typer.Exit(1)


def renew(
    *,
    mesh: Dir = HOME,
    root_keys: RootKeys = None,
    passphrase: Passphrase = None,
    as_json: Json = False,
) -> None:
    """Sign anew what expires before long, as far as its keys are here."""
    renewed = at_hand(mesh, root_keys, passphrase).renew()
    if as_json:
        show.as_json({"renewed": list(renewed)})
    else:
        show.plain(f"signed anew: {', '.join(renewed) or 'nothing is due'}")


def publisher(
    name: Annotated[str, typer.Argument(help="Who may publish below that name.")],
    *,
    code: Annotated[bool, typer.Option(help="Also .pt2 variants, which are code.")] = False,
    task: Annotated[
        list[str] | None, typer.Option(help="Glob of the tasks; repeatable. Else all.")
    ] = None,
    revoke: Annotated[bool, typer.Option(help="Believe nothing of it any more.")] = False,
    mesh: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Let somebody publish, with a key made here; or no more."""
    if name in VERBS and not revoke:
        raise MisusedError(
            f"a publisher cannot be called {name}",
            "to add one: tiermesh bundles publisher NAME; to end one: NAME --revoke; "
            "who there is: tiermesh bundles list",
        )
    made = at_hand(mesh)
    if revoke:
        made.revoke_publisher(name)
    else:
        made.add_publisher(name, Rights(code=code, tasks=tuple(task or ("*",))))
    if as_json:
        show.as_json({"publishers": sorted(made.believed().publishers)})
    else:
        show.plain(f"publishers: {', '.join(sorted(made.believed().publishers))}")


def listed(mesh: Path, *, as_json: bool) -> None:
    """Print every version of every bundle that is published."""
    targets = sorted(at_hand(mesh, looking=True).targets(), key=lambda one: (one.key, one.version))
    if as_json:
        show.as_json({"bundles": [_document(one) for one in targets]})
    else:
        show.table(HEADINGS, [_row(one) for one in targets])


def current(mesh: Path, bundle: str) -> dict[Path, Manifest]:
    """The manifest of the version that is current, or the newest."""
    made = at_hand(mesh, looking=True)
    targets = made.targets()
    known = catalog.versions(targets, catalog.publisher_of(targets, bundle), bundle)
    chosen = catalog.current(known) or known[-1]
    return {made.store.folder: made.manifest(chosen)}


VERBS = frozenset({"list", "add", "remove", "show", "revoke"})
"""Whoever says these means to do something, and not to let somebody of that name publish."""
HEADINGS = ("publisher", "bundle", "version", "channel", "digest")


def _row(target: Target) -> tuple[object, ...]:
    digest = target.digest[:19]
    return (target.publisher, target.bundle, target.version, target.channel, digest)


def _document(target: Target) -> dict[str, Any]:  # Any: JSON
    return {
        "publisher": target.publisher,
        "bundle": target.bundle,
        "version": target.version,
        "channel": target.channel,
        "digest": target.digest,
    }


def _published(one: Published) -> dict[str, Any]:  # Any: JSON
    return {**_document(one.target), "new": one.new, "variants": len(one.manifest.variants)}


def _moved(target: Target, *, as_json: bool) -> None:
    if as_json:
        show.as_json({"current": _document(target)})
    else:
        show.plain(f"current: {target.publisher}/{target.bundle}, version {target.version}")


def _expiry(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"
