"""What may stand in a subject, a URL or a file name. Checked before anything is built from it."""

import re

from protocol.errors import BadNameError

NAME_PATTERN = r"^[a-z0-9-]{1,63}$"
"""Tasks, sites, nodes, tenants: one NATS subject token, one URL segment."""

VARIANT_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"
"""Variant ids and architectures; never part of a subject."""

TENSOR_PATTERN = r"^[\x21-\x7e]{1,128}$"
"""Inputs and outputs of a task."""

ID_PATTERN = r"^[\x20-\x7e]{1,128}$"
"""Requests: what a caller likes."""

_NAME = re.compile(NAME_PATTERN.strip("^$"))
_VARIANT = re.compile(VARIANT_PATTERN.strip("^$"))


def check_name(name: str, what: str) -> str:
    """Return `name`, or raise `BadNameError` when it cannot be a subject token."""
    if not _NAME.fullmatch(name):
        raise BadNameError(
            f"{name[:80]!r} cannot name a {what}", "use 1 to 63 of a-z, 0-9 and the hyphen"
        )
    return name


def check_variant(name: str) -> str:
    """Return `name`, or raise `BadNameError` when it cannot be a variant's id."""
    if not _VARIANT.fullmatch(name):
        raise BadNameError(
            f"{name[:80]!r} cannot name a variant",
            "use 1 to 128 of A-Z, a-z, 0-9, dot, underscore and hyphen",
        )
    return name
