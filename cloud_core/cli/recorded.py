"""Where a command that acts on files says what it did: the log that the mesh's cloud reads.

Not the log itself, which is `cloud_core.audit`'s.
"""

import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cloud_core.audit.log import AuditLog
from cloud_core.up.layout import Layout
from edge_agent.clock import SystemClock
from protocol.errors import BadRequestError, ForbiddenError


class _Said(BaseModel):
    """What is asked of the cloud's configuration here; the rest is not looked at."""

    audit: Path | None = None


def audit_path(place: Layout) -> Path:
    """Return the audit log of the cloud that is configured in the folder, else the folder's own."""
    config = place.root / "cloud.json"
    if not config.exists():
        return place.audit
    try:
        said = _Said.model_validate_json(config.read_bytes())
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise BadRequestError(f"{config}: {fault}", "mend it, or give another --dir") from error
    return place.root / said.audit if said.audit is not None else place.audit


def audit_log(place: Layout) -> AuditLog:
    """Return the log to record in; raise `ForbiddenError` before anything is done unrecorded."""
    path = audit_path(place)
    try:
        there = next(one for one in (path, *path.parents) if one.exists())
        able = os.access(there, os.W_OK) and there.is_dir() != (there == path)
    except OSError:
        able = False
    if not able:
        raise ForbiddenError(
            f"the audit log {path} cannot be written, and nothing is done unrecorded",
            "run this on the cloud's machine, as the user that runs tiermesh-cloud",
        )
    return AuditLog(path, SystemClock())
