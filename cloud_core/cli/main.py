"""Every command of `tiermesh`, mounted; and how a failure is told. One file a noun is beside it."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from cloud_core.cli import (
    ask,
    audit,
    bundles,
    doctor,
    down,
    enrol,
    init,
    keys,
    nodes,
    plan,
    policy,
    serve,
    simulate,
    sites,
    tasks,
    tenants,
    tokens,
    top,
    up,
    usage,
)
from cloud_core.cli.misuse import MisusedError
from cloud_core.cli.reach import Surroundings
from protocol.errors import MeshError

app = typer.Typer(
    name="tiermesh",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def whole(
    context: typer.Context,
    ca: Annotated[
        Path | None,
        typer.Option(
            help="Who signs the gate's certificate: the mesh's ca.crt. Else TIERMESH_CA, else "
            "--dir's. It may stand anywhere on the line."
        ),
    ] = None,
) -> None:
    """A managed, model-less inference mesh: name a task and what it needs, not a model."""
    if ca is not None:
        context.obj = replace(context.ensure_object(Surroundings), ca=ca)


app.command("up")(up.up)
app.command("down")(down.down)
app.command("init")(init.init)
app.command("ask")(ask.ask)
app.command("plan")(plan.plan)
app.command("serve")(serve.serve)
app.command("simulate")(simulate.simulate)
app.command("top")(top.top)
app.command("doctor")(doctor.doctor)
app.command("usage")(usage.usage)
app.add_typer(tasks.app, name="tasks")
app.add_typer(nodes.app, name="nodes")
app.add_typer(enrol.app, name="enrol")
app.add_typer(sites.app, name="sites")
app.add_typer(bundles.app, name="bundles")
app.add_typer(keys.app, name="keys")
app.add_typer(tenants.app, name="tenants")
app.add_typer(tokens.app, name="tokens")
app.add_typer(audit.app, name="audit")
app.add_typer(policy.app, name="policy")


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Return the exit status: 0 done, 1 failed, 2 misused."""
    command = typer.main.get_command(app)
    surroundings = Surroundings.read(environment)
    try:
        status = command.main(
            args=_pinned_first(arguments),
            prog_name="tiermesh",
            standalone_mode=False,
            obj=surroundings,
        )
    except typer.TyperException as error:
        return _misused(error)
    except MeshError as error:
        return _failed(error, as_json="--json" in arguments)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:  # a full disk, a folder that is a file: the user's to mend
        return _failed(system_error(error), as_json="--json" in arguments)
    return status if isinstance(status, int) else 0


def _pinned_first(arguments: Sequence[str]) -> list[str]:
    """Pure. Put --ca before the command: it is every command's that speaks to a gate."""
    for place, one in enumerate(arguments):
        if one == "--":
            break
        name, equals, file = one.partition("=")
        if name != "--ca":
            continue
        before, after = arguments[:place], arguments[place + 1 :]
        if not equals:
            file, after = "".join(after[:1]), after[1:]
        if not file or file.startswith("--"):
            raise typer.BadParameter("give the file after it", param_hint="'--ca'")
        return ["--ca", file, *before, *after]
    return list(arguments)


def system_error(error: OSError) -> MeshError:
    """Pure. Return it as people are told of it: the file and what is wrong, on one line."""
    place = f"{error.filename}: " if error.filename is not None else ""
    return MeshError(f"{place}{error.strerror or error}", "`tiermesh doctor` checks the disk")


def _misused(error: typer.TyperException) -> int:
    """One line; nothing where help was asked for by saying nothing, which is shown already."""
    if message := error.format_message().strip():
        sys.stderr.write(f"error: {message} (see --help)\n")
    return error.exit_code


def _failed(error: MeshError, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(error.body()) + "\n")
    sys.stderr.write(f"error: {error.error}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
    return 2 if isinstance(error, MisusedError) else 1
