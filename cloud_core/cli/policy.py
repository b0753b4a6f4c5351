"""`tiermesh policy`: prices, permissions, preferences of the mesh, changed while it runs."""

import difflib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from cloud_core.cli import show
from cloud_core.cli import what_if as simulated
from cloud_core.cli.misuse import MisusedError
from cloud_core.cli.reach import HOME, Dir, Json, Token, Url, Where, gates, where
from cloud_core.cli.sending import post, send
from cloud_core.simulator.lately import Traffic
from middle_tier.policy.document import BadPolicyError, read
from middle_tier.scheduler.types import Policy
from protocol.errors import UnreachableError

app = typer.Typer(
    help="The policy: prices, permissions, preferences. One document for all gates.",
    no_args_is_help=True,
)

File = Annotated[Path, typer.Argument(help="The policy as YAML; '-' reads standard input.")]
WhatIf = Annotated[
    bool,
    typer.Option(
        "--what-if", help="Simulate recent traffic under both policies; show what would change."
    ),
]
Given = Annotated[
    Path | None,
    typer.Option("--traffic", metavar="SCENARIO", help="With --what-if: this traffic instead."),
]
YAML = "application/yaml"
CONFIGURED = "what each process was configured with; no policy is applied"


@app.command("show")
def show_(
    context: typer.Context,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Print the policy in force, as it was written: it can be changed and applied again."""
    found = send(where(context, url, token, folder), "GET", "/v1/policy")
    if as_json:
        show.as_json(found)
        return
    show.remark(_line(found))
    show.plain(found.get("text") or json.dumps(found["policy"], indent=1))
    if "fault" in found:
        show.remark(f"a newer one is not in force: {found['fault']}")


@app.command()
def check(
    context: typer.Context,
    file: File,
    *,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Have the mesh that `up` keeps there check it too.")
    ] = None,
    url: Url = None,
    token: Token = None,
    as_json: Json = False,
) -> None:
    """Check a document: each fault with its line. Asks no gate unless --dir or --url names one."""
    text = _text(file, as_json=as_json)
    policy = read(text)
    if folder is not None or url is not None:
        place = where(context, url, token, folder or HOME)
        send(place, "POST", "/v1/policy/check", text.encode(), media=YAML)
    if as_json:
        show.as_json({"ok": True, "policy": policy.model_dump(mode="json")})
    else:
        show.plain(f"{file}: good")


@app.command()
def diff(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    file: File,
    *,
    what_if: WhatIf = False,
    traffic: Given = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Show what a document would change: its lines, its fields and, with --what-if, its effects."""
    place = where(context, url, token, folder)
    text = _text(file, as_json=as_json)
    now = send(place, "GET", "/v1/policy")
    checked = send(place, "POST", "/v1/policy/check", text.encode(), media=YAML)
    found = None
    if what_if or traffic is not None:
        both = [Policy.model_validate(each["policy"]) for each in (now, checked)]
        found = effects(place, gates(place, folder, url), traffic, both)
    if as_json:
        show.as_json({**checked, **({} if found is None else {"what_if": found})})
        return
    names = f"revision {now['revision']}", str(file)
    lines = difflib.unified_diff(
        now.get("text", "").splitlines(), text.splitlines(), *names, lineterm=""
    )
    show.plain("\n".join(lines) or "the same text")
    _changes(checked["changes"])
    if found is not None:
        simulated.shown(found)


@app.command()
def apply(  # noqa: PLR0913  # one parameter an option
    context: typer.Context,
    file: File,
    *,
    note: Annotated[str, typer.Option(help="Kept beside it in the history.")] = "",
    expected: Annotated[
        int | None, typer.Option(help="Only if the newest revision is still this one.")
    ] = None,
    what_if: WhatIf = False,
    traffic: Given = None,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Put a document into force at every gate, within two seconds; with --what-if, only look."""
    if what_if or traffic is not None:
        diff(
            context, file, what_if=True, traffic=traffic, url=url, token=token, folder=folder,
            as_json=as_json,
        )  # fmt: skip
        return
    place = where(context, url, token, folder)
    body = _text(file, as_json=as_json).encode()
    checked = send(place, "POST", "/v1/policy/check", body, media=YAML)
    given = {"note": note, "expected": expected}
    query = urlencode({name: value for name, value in given.items() if value not in ("", None)})
    made = send(place, "PUT", f"/v1/policy?{query}", body, media=YAML)
    if as_json:
        show.as_json({**made, "changes": checked["changes"]})
        return
    _changes(checked["changes"])
    show.plain(_line(made))


@app.command()
def history(
    context: typer.Context,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """List the revisions that are kept, the newest last."""
    found = send(where(context, url, token, folder), "GET", "/v1/policy/history")
    if as_json:
        show.as_json(found)
        return
    show.table(("revision", "in force", "applied", "by", "note"), kept_rows(found))
    if not found["in_force"]:
        show.remark(f"in force: {CONFIGURED}")


@app.command()
def rollback(
    context: typer.Context,
    revision: Annotated[
        int | None, typer.Argument(help="See `history`; else the one before the newest.")
    ] = None,
    *,
    url: Url = None,
    token: Token = None,
    folder: Dir = HOME,
    as_json: Json = False,
) -> None:
    """Put an earlier revision into force again; it becomes the newest."""
    place = where(context, url, token, folder)
    made = post(place, "/v1/policy/rollback", {"revision": revision})
    if as_json:
        show.as_json(made)
    else:
        show.plain(_line(made))


def kept_rows(found: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Pure. Return a line for each revision that is kept."""
    return [
        (
            one["revision"], "yes" if one["revision"] == found["in_force"] else "", _when(one),
            one["by"], one["note"],
        )
        for one in found["revisions"]
    ]  # fmt: skip


def effects(
    place: Where, others: list[Where], traffic: Path | None, both: list[Policy]
) -> dict[str, Any]:
    """Return what traffic, given or of late, comes to under both; silent gates are named."""
    now, then = both
    if traffic is not None:
        return simulated.compared(traffic, now, then)
    found = [Traffic.model_validate(send(place, "GET", "/v1/traffic"))]  # it knows the nodes
    silent = []
    for each in others:
        try:
            found.append(Traffic.model_validate(send(each, "GET", "/v1/traffic")))
        except UnreachableError:
            silent.append(each.url)
    return {**simulated.lately(found, now, then), "silent": silent}


def _text(file: Path, *, as_json: bool) -> str:
    """Return the document; of a bad one show every fault, not only the first."""
    try:
        stdin = str(file) == "-"
        text = typer.get_text_stream("stdin").read() if stdin else file.read_text(encoding="utf-8")
        read(text)
    except BadPolicyError as error:
        if not as_json:
            for fault in error.faults[1:]:
                said = f"{file}: {fault} ({fault.hint})"
                show.remark(said)
        raise
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise MisusedError(f"{file} cannot be read: {why}", "give a YAML file") from error
    return text


def _changes(changes: list[Mapping[str, Any]]) -> None:
    if not changes:
        show.plain("it changes nothing")
        return
    rows = [(one["field"], one["old"], one["new"]) for one in changes]
    show.table(("field", "now", "then"), rows)


def _line(found: Mapping[str, Any]) -> str:
    if not found["revision"]:
        return f"revision 0: {CONFIGURED}"
    note = f": {found['note']}" if found.get("note") else ""
    return f"revision {found['revision']}, {_when(found)}, by {found.get('by', '-')}{note}"


def _when(found: Mapping[str, Any]) -> str:
    at = found.get("at")
    if at is None:
        return "never applied"
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
