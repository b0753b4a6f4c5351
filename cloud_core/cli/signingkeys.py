"""``tiermesh keys create|rotate``: the keys that sign bundles."""

import time
from pathlib import Path
from typing import Annotated

import typer

from cloud_core.cli import show
from cloud_core.cli.publishing import Passphrase, RootKeys, at_hand
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.cli.recorded import audit_log
from cloud_core.registry.keys import Keyring, passphrase_in
from cloud_core.up.signed import LOCAL, repository
from edge_agent.bundles.believed import Rights


def create(  # a command's options
    *,
    roots: Annotated[int, typer.Option(min=1, max=9, help="Root keys.")] = 1,
    threshold: Annotated[int, typer.Option(min=1, max=9, help="How many of them must sign.")] = 1,
    mesh: Dir = HOME,
    root_keys: RootKeys = None,
    passphrase: Passphrase = None,
    as_json: Json = False,
) -> None:
    """Make the keys that sign bundles; with a passphrase, the root's encrypted."""
    place = layout(mesh)
    keys = Keyring(place.bundle_keys, offline=root_keys, passphrase=passphrase_in(passphrase))
    made = repository(place, time.time, keys=keys, audit=audit_log(place))
    made.create(roots=roots, threshold=threshold, encrypt_roots=passphrase is not None)
    made.add_publisher(LOCAL, Rights(code=True))
    _said(made.store.folder / "metadata" / "1.root.json", as_json=as_json)


def rotate(
    role: Annotated[
        str, typer.Argument(help="root, targets, snapshot, timestamp, or a publisher.")
    ],
    *,
    mesh: Dir = HOME,
    root_keys: RootKeys = None,
    passphrase: Passphrase = None,
    as_json: Json = False,
) -> None:
    """Replace the keys of a role. A top role's takes the root keys, a publisher's the targets'."""
    made = at_hand(mesh, root_keys, passphrase)
    made.rotate(role)
    trusted = made.believed()
    if as_json:
        show.as_json({"rotated": role, "root": trusted.root.version})
    else:
        show.plain(f"{role} has new keys: nodes follow when they look next")


def _said(root: Path, *, as_json: bool) -> None:
    if as_json:
        show.as_json({"root": str(root)})
    else:
        show.plain(f"give this to every node ('trust' in its configuration): {root}")
