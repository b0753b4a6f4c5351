"""The policy in its bucket: applied, rolled back, its history; and what of it is in force here.

The text as the operator wrote it is what is kept, comments and all. What a gate cannot read (a
newer version's, say) it leaves aside: the last good one stays in force.
"""

import logging
from collections.abc import Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.audit import Audit
from edge_agent.bus.kv import Entry
from edge_agent.clock import Clock
from middle_tier.desired import Desired
from middle_tier.policy.document import BadPolicyError, dump, read
from middle_tier.scheduler.types import Policy
from protocol.errors import ConflictError, UnknownError

log = logging.getLogger(__name__)

BUCKET = KEY = "policy"
CONFIGURED = "the configuration"


class Stored(BaseModel):
    """One revision, as it stands in the bucket."""

    model_config = ConfigDict(frozen=True)

    text: str
    by: str
    """The tenant who applied it."""
    at: float
    """When, in seconds since the epoch."""
    note: Annotated[str, Field(max_length=200)] = ""


class Ruled(BaseModel):
    """A policy, and where it comes from."""

    model_config = ConfigDict(frozen=True)

    policy: Policy
    text: str
    revision: int = 0
    """0: none was applied yet; it is the one of the process's configuration."""
    by: str = CONFIGURED
    at: float | None = None
    note: str = ""


class Policies:
    """What is in force. `enforce` is called with each policy that comes into force."""

    def __init__(
        self, desired: Desired, configured: Policy, enforce: Callable[[Policy], None], *,
        clock: Clock, audit: Audit,
    ) -> None:  # fmt: skip
        self._mirror = desired.mirror(BUCKET)
        self._bucket = desired.bucket(BUCKET)
        self._configured = Ruled(policy=configured, text=dump(configured))
        self._enforce = enforce
        self._clock = clock
        self._audit = audit
        self.ruled = self._configured
        """The one in force."""
        self.fault = ""
        """Why the newest revision is not in force."""
        self._mirror.on_change(self._changed)

    def __repr__(self) -> str:
        return f"<Policies revision {self.ruled.revision} in force>"

    async def apply(
        self, text: str, by: str, *, expected: int | None = None, note: str = ""
    ) -> Ruled:
        """Put a document into force everywhere; return it as it stands in the bucket now.

        Raises `BadPolicyError` (and nothing has changed), `ConflictError` when the newest revision
        is not `expected`, `UnreachableError` while the bucket is cut off.
        """
        policy = read(text)
        stored = Stored(text=text, by=by, at=self._clock.wall(), note=note[:200])
        newest = await self._bucket.get(KEY)
        revision = newest.revision if newest is not None else 0
        if expected is not None and expected != revision:
            raise ConflictError(
                f"the policy is at revision {revision}, not {expected}: somebody applied another",
                "see what changed with 'tiermesh policy diff', then apply again",
            )
        made = await self._bucket.put(KEY, stored.model_dump_json().encode(), expected=revision)
        self._audit.record("policy-apply", actor=by, revision=made, note=stored.note)
        return Ruled(policy=policy, revision=made, **stored.model_dump())

    async def rollback(self, revision: int | None, by: str) -> Ruled:
        """Apply what stood at a revision; None: at the one before the newest. It becomes newest.

        0, and whatever was before the first, is the configuration of each process. Raises
        `ConflictError` where nothing was ever applied, `UnknownError` for what is not kept.
        """
        history = await self.history()
        newest = await self._bucket.get(KEY)
        if newest is None and not history and not revision:
            raise ConflictError(
                "no policy was applied yet: there is nothing to roll back",
                "`tiermesh policy apply FILE` applies one",
            )
        if revision is None:
            before = [each for each in history if newest is None or each.revision < newest.revision]
            revision = before[-1].revision if before else 0
        if revision == 0:
            return await self._withdraw(by) if newest is not None else self._configured
        found = next((each for each in history if each.revision == revision), None)
        if found is None:
            kept = ", ".join(str(each.revision) for each in history) or "none"
            raise UnknownError(f"revision {revision} of the policy is not kept", f"kept are {kept}")
        return await self.apply(found.text, by, note=f"rollback to revision {found.revision}")

    async def _withdraw(self, by: str) -> Ruled:
        await self._bucket.delete(KEY)
        self._audit.record("policy-withdraw", actor=by)
        return self._configured

    async def history(self) -> tuple[Ruled, ...]:
        """Return the revisions that are kept, oldest first."""
        entries = await self._bucket.history(KEY)
        found: list[Ruled] = []
        for entry in entries:
            if entry.value is None:
                continue
            try:
                found.append(_ruled(entry))
            except (BadPolicyError, ValidationError) as error:
                log.warning("revision %d of the policy is left out: %s", entry.revision, error)
        return tuple(found)

    def _changed(self, entry: Entry) -> None:
        """The bucket says so: take it, or say why not and keep the last."""
        if entry.key != KEY:
            return
        try:
            ruled = self._configured if entry.value is None else _ruled(entry)
        except (BadPolicyError, ValidationError) as error:
            self.fault = f"revision {entry.revision}: {error}"
            log.error("the policy stays at revision %d: %s", self.ruled.revision, self.fault)  # noqa: TRY400  # the error says all
            return
        self.ruled, self.fault = ruled, ""
        self._enforce(ruled.policy)
        log.info("policy revision %d of %s is in force", ruled.revision, ruled.by)


def _ruled(entry: Entry) -> Ruled:
    stored = Stored.model_validate_json(entry.value or b"")
    return Ruled(policy=read(stored.text), revision=entry.revision, **stored.model_dump())
