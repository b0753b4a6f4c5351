"""A command that was given what cannot be meant: it exits 2. What a gate refuses is not: 1."""

from protocol.errors import BadRequestError


class MisusedError(BadRequestError):
    """Said before anything is sent or written."""
