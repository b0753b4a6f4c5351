"""Which mesh a command speaks to: the one given, else the environment's, else --dir's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cloud_core.cli.misuse import MisusedError
from cloud_core.up.layout import Layout
from cloud_core.up.state import State, running
from middle_tier.client import AsyncMesh, Mesh
from middle_tier.http import pinned
from protocol.errors import BadRequestError, UnreachableError

HOME = Path("~/.tiermesh")

PATIENCE_S = 15.0
"""With a gate that takes connections and says nothing: somebody waits in front of a screen."""

Dir = Annotated[Path, typer.Option("--dir", help="Folder of the mesh that `up` keeps.")]
Url = Annotated[
    str | None,
    typer.Option(
        help="A gate's URL. Else TIERMESH_URL, else --dir's. Who signs its certificate: --ca FILE."
    ),
]
Token = Annotated[
    str | None, typer.Option(help="A token. Else TIERMESH_TOKEN, else --dir's operator's.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environment says."""

    url: str | None = None
    token: str | None = None
    ca: Path | None = None

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Surroundings":
        ca = environment.get("TIERMESH_CA")
        return cls(
            environment.get("TIERMESH_URL"), environment.get("TIERMESH_TOKEN"),
            Path(ca) if ca else None,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Where:
    """A gate and the token for it."""

    url: str
    token: str | None
    ca: Path | None = None
    """Whose signature the gate's certificate bears; None: one that the system trusts."""

    def mesh(self, timeout_s: float = PATIENCE_S) -> Mesh:
        return Mesh(self.url, self.token, timeout_s=timeout_s, ca=self.ca)

    def later(self, timeout_s: float = PATIENCE_S) -> AsyncMesh:
        """The same for asyncio."""
        return AsyncMesh(self.url, self.token, timeout_s=timeout_s, ca=self.ca)


def layout(folder: Path) -> Layout:
    return Layout(folder.expanduser().absolute())


def where(context: typer.Context, url: str | None, token: str | None, folder: Path) -> Where:
    """Return the gate to speak to; raise `UnreachableError` when nothing says which.

    Raises `MisusedError` for a URL that a token must not be sent to.
    """
    around, place = context.ensure_object(Surroundings), layout(folder)
    state = running(place)
    chosen = url or around.url or (state.url if state else None)
    if chosen is None:
        how = "give its gate with --url https://HOST:8080, or in TIERMESH_URL"
        mend = how if place.founded else "start one with `tiermesh up`, or give --url"
        raise UnreachableError(f"no mesh is running in {folder}", mend)
    ca = around.ca or _kept(folder, chosen)
    try:
        pinned.place(chosen, ca)
    except BadRequestError as error:
        raise MisusedError(error.error, error.hint) from error
    return Where(chosen, token or around.token or _own(state, chosen), ca)


def gates(place: Where, folder: Path, url: str | None) -> list[Where]:
    """Return the other gates of the mesh in `folder`; none where a URL was given."""
    state = running(layout(folder)) if url is None else None
    found = [gate.url for gate in state.gates] if state is not None else []
    return [Where(gate, place.token, place.ca) for gate in found if gate != place.url.rstrip("/")]


def _kept(folder: Path, url: str) -> Path | None:
    """The authority in a folder of `tiermesh init`: for https, as nobody has named it."""
    there = layout(folder).root / "ca.crt"
    return there if url[:5].lower() != "http:" and there.exists() else None


def _own(state: State | None, url: str) -> str | None:
    """The running mesh's token, for its own gates only: a token goes to nobody else."""
    gates = {gate.url for gate in state.gates} if state else set()
    return state.token if state and url.rstrip("/") in gates else None
