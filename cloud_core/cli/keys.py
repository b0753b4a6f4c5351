"""`tiermesh keys`: the keys of a mesh, put away safely and brought back."""

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cloud_core import backup as backups
from cloud_core.cli import show, signingkeys
from cloud_core.cli.misuse import MisusedError
from cloud_core.cli.reach import HOME, Dir, Json, layout
from cloud_core.cli.recorded import audit_log
from cloud_core.issuer import write_secret_bytes
from cloud_core.up.state import running
from protocol.errors import ConflictError, UnknownError

app = typer.Typer(help="The keys of the mesh.", no_args_is_help=True)
app.command("create")(signingkeys.create)
app.command("rotate")(signingkeys.rotate)

SETTLED_S = 2.0
"""What was changed just now (a node revoked) is in the mesh's files by then."""

Passphrase = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help="Read the passphrase here instead of asking for it.",
        exists=True,
        dir_okay=False,
    ),
]


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; it must not exist.")],
    *,
    passphrase_file: Passphrase = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Put every key into one encrypted file. Without its passphrase nobody brings them back."""
    place = layout(folder)
    if file.exists():
        raise ConflictError(f"{file} exists", "give a name that is free")
    audit = audit_log(place)
    if running(place) is not None:
        time.sleep(SETTLED_S)
    data, names = backups.seal(place.root, _passphrase(passphrase_file, confirm=True))
    write_secret_bytes(file, data)
    audit.record("keys-backup", actor="local", files=len(names))
    _tell(file, names, "put away", as_json=as_json)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="What `backup` made.")],
    *,
    over: Annotated[bool, typer.Option("--over", help="Replace keys that are there.")] = False,
    passphrase_file: Passphrase = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Bring keys back into the mesh's folder, while the mesh is down."""
    place = layout(folder)
    if running(place) is not None:
        raise ConflictError(
            f"the mesh in {place.root} runs",
            f"stop it first: tiermesh down --dir {shlex.quote(str(place.root))}",
        )
    if not file.exists():
        raise UnknownError(f"no file {file}", "give the file that `tiermesh keys backup` made")
    audit = audit_log(place)
    files = backups.opened(file.read_bytes(), _passphrase(passphrase_file, confirm=False))
    backups.restore(place.root, files, over=over)
    audit.record("keys-restore", actor="local", files=len(files))
    _tell(file, sorted(files), "restored", as_json=as_json)


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        return file.read_text().rstrip("\n")
    if not sys.stdin.isatty():
        raise MisusedError(
            "there is no terminal to ask for the passphrase on",
            "put it into a file that only you may read, and give --passphrase-file FILE",
        )
    said: str = typer.prompt("passphrase", hide_input=True, confirmation_prompt=confirm)
    return said


def _tell(file: Path, names: list[str], what: str, *, as_json: bool) -> None:
    if as_json:
        show.as_json({"file": str(file), "files": names})
    else:
        show.plain(f"{what}: {len(names)} files")
