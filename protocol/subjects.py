"""Every NATS subject, built and parsed by the same class: ``str(x)`` and ``X.parse(s)``.

tm.v1.ad.<tier>.<site>.<node>        advert
tm.v1.ask.<site>.<node>              router -> agent
tm.v1.route.<site>                   query for a site's routers (queue group)
tm.v1.sum.<site>                     site summary to its parent
tm.v1.ctl.<site>.<node>.<verb>       orders to an agent
tm.v1.evt.<site>.<node>.<kind>       events
tm.v1.id.<op>                        identity
tm.v1.blob.<site>                    ranged reads of bundle bytes, at a site's mirror
tm.v1.native.<account>               query of a tenant's own account, put there by the server
"""

import re
from dataclasses import astuple, dataclass, fields
from typing import ClassVar, Self

from protocol.errors import BadNameError, DecodeError
from protocol.names import check_name

ROOT = "tm.v1"
TIERS = ("edge", "middle", "cloud")
VERBS = ("load", "evict", "drain", "resume", "update", "describe")
IDENTITY_OPS = ("enrol", "renew")
ACCOUNT_PATTERN = r"^A[A-Z2-7]{55}$"
"""An account's public key, as NATS writes it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject whose tokens are its fields, in order, behind ``tm.v1.<word>``."""

    word: ClassVar[str]
    allowed: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Fields that take one of a closed set."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = check_name(getattr(self, field.name), field.name)
            choices = self.allowed.get(field.name)
            if choices and value not in choices:
                raise BadNameError(
                    f"{value!r} is not a {field.name}", f"use one of {', '.join(choices)}"
                )

    def __str__(self) -> str:
        return ".".join((ROOT, self.word, *astuple(self)))

    @classmethod
    def parse(cls, subject: str) -> Self:
        """Return the subject's parts; raise `DecodeError` when it is of another kind."""
        head, *tokens = subject.removeprefix(f"{ROOT}.").split(".")
        known = subject.startswith(f"{ROOT}.") and head == cls.word
        if not known or len(tokens) != len(fields(cls)):
            raise DecodeError(f"not a {cls.word} subject: {subject[:200]!r}")
        try:
            return cls(*tokens)
        except BadNameError as error:
            raise DecodeError(f"not a {cls.word} subject: {subject[:200]!r}") from error

    @classmethod
    def pattern(cls, **known: str) -> str:
        """Return what to subscribe to: the known tokens checked, a ``*`` for each other one."""
        tokens = {field.name: "*" for field in fields(cls)}
        if stray := known.keys() - tokens.keys():
            raise TypeError(f"{cls.__name__} has no token {', '.join(sorted(stray))}")
        tokens |= {name: check_name(value, name) for name, value in known.items()}
        return ".".join((ROOT, cls.word, *tokens.values()))


@dataclass(frozen=True, slots=True)
class AdvertSubject(Subject):
    """tm.v1.ad.<tier>.<site>.<node>"""

    word = "ad"
    allowed = {"tier": TIERS}  # noqa: RUF012  # a ClassVar of the base, never changed
    tier: str
    site: str
    node: str


@dataclass(frozen=True, slots=True)
class AskSubject(Subject):
    """tm.v1.ask.<site>.<node>"""

    word = "ask"
    site: str
    node: str


@dataclass(frozen=True, slots=True)
class RouteSubject(Subject):
    """tm.v1.route.<site>"""

    word = "route"
    site: str


@dataclass(frozen=True, slots=True)
class SummarySubject(Subject):
    """tm.v1.sum.<site>"""

    word = "sum"
    site: str


@dataclass(frozen=True, slots=True)
class ControlSubject(Subject):
    """tm.v1.ctl.<site>.<node>.<verb>"""

    word = "ctl"
    allowed = {"verb": VERBS}  # noqa: RUF012  # a ClassVar of the base, never changed
    site: str
    node: str
    verb: str


@dataclass(frozen=True, slots=True)
class EventSubject(Subject):
    """tm.v1.evt.<site>.<node>.<kind>"""

    word = "evt"
    site: str
    node: str
    kind: str


@dataclass(frozen=True, slots=True)
class IdentitySubject(Subject):
    """tm.v1.id.<op>"""

    word = "id"
    allowed = {"op": IDENTITY_OPS}  # noqa: RUF012  # a ClassVar of the base, never changed
    op: str


@dataclass(frozen=True, slots=True)
class BlobSubject(Subject):
    """tm.v1.blob.<site>"""

    word = "blob"
    site: str


@dataclass(frozen=True, slots=True)
class NativeSubject(Subject):
    """tm.v1.native.<account>: who asks on `tiermesh.ask` there, as the server says, not they."""

    word = "native"
    account: str

    def __post_init__(self) -> None:
        if not re.match(ACCOUNT_PATTERN, self.account) or self.account.endswith("\n"):
            raise BadNameError(f"{self.account[:80]!r} is not an account's public key")


class CancelSubject(NativeSubject):
    """tm.v1.cancel.<account>: who wants no answer any more, on `tiermesh.cancel` there."""

    word = "cancel"
