"""Where a request enters: who asks, what the token allows, what of the budget is left.

What a token is stands in protocol.tokens, who the tenants are in `register`, what may be used in
`budgets`; tasks and scopes are enforced by each route with `Claims.demand`. Nothing here issues
tokens.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from edge_agent.clock import Clock
from middle_tier.budgets import DAY_S, Account, Accounts
from middle_tier.fairness import Fairness, Felt
from middle_tier.refused import Refused
from middle_tier.register import Register
from protocol.errors import BadRequestError, UnauthenticatedError
from protocol.tokens import AUDIENCE, ISSUER, LEEWAY_S, MAX_TOKEN_BYTES, Budget, Claims, check

MAX_KNOWN = 4096
"""Verified tokens that are remembered; all are forgotten when there are more."""

FOR_EVER = 253_402_300_799
"""The last second of the year 9999: the claims of an open gate do not expire."""


class Foreign(Protocol):
    """Somebody else's tokens that are believed here."""

    def claims(self, token: str, now: float) -> Claims | None:
        """What the token says in our words; None: it is none of these. Raises as `check` does."""
        ...


class Caller:
    """Who asks, what they may, and what they have used. One for each token that is known."""

    __slots__ = ("_clock", "_fairness", "_party", "accounts", "claims", "share")

    def __init__(
        self, claims: Claims, accounts: tuple[Account, ...], clock: Clock,
        fairness: Fairness, share: float = 1.0,
    ) -> None:  # fmt: skip
        self.claims = claims
        self.accounts = accounts
        self._clock = clock
        self._fairness = fairness
        self.share = share
        self._party = fairness.party(claims.sub, share, clock.now())

    def check(self) -> None:
        """Raise `OverBudgetError` when no query of theirs may begin now.

        And `NoCandidateError` under overload, for who has their share of the mesh.
        """
        now = self._clock.now()
        for account in self.accounts:
            if account.unlimited:
                continue
            refusal = account.refusal(now, self._clock.wall())
            if refusal is not None:
                raise refusal
        fairness = self._fairness
        if self._party.gone:
            self._party = fairness.party(self.claims.sub, self.share, now)
        unfair = fairness.refusal(self._party, now)
        if unfair is not None:
            raise unfair

    def elapsed_ms(self, since: float) -> float:
        return (self._clock.now() - since) * 1000.0

    def begin(self) -> None:
        """A query that was checked begins; `end` follows, once."""
        self._fairness.begin(self._party)
        for account in self.accounts:
            account.begin()

    def end(self, cost_usd: float = 0.0, felt: Felt | None = None) -> None:
        self._fairness.end(self._party, felt, self._clock.now())
        wall = self._clock.wall()
        for account in self.accounts:
            account.end(cost_usd, wall)


class Gate:
    """Admits requests by their ``Authorization`` header.

    A token is verified once and then remembered by the whole header until it expires, or until
    anything in the register changes. With `open_tenant` nobody needs a token and everybody is that
    tenant: for loopback only. Without a register what a token says is all there is to know.
    """

    def __init__(
        self,
        keys: Mapping[str, Ed25519PublicKey],
        clock: Clock,
        *,
        register: Register | None = None,
        foreign: Foreign | None = None,
        open_tenant: str | None = None,
    ) -> None:
        self.keys = dict(keys)
        self.register = register
        self.foreign = foreign
        self.accounts = Accounts()
        self.fairness = Fairness()
        self.refused = Refused()
        self.name = ""
        """Among all gates of the mesh."""
        self.spent_before: dict[str, float] = {}
        """USD by tenant that this gate had counted today before it started."""
        self._clock = clock
        self._started = int(clock.wall() // DAY_S)
        self._known: dict[str, Caller] = {}
        self._native: dict[str, Caller] = {}
        """By account of NATS; apart from headers, which anybody may send."""
        self._everybody = None
        if open_tenant is not None:
            self._everybody = self._caller(everything(open_tenant))
        if register is not None:
            register.changed = self.forget
            register.spending = self._spent_elsewhere

    def __repr__(self) -> str:
        if self._everybody is not None:
            return f"<Gate open to {self._everybody.claims.sub}>"
        return f"<Gate {len(self.keys)} keys | {len(self._known)} tokens known>"

    def forget(self) -> None:
        """Verify every token anew, when it comes next."""
        self._known.clear()
        self._native.clear()

    def admit(self, authorization: str | None) -> Claims:
        """Return what the caller may do, or raise `UnauthenticatedError`."""
        return self.caller(authorization).claims

    def caller(self, authorization: str | None) -> Caller:
        """Return who asks, with what they have used, or raise `UnauthenticatedError`."""
        if self._everybody is not None:
            return self._everybody
        now = self._clock.wall()
        if authorization is not None:
            caller = self._known.get(authorization)
            if caller is not None and now < caller.claims.exp + LEEWAY_S:
                return caller
        try:
            return self._verify(authorization, now)
        except UnauthenticatedError as error:
            self.refused.add(error.error, error.whose)
            raise

    def native(self, account: str) -> Caller:
        """Return who asks from an account of NATS, which the server has proved.

        Raises `UnauthenticatedError` for one that is nobody's.
        """
        caller = self._native.get(account)
        if caller is None:
            if self.register is None:
                raise UnauthenticatedError("this gate knows no tenants' accounts")
            try:
                tenant = self.register.owner(account)
            except UnauthenticatedError as error:
                self.refused.add(error.error, error.whose)
                raise
            claims = everything(tenant).model_copy(update={"jti": account, "scopes": ("ask",)})
            caller = self._native[account] = self._caller(self.register.permitted(claims))
        return caller

    def _verify(self, authorization: str | None, now: float) -> Caller:
        if authorization is None:
            raise UnauthenticatedError(
                "no token was sent", "send 'Authorization: Bearer <token>' with the request"
            )
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise UnauthenticatedError(
                "the Authorization header does not carry a bearer token",
                "send 'Authorization: Bearer <token>'",
            )
        self._known.pop(authorization, None)
        caller = self._caller(self._claims(token.strip(), now))
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        if len(authorization) <= 2 * MAX_TOKEN_BYTES:
            self._known[authorization] = caller
        return caller

    def _claims(self, token: str, now: float) -> Claims:
        claims = self.foreign.claims(token, now) if self.foreign is not None else None
        if claims is None:
            revoked = self.register.revoked if self.register is not None else ()
            claims = check(token, self.keys, now=now, revoked=revoked)
        return claims if self.register is None else self.register.permitted(claims)

    def _caller(self, claims: Claims) -> Caller:
        """A tenant's budget binds all its tokens together; a token's own binds it besides."""
        now, wall = self._clock.now(), self._clock.wall()
        tenant = self.register.tenants[claims.sub] if self.register is not None else None
        budget = tenant.budget if tenant is not None else Budget()
        accounts = [self.accounts.of(claims.sub, budget, now, wall)]
        self._spent_elsewhere(claims.sub)
        if claims.budget != Budget():
            own = f"{claims.sub}/{claims.jti}"
            accounts.append(self.accounts.of(own, claims.budget, now, wall))
        share = tenant.share if tenant is not None else 1.0
        return Caller(claims, tuple(accounts), self._clock, self.fairness, share)

    def _spent_elsewhere(self, tenant: str) -> None:
        """Take over what other gates have told of this tenant, and we before we started."""
        account, wall = self.accounts.known(tenant), self._clock.wall()
        if account is None:
            return
        spent = self.register.spent.get(tenant) if self.register is not None else None
        day = int(wall // DAY_S)
        elsewhere = spent.elsewhere(self.name, day) if spent is not None else 0.0
        before = self.spent_before.get(tenant, 0.0) if day == self._started else 0.0
        account.recall(before, wall, elsewhere=elsewhere)


def everything(tenant: str) -> Claims:
    """Claims that permit all there is: what an open gate hands to everybody."""
    return Claims(
        iss=ISSUER, aud=AUDIENCE, sub=tenant, jti="local", iat=0, exp=FOR_EVER,
        scopes=("ask", "plan", "read", "operate"),
    )  # fmt: skip


def read_keys(data: bytes) -> dict[str, Ed25519PublicKey]:
    """Read a key file: a JSON object, key id to the raw public key in base64url.

    Raises `BadRequestError` that names the key which cannot be read.
    """
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BadRequestError("the key file is not JSON", _KEYS_HINT) from error
    if not isinstance(document, dict):
        raise BadRequestError("the key file is not a JSON object", _KEYS_HINT)
    return {kid: _key(kid, value) for kid, value in document.items()}


def _key(kid: str, value: object) -> Ed25519PublicKey:
    if not isinstance(value, str):
        raise BadRequestError(f"key {kid!r} is not a string", _KEYS_HINT)
    try:
        raw = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
        return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(f"key {kid!r} is not an Ed25519 key", _KEYS_HINT) from error


_KEYS_HINT = 'it reads {"<key id>": "<32 bytes of the public key in base64url>", ...}'
