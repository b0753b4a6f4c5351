"""Pure. Who the tenants are and which tokens were taken back, as a gate knows it.

Entries come from the bucket `tenants`, at the cloud and mirrored at sites. A token says what it
allows; the register narrows that to what its tenant is permitted now. Keys are ``tenant.<name>``,
``token.<id>``, ``native.<account>``, ``spent.<tenant>`` and ``ready``; others are passed over.
"""

from collections.abc import Callable  # noqa: TC003  # TYPE_CHECKING would hide cycles
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints, ValidationError

from protocol.errors import DecodeError, UnauthenticatedError, UnreachableError
from protocol.subjects import ACCOUNT_PATTERN
from protocol.tokens import Budget, Claims, Scope
from protocol.types import Name, NonNegative, Tier, Weight, Wire

BUCKET = "tenants"
READY = "ready"
"""The key that the cloud writes once all that a mesh begins with is there."""
TENANT_SCOPES: tuple[Scope, ...] = ("ask", "plan", "read")

TokenId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
AccountKey = Annotated[str, StringConstraints(pattern=ACCOUNT_PATTERN)]


T = TypeVar("T")
WireT = TypeVar("WireT", bound=Wire)


class Tenant(Wire):
    """Somebody who asks, and what they may at most, whatever a token of theirs says."""

    name: Name
    scopes: tuple[Scope, ...] = TENANT_SCOPES
    tasks: tuple[Name, ...] | None = None
    """None: every task."""
    tiers: tuple[Tier, ...] | None = None
    budget: Budget = Budget()
    """Of all its tokens together, at each gate; cost of all gates together."""
    share: Weight = 1.0
    """Under overload it gets this in proportion to the others' shares."""
    note: Annotated[str, Field(max_length=200)] = ""


class Issued(Wire):
    """A token that was handed out: all that it says, and never the token itself."""

    id: TokenId
    tenant: Name
    scopes: tuple[Scope, ...] = ()
    tasks: tuple[Name, ...] | None = None
    tiers: tuple[Tier, ...] | None = None
    budget: Budget = Budget()
    issued: int = 0
    """Seconds since the epoch, as `expires` and `revoked`."""
    expires: int = 0
    by: str = ""
    revoked: int | None = None


class Native(Wire):
    """An account of NATS that is a tenant's own. Public keys: the others are the tenant's."""

    account: AccountKey
    tenant: Name
    signing: AccountKey
    """Signs the account's users."""
    since: int
    """Seconds since the epoch, as `ended`."""
    ended: int | None = None
    by: str = ""


class Spent(Wire):
    """What a tenant with a daily budget has spent, gate by gate, as the cloud has been told."""

    day: int
    """Days since the epoch, UTC."""
    usd: dict[str, NonNegative]

    def elsewhere(self, here: str, day: int) -> float:
        """What other gates than `here` have spent on `day`."""
        if day != self.day:
            return 0.0
        return sum(usd for gate, usd in self.usd.items() if gate != here)


class Register:
    """The mutable state is what the entries said last; `changed` is told of every one."""

    def __init__(self, *, heard: bool = False) -> None:
        self.heard = heard
        """False: nothing is known yet, and so nobody is admitted."""
        self.tenants: dict[str, Tenant] = {}
        self.tokens: dict[str, Issued] = {}
        self.revoked: set[str] = set()
        """Ids of tokens that were taken back."""
        self.natives: dict[str, Native] = {}
        """By account; those that have ended too."""
        self.spent: dict[str, Spent] = {}
        self.changed: Callable[[], None] = _nobody
        self.spending: Callable[[str], None] = _no_tenant
        """Told which tenant's `spent` is new; that is not a change."""

    def __repr__(self) -> str:
        if not self.heard:
            return "<Register not heard yet>"
        return f"<Register {len(self.tenants)} tenants | {len(self.revoked)} tokens revoked>"

    def put(self, key: str, value: bytes | None) -> None:
        """Take an entry in; `value` is None where it was deleted.

        Raises `DecodeError` for a broken one, which changes nothing: what was said last stands.
        """
        kind, _, name = key.partition(".")
        if kind == "spent":
            self._spent(key, name, value)
            return
        if key == READY:
            self.heard = value is not None
        try:
            if kind == "tenant":
                _set(self.tenants, name, None if value is None else _read(Tenant, value))
            elif kind == "token":
                self._token(name, None if value is None else _read(Issued, value))
            elif kind == "native":
                _set(self.natives, name, None if value is None else _read(Native, value))
        except ValidationError as error:
            raise DecodeError(f"the entry {key[:160]!r} of the tenants is broken") from error
        self.changed()

    def _spent(self, key: str, tenant: str, value: bytes | None) -> None:
        try:
            _set(self.spent, tenant, None if value is None else _read(Spent, value))
        except ValidationError as error:
            raise DecodeError(f"the entry {key[:160]!r} of the tenants is broken") from error
        self.spending(tenant)

    def _token(self, token_id: str, issued: Issued | None) -> None:
        _set(self.tokens, token_id, issued)
        if issued is None or issued.revoked is None:
            self.revoked.discard(token_id)
        else:
            self.revoked.add(token_id)

    def owner(self, account: str) -> str:
        """Return whose account of NATS that is; raise where it is nobody's, or was."""
        self._demand_heard()
        native = self.natives.get(account)
        if native is None or native.ended is not None:
            whose = native.tenant if native is not None else ""
            raise UnauthenticatedError(
                "this account is no tenant's of this mesh", _CREDENTIALS, whose=whose
            )
        return native.tenant

    def permitted(self, claims: Claims) -> Claims:
        """Return what the token allows of what its tenant may; raise where that is nobody's."""
        self._demand_heard()
        if claims.jti in self.revoked:
            raise UnauthenticatedError("the token has been revoked", _OTHER, whose=claims.sub)
        tenant = self.tenants.get(claims.sub)
        if tenant is None:
            raise UnauthenticatedError(
                "the token's tenant is not a tenant of this mesh", _OTHER, whose=claims.sub
            )
        return narrowed(claims, tenant)

    def _demand_heard(self) -> None:
        if not self.heard:
            raise UnreachableError(
                "this gate has not heard yet who the tenants are",
                "try again in a moment; a site hears it from its parent when it first starts",
            )


def narrowed(claims: Claims, tenant: Tenant) -> Claims:
    """Return what both allow."""
    return claims.model_copy(
        update={
            "scopes": tuple(scope for scope in claims.scopes if scope in tenant.scopes),
            "tasks": _both(claims.tasks, tenant.tasks),
            "tiers": _both(claims.tiers, tenant.tiers),
        }
    )


def _both(one: tuple[T, ...] | None, other: tuple[T, ...] | None) -> tuple[T, ...] | None:
    if one is None or other is None:
        return other if one is None else one
    return tuple(item for item in one if item in other)


def _set(entries: dict[str, T], name: str, entry: T | None) -> None:
    if entry is None:
        entries.pop(name, None)
    else:
        entries[name] = entry


def _read(model: type[WireT], value: bytes) -> WireT:
    return model.model_validate_json(value)


def _nobody() -> None:
    """Nobody wants to know."""


def _no_tenant(tenant: str) -> None:
    """Nobody wants to know of it."""


_OTHER = "ask your operator for another"
_CREDENTIALS = "ask your operator for others: tiermesh tenants credentials"
