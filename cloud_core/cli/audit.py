"""`tiermesh audit`: what happened, and whether its log is whole."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cloud_core.audit.chain import Checked, Entry, Head, parsed, verified
from cloud_core.cli import show
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, Where, where
from cloud_core.cli.sending import sent
from protocol.errors import BadRequestError, ConflictError, UnknownError

app = typer.Typer(help="The audit log of the mesh.", no_args_is_help=True)

PAGE = 1000
File = Annotated[
    Path | None, typer.Option("--file", help="Read this file instead of asking the gate.")
]


@app.command("show")
def show_(  # noqa: PLR0913  # a command's options
    context: typer.Context,
    *,
    after: Annotated[int, typer.Option(min=0, help="Only entries after this number.")] = 0,
    kind: Annotated[str | None, typer.Option(help="Only of this kind.")] = None,
    file: File = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show what happened, oldest first."""
    place = None if file is not None else where(context, url, token, folder)
    entries = [parsed(line) for line in _lines(place, file)]
    entries = [one for one in entries if one.n > after and kind in (None, one.kind)]
    if as_json:
        show.as_json({"entries": [entry._asdict() for entry in entries]})
        return
    show.table(("n", "at (UTC)", "kind", "what"), (_row(entry) for entry in entries))


@app.command()
def verify(  # noqa: PLR0913  # a command's options
    context: typer.Context,
    *,
    head: Annotated[
        str | None,
        typer.Option(help="An entry that is known to be in it: N:HASH, as an earlier verify said."),
    ] = None,
    file: File = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Check the whole chain here, trusting nobody's word. Exits 1 when it does not hold."""
    place = None if file is not None else where(context, url, token, folder)
    checked = verified(_lines(place, file), known=_head(head))
    if as_json:
        show.as_json(_document(checked))
    if checked.fault:
        raise ConflictError(f"the audit log does not hold: {checked.fault}", _KEEP)
    if not as_json:
        show.plain(
            f"{checked.head.n} entries hold; the head is {checked.head.n}:{checked.head.hash}"
        )


def _lines(place: Where | None, file: Path | None) -> Iterator[str]:
    if file is not None:
        if not file.exists():
            raise UnknownError(f"no file {file}", "`tiermesh up` keeps it in audit/log.jsonl")
        yield from file.read_text().splitlines(keepends=True)
        return
    after = 0
    while place is not None:
        page = sent(place, "GET", f"/v1/audit?after={after}&limit={PAGE}")["entries"]
        if not page:
            return
        for document in page:
            yield Entry(**document).line()
        after = page[-1]["n"]


def _head(said: str | None) -> Head | None:
    if said is None:
        return None
    number, _, digest = said.partition(":")
    if not (number.isdigit() and len(digest) == len(Head().hash)):
        raise BadRequestError(f"{said[:80]!r} is no head", "give N:HASH, as verify says it")
    return Head(int(number), digest)


def _document(checked: Checked) -> dict[str, object]:
    return {
        "holds": not checked.fault,
        "entries": checked.head.n,
        "head": f"{checked.head.n}:{checked.head.hash}",
        "fault": checked.fault,
    }


def _row(entry: Entry) -> tuple[object, ...]:
    what = " ".join(f"{name}={value}" for name, value in entry.fields.items())
    return entry.n, f"{datetime.fromtimestamp(entry.at, UTC):%Y-%m-%d %H:%M:%S}", entry.kind, what


_KEEP = "keep the file as it is, and compare it with a backup"
