"""Whose sign-in is believed: tokens of configured OpenID Connect issuers, mapped to tenants.

Only the cloud's gate takes them: keys have to be fetched, and sites must be able to check offline.
A token is checked with the keys that are here; one of a key that is not makes them be fetched, at
most every few seconds, and is refused meanwhile. Nothing that a token says decides where they come
from, nor how it is checked.
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
from jwt import PyJWK
from jwt.types import Options

from cloud_core.issuers import ALGORITHMS, OidcIssuer, claims_of
from edge_agent.clock import Clock
from protocol.errors import MeshError, UnauthenticatedError, UnreachableError
from protocol.tokens import MAX_TOKEN_BYTES, Claims

log = logging.getLogger(__name__)

REFRESH_S = 900.0
"""Between two looks at an issuer's keys that nobody asks for: how long a withdrawn one counts."""
LEAST_S = 10.0
"""Between two that somebody's token has asked for."""
TIMEOUT_S = 5.0
MAX_BYTES, MAX_KEYS = 256 << 10, 64


class SignIn:
    """The mutable state is each issuer's keys, and who waits for a look at them."""

    def __init__(self, issuers: Sequence[OidcIssuer], clock: Clock) -> None:
        self._issuers = {one.issuer: one for one in issuers}
        self._keys: dict[str, dict[str, PyJWK]] = {}
        self._asked = {issuer: asyncio.Event() for issuer in self._issuers}
        self._clock = clock
        self.withdrawn = _nothing
        """Told when a key that counted does not any more."""

    def __repr__(self) -> str:
        return f"<SignIn {len(self._issuers)} issuers | {sum(map(len, self._keys.values()))} keys>"

    def claims(self, token: str, now: float) -> Claims | None:
        """What the token says in our words; None: it is of none of these issuers."""
        if len(token) > 2 * MAX_TOKEN_BYTES or not token.isascii():
            return None
        try:
            header = jwt.get_unverified_header(token)
            said = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.InvalidTokenError, RecursionError):
            return None
        issuer = self._issuers.get(said) if isinstance(said, str) else None
        if issuer is None:
            return None
        payload = _verified(token, header, self._key(issuer, header), issuer)
        return claims_of(payload, issuer, now=now, token_id=_digest(token))

    async def watching(self, issuer: OidcIssuer) -> None:
        """Keep an issuer's keys, for ever."""
        asked, timeout = self._asked[issuer.issuer], aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
            while True:
                asked.clear()
                try:
                    self._take(issuer, await fetched(session, issuer))
                except (aiohttp.ClientError, TimeoutError, MeshError, ValueError) as error:
                    log.warning("no keys of %s: %s", issuer.issuer, type(error).__name__)
                await self._clock.sleep(LEAST_S)
                await self._until_asked(asked)

    async def _until_asked(self, asked: asyncio.Event) -> None:
        waiting = asyncio.ensure_future(asked.wait())
        sleeping = asyncio.ensure_future(self._clock.sleep(REFRESH_S - LEAST_S))
        try:
            await asyncio.wait((waiting, sleeping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    def _take(self, issuer: OidcIssuer, keys: dict[str, PyJWK]) -> None:
        before = self._keys.get(issuer.issuer, {})
        self._keys[issuer.issuer] = keys
        if any(kid not in keys or keys[kid].key != key.key for kid, key in before.items()):
            self.withdrawn()

    def _key(self, issuer: OidcIssuer, header: Mapping[str, Any]) -> PyJWK:
        known = self._keys.get(issuer.issuer)
        key = known.get(str(header.get("kid"))) if known is not None else None
        if key is None:
            self._asked[issuer.issuer].set()
            if known is None:
                raise UnreachableError("the issuer's keys are not here yet", "try again soon")
            raise _refused("the token is of a key that its issuer does not show")
        return key


async def fetched(session: aiohttp.ClientSession, issuer: OidcIssuer) -> dict[str, PyJWK]:
    """Return the issuer's keys by id; what is not for signing, or not of our kinds, is left out."""
    url = issuer.jwks_url
    if url is None:
        found = await _document(session, issuer.issuer.rstrip("/") + _DISCOVERY)
        if found.get("issuer") != issuer.issuer:
            raise UnauthenticatedError("the discovery document is of another issuer")
        url = str(found.get("jwks_uri"))
        if urlsplit(url).scheme != urlsplit(issuer.issuer).scheme:
            raise UnauthenticatedError("the keys are offered over another scheme")
    listed = (await _document(session, url)).get("keys")
    keys = listed[:MAX_KEYS] if isinstance(listed, list) else []
    return {str(one["kid"]): key for one in keys if (key := _usable(one)) is not None}


async def _document(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:  # noqa: PLR2004  # HTTP's
            raise UnreachableError(f"status {answer.status}")
        data = await answer.content.read(MAX_BYTES)
        if not answer.content.at_eof():
            raise UnreachableError("more bytes than keys take")
    document = json.loads(data)
    if not isinstance(document, dict):
        raise UnreachableError("not a JSON object")
    return document


def _usable(one: object) -> PyJWK | None:
    if not isinstance(one, dict) or "kid" not in one or one.get("use", "sig") != "sig":
        return None
    try:
        key = PyJWK(one)
    except (jwt.PyJWTError, ValueError, KeyError, TypeError):
        return None
    return key if key.algorithm_name in ALGORITHMS else None


def _verified(
    token: str, header: Mapping[str, Any], key: PyJWK, issuer: OidcIssuer
) -> dict[str, Any]:
    """The algorithm is the key's own: what the token says of it must agree, and decides nothing."""
    if header.get("alg") != key.algorithm_name:
        raise _refused("the token is signed in another way than its key says")
    try:
        payload: dict[str, Any] = jwt.decode(
            token, key.key, algorithms=[key.algorithm_name], audience=issuer.audience,
            issuer=issuer.issuer, options=_NO_TIMES,
        )  # fmt: skip
    except _ELSEWHERE as error:
        raise _refused("the token is for another audience") from error
    except jwt.InvalidTokenError as error:
        raise _refused("the token's signature does not verify") from error
    return payload


def _refused(why: str) -> UnauthenticatedError:
    return UnauthenticatedError(why, "sign in again")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def _nothing() -> None:
    """Nobody wants to know."""


_DISCOVERY = "/.well-known/openid-configuration"
_NO_TIMES: Options = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
_ELSEWHERE = (
    jwt.InvalidAudienceError, jwt.InvalidIssuerError, jwt.MissingRequiredClaimError,
)  # fmt: skip
