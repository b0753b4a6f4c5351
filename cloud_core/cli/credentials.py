"""What `doctor` finds of credentials and certificates, in the folder of `up` or one of `init`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cloud_core.cli.checks import Finding
from cloud_core.identity.ca import RENEW_DAYS, ends
from cloud_core.up.layout import Layout
from edge_agent.identity.credentials import Credentials
from protocol.errors import MeshError

AGAIN = "run `tiermesh init` again, and copy the folder again"
DAY_S = 86_400.0
SOON_S = 3 * DAY_S
"""A node's credentials are renewed at half of their life: one so near the end cannot reach the
cloud."""


def findings(layout: Layout, now: float) -> Iterator[Finding]:
    """Yield what is wrong with each file, and how many there are."""
    found = endless = 0
    for path in sorted(layout.root.glob("**/*.creds")):
        found += 1
        try:
            _, end = Credentials.parse(path.read_text()).lifetime()
        except MeshError as error:
            yield Finding("FAIL", "identity", f"{path}: {error.error}", error.hint)
            continue
        if path.stat().st_mode & 0o077:
            yield Finding("FAIL", "identity", f"others may read {path}", f"chmod 600 {path}")
        endless += end is None
        if end is not None and end < now + SOON_S:
            level = _level(end, now)
            mend = "enrol again: tiermesh-agent enrol"
            yield Finding(level, "identity", f"{path} {_when(end, now)}", mend)
    for path in sorted({*layout.root.glob("**/tls/*.crt"), *layout.root.glob("**/ca.crt")}):
        found += 1
        yield from _certificate(path, now)
    for path, mend in _configured(layout.root):
        found += 1
        yield from _certificate(path, now, mend)
    said = f"{found} credentials and certificates in {layout.root}"
    if endless:
        said += f"; {endless} credentials, of servers, sites and the cloud, have no end"
    yield Finding("OK", "identity", said)


def _certificate(path: Path, now: float, mend: str = AGAIN) -> Iterator[Finding]:
    """What is wrong with a certificate that is shown, or pinned."""
    try:
        end = ends(path)
    except MeshError as error:
        yield Finding("FAIL", "identity", error.error, mend)
        return
    if end < now + RENEW_DAYS * DAY_S:
        yield Finding(_level(end, now), "identity", f"{path} {_when(end, now)}", mend)


def _configured(root: Path) -> Iterator[tuple[Path, str]]:
    """The operator's own certificates of gates: those that configurations name, elsewhere."""
    for file in sorted(root.glob("*.json")):
        try:
            said = json.loads(file.read_bytes())
        except ValueError:
            continue
        named = said.get("tls_certificate") if isinstance(said, dict) else None
        if not isinstance(named, str) or Path(named).is_relative_to(root):
            continue
        if Path(named).exists():  # else the folder is not yet where it will lie
            yield Path(named), f"renew it; {file} says tls_certificate"


def _level(end: float, now: float) -> Literal["WARN", "FAIL"]:
    return "FAIL" if end < now else "WARN"


def _when(end: float, now: float) -> str:
    days = abs(end - now) / DAY_S
    return f"ended {days:.0f} days ago" if end < now else f"ends in {days:.0f} days"
