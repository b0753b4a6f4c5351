"""``tiermesh bundles``: build them, and look at those published or in a folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cloud_core.builder import process
from cloud_core.builder.recipe import BUNDLED
from cloud_core.cli import publishing, show
from cloud_core.cli.reach import HOME, Dir
from protocol.bundles import MANIFEST, Manifest, Variant
from protocol.errors import UnknownError

app = typer.Typer(help="Build, publish and look at bundles.", no_args_is_help=True)
app.command("publish")(publishing.publish)
app.command("promote")(publishing.promote)
app.command("rollback")(publishing.rollback)
app.command("verify")(publishing.verify)
app.command("renew")(publishing.renew)
app.command("publisher")(publishing.publisher)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Folder = Annotated[
    Path | None,
    typer.Argument(help="A folder with built bundles; else those published in --dir.",
                   exists=True, file_okay=False),
]  # fmt: skip
What = Annotated[str, typer.Argument(help="A folder with built bundles, or a published bundle.")]


@app.command()
def build(
    source: Annotated[
        str, typer.Argument(help="digits, sentence-embedding, or the path of a recipe (.py).")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Where the bundles' folders go.", file_okay=False)],
    python: Annotated[
        Path | None,
        typer.Option(help="Interpreter with the build extra.", envvar="TIERMESH_BUILD_PYTHON"),
    ] = None,
    tflite_python: Annotated[
        Path | None,
        typer.Option(
            help="Interpreter with the tflite extra: LiteRT variants are tried there too.",
            envvar="TIERMESH_TFLITE_PYTHON",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make every variant of a task's models, measure each, and pack them.

    A recipe is code, and is run. Exits 1 when a variant could not be made; the others are kept.
    """
    if source not in BUNDLED and not Path(source).is_file():
        known = ", ".join(sorted(BUNDLED))
        raise typer.BadParameter(f"no file {source!r}, and no recipe of that name ({known})")
    here = Path.cwd()
    job = process.Job(
        source=source,
        out=out,
        python=process.interpreter(python, here),
        tflite_python=tflite_python or process.environment(".venv-tflite", here),
    )
    last: process.Event = {}
    for last in process.events(job):
        _progress(last)
    if as_json:
        show.as_json({"bundles": last["bundles"], "failed": last["failed"]})
    if last["failed"]:
        raise typer.Exit(1)


@app.command("list")
def list_(folder: Folder = None, *, mesh: Dir = HOME, as_json: Json = False) -> None:
    """List the bundles below a folder, or those published, with each version's channel."""
    if folder is None:
        publishing.listed(mesh, as_json=as_json)
        return
    rows = [{"folder": str(path), **_summary(one)} for path, one in _found(folder).items()]
    if as_json:
        show.as_json({"bundles": rows})
    else:
        headings = ("bundle", "version", "task", "variants", "size_bytes", "folder")
        show.table(headings, [tuple(row[name] for name in headings) for row in rows])


@app.command("show")
def show_(what: What, *, mesh: Dir = HOME, as_json: Json = False) -> None:
    """Show the variants of the bundles below a folder, or of a published bundle."""
    folder = Path(what)
    found = _found(folder) if folder.is_dir() else publishing.current(mesh, what)
    if as_json:
        show.as_json({"bundles": [_whole(path, manifest) for path, manifest in found.items()]})
        return
    for manifest in found.values():
        headings = ("variant", manifest.task.metric, "bytes", "ms", "runtimes")
        rows = [_row(variant) for variant in manifest.variants]
        show.table(headings, rows, title=f"{manifest.bundle}, version {manifest.version}")


def _progress(event: process.Event) -> None:
    """Progress goes to standard error, so that standard output is the result."""
    match event:
        case {"event": "training", "task": task}:
            typer.echo(f"{task}: preparing models and held-out data", err=True)
        case {"event": "building", "variant": variant}:
            typer.echo(f"{variant}: building", err=True)
        case {"event": "built", "variant": variant, "accuracy": quality, "run_ms": run_ms}:
            size = event["size_bytes"] / 1e3
            pins = ", ".join(event["runtimes"])
            typer.echo(f"{variant}: {quality:.4f}, {size:.0f} kB, {run_ms} ms, {pins}", err=True)
        case {"event": "not-listed", "variant": variant, "why": why}:
            typer.echo(f"{variant}: not for tflite_runtime: {why}", err=True)
        case {"event": "failed", "variant": variant, "error": why}:
            typer.echo(f"{variant}: FAILED: {why}", err=True)
        case {"event": "bundle", "folder": folder, "variants": count}:
            typer.echo(f"{folder}: {count} variants", err=True)


def _found(folder: Path) -> dict[Path, Manifest]:
    """The bundles below a folder, or in it."""
    paths = sorted(folder.rglob(MANIFEST))
    if not paths:
        raise UnknownError(f"no bundle below {folder}", "build one: tiermesh bundles build --help")
    return {path.parent: Manifest.parse(path.read_bytes()) for path in paths}


def _summary(manifest: Manifest) -> dict[str, Any]:  # Any: JSON
    return {
        "bundle": manifest.bundle,
        "version": manifest.version,
        "task": manifest.task.name,
        "variants": len(manifest.variants),
        "size_bytes": sum(variant.size_bytes for variant in manifest.variants),
    }


def _whole(folder: Path, manifest: Manifest) -> dict[str, Any]:  # Any: JSON
    return {"folder": str(folder), **manifest.model_dump(mode="json")}


def _row(variant: Variant) -> tuple[object, ...]:
    pins = ", ".join(f"{pin.name} {pin.version}" for pin in variant.runtimes)
    run_ms = variant.profile.run(1).at(50)
    return (variant.id, variant.accuracy, variant.size_bytes, round(run_ms, 3), pins)
