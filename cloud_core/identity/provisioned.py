"""Identities that were minted beside enrolment, by `up` and `init`: a list that the cloud reads."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cloud_core.issuer import write_secret
from edge_agent.config import Config
from protocol.errors import BadRequestError
from protocol.types import Name, Tier


class Provisioned(Config):
    """One node that was given its credentials."""

    public: str
    node: Name
    site: Name
    tier: Tier


_LIST = TypeAdapter(tuple[Provisioned, ...])


def read_provisioned(path: Path) -> tuple[Provisioned, ...]:
    """Return the list; raise `BadRequestError` when it cannot be read."""
    try:
        return _LIST.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise BadRequestError(
            f"{path} is not a list of identities", "let `tiermesh init` write it again"
        ) from error


def write_provisioned(path: Path, nodes: Iterable[Provisioned]) -> None:
    """Write the list."""
    write_secret(path, _LIST.dump_json(tuple(nodes), indent=2).decode() + "\n")
