"""Buckets in JetStream: the streams that every NATS client knows as key-value, through nats-py.

Follows by asking, not by consumers: a consumer on the other side of a leaf node that was cut dies
or, worse, skips; a question that says from where on cannot. So nothing is left at the server by
whoever goes away, and a watch costs one small question every `POLL_S`. Needs nats-server 2.11.
"""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from typing import NamedTuple

from edge_agent.bus.absent import absent
from edge_agent.bus.kv import HISTORY_LIMIT, Bucket, Entry, check_key, listing, newest
from edge_agent.clock import Clock, SystemClock
from protocol.errors import ConflictError, MeshError, TooLargeError, UnreachableError

with absent("aiohttp"):  # see bus.nats
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import api
    from nats.js import errors as js_errors

log = logging.getLogger(__name__)

POLL_S = 0.5
"""Between two questions of a watch. Lower tells of a change sooner, and asks the server more."""
TIMEOUT_S = 2.0
"""Longest wait for a reply, or for the next of several."""
BATCH = 512
_WRONG_REVISION = (10071, 10164)
_NAME_IN_USE = 10058
_END, _NOTHING, _NOBODY = "204", "404", "503"
_OPERATION = "KV-Operation"


class NatsBuckets:
    """Those of one JetStream domain; None: the server's own."""

    def __init__(
        self, client: Client, domain: str | None = None, *,
        replicas: int = 1, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self._client = client
        self._domain = domain
        self._replicas = replicas
        self._clock = clock or SystemClock()

    async def bucket(self, name: str, *, history: int = 1) -> Bucket:
        found = self.at(name)
        if await found.state() is None:
            await self._make(name, history)
        return found

    def at(self, name: str) -> "NatsBucket":
        return NatsBucket(self._client, name, domain=self._domain, clock=self._clock)

    async def _make(self, name: str, history: int) -> None:
        js = self._client.jetstream(domain=self._domain, timeout=TIMEOUT_S)
        kept = min(history, HISTORY_LIMIT)
        config = api.KeyValueConfig(bucket=name, history=kept, direct=True, replicas=self._replicas)
        with _mapped(name):
            try:
                await js.create_key_value(config)
            except js_errors.BadRequestError as error:
                if error.err_code != _NAME_IN_USE:  # somebody else was quicker: as good
                    raise


class _State(NamedTuple):
    """Which stream it is now, and how far."""

    created: datetime | None
    last: int


class NatsBucket:
    """Holds no state: each method asks."""

    def __init__(self, client: Client, name: str, *, domain: str | None, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._name = name
        self._stream = f"KV_{name}"
        self._stored = f"$KV.{name}."
        self._js = client.jetstream(domain=domain, timeout=TIMEOUT_S)
        prefix = "$JS.API" if domain is None else f"$JS.{domain}.API"
        self._read_at = f"{prefix}.DIRECT.GET.{self._stream}"
        self._written = self._stored if domain is None else f"{prefix}.{self._stored}"

    def __repr__(self) -> str:
        return f"<NatsBucket {self._name}>"

    async def get(self, key: str) -> Entry | None:
        last = await self._last(key)
        return last if last is not None and last.value is not None else None

    async def put(self, key: str, value: bytes, *, expected: int | None = None) -> int:
        check_key(key)
        if len(value) + 1024 > self._client.max_payload:
            raise TooLargeError(
                f"{key} is {len(value)} bytes, the NATS server takes {self._client.max_payload}",
                "keep large things as bundles",
            )
        try:
            return await self._write(key, value, expected)
        except ConflictError:
            last = await self._last(key) if expected == 0 else None
            if last is None or last.value is not None:
                raise
            return await self._write(key, value, last.revision)  # it exists as a deletion only

    async def delete(self, key: str) -> None:
        with _mapped(self._name):
            await self._js.publish(self._written + check_key(key), headers={_OPERATION: "DEL"})

    async def keys(self) -> tuple[str, ...]:
        last = newest(await self._after(0))
        return tuple(sorted(key for key, entry in last.items() if entry.value is not None))

    async def history(self, key: str) -> tuple[Entry, ...]:
        return tuple(await self._after(0, check_key(key)))

    @asynccontextmanager
    async def watch(self, known: Collection[str] = ()) -> AsyncIterator[AsyncIterator[Entry]]:
        async with aclosing(self._changes(frozenset(known))) as entries:
            yield entries

    async def state(self) -> _State | None:
        """Return how far it is; None: it does not exist."""
        with _mapped(self._name):
            try:
                info = await self._js.stream_info(self._stream)
            except js_errors.NotFoundError:
                return None
            return _State(info.created, info.state.last_seq)

    async def _changes(self, known: frozenset[str]) -> AsyncGenerator[Entry, None]:
        seen, present = _State(None, 0), set(known)
        while True:
            try:
                seen, entries = await self._news(seen, present)
            except UnreachableError as error:
                log.debug("%s cannot be read: %s", self._name, error)
                entries = []
            for entry in entries:
                (present.discard if entry.value is None else present.add)(entry.key)
                yield entry
            await self._clock.sleep(POLL_S)

    async def _news(self, seen: _State, present: Collection[str]) -> tuple[_State, list[Entry]]:
        """What there is since `seen`, and how far that goes; a new stream is read from its start.

        A bucket that is gone says nothing of its keys: somebody may be about to restore it.
        """
        state = await self.state()
        if state is None:
            return seen, []
        again = state.created != seen.created or state.last < seen.last
        if not again and state.last == seen.last:
            return seen, []
        start = 0 if again else seen.last
        read = await self._after(start)
        told = listing(read, present) if again else list(newest(read).values())
        return _State(state.created, read[-1].revision if read else start), told

    async def _last(self, key: str) -> Entry | None:
        query = {"multi_last": [self._stored + check_key(key)], "batch": 1}
        entries, _ = await self._read(query)
        return entries[-1] if entries else None

    async def _after(self, revision: int, key: str = ">") -> list[Entry]:
        """Everything kept that is newer than `revision`, oldest first."""
        found: list[Entry] = []
        pending = 1
        while pending:
            start = (found[-1].revision if found else revision) + 1
            query = {"seq": start, "next_by_subj": self._stored + key, "batch": BATCH}
            entries, pending = await self._read(query)
            found += entries
        return found

    async def _read(self, query: Mapping[str, object]) -> tuple[list[Entry], int]:
        """Ask for several messages at once; return them, and how many more there are."""
        inbox = self._client.new_inbox()
        found: list[Entry] = []
        with _mapped(self._name):
            replies = await self._client.subscribe(inbox)
            try:
                await self._client.publish(self._read_at, json.dumps(query).encode(), inbox)
                while True:
                    msg = await replies.next_msg(TIMEOUT_S)
                    headers = msg.headers or {}
                    status = headers.get("Status")
                    if status is not None:
                        return found, _pending(status, headers)
                    found.append(self._entry(msg, headers))
            finally:
                await replies.unsubscribe()

    async def _write(self, key: str, value: bytes, expected: int | None) -> int:
        subject = self._written + key
        headers = None
        if expected is not None:
            headers = {str(api.Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value): str(expected)}
        with _mapped(self._name):
            try:
                return (await self._js.publish(subject, value, headers=headers)).seq
            except js_errors.APIError as error:
                if error.err_code not in _WRONG_REVISION:
                    raise
                raise ConflictError(
                    f"{key} is not at revision {expected}: somebody else changed it",
                    "read it again, then decide",
                ) from error

    def _entry(self, msg: Msg, headers: Mapping[str, str]) -> Entry:
        key = headers["Nats-Subject"].removeprefix(self._stored)
        gone = headers.get(_OPERATION) in ("DEL", "PURGE") or "Nats-Marker-Reason" in headers
        return Entry(key, None if gone else msg.data, int(headers["Nats-Sequence"]))


def _pending(status: str, headers: Mapping[str, str]) -> int:
    if status == _END:
        return int(headers.get("Nats-Num-Pending", "0"))
    if status == _NOTHING:
        return 0
    if status == _NOBODY:
        raise js_errors.NoStreamResponseError
    raise UnreachableError(f"JetStream answers a read with {status}", "it needs nats-server 2.11")


@contextmanager
def _mapped(name: str) -> Iterator[None]:
    """Foreign failures as ours."""
    try:
        yield
    except MeshError:
        raise
    except (
        js_errors.NotFoundError,
        js_errors.NoStreamResponseError,
        js_errors.ServiceUnavailableError,
    ) as error:
        raise UnreachableError(
            f"the bucket {name} cannot be reached: nobody answers for it",
            "is the uplink cut, or the cloud not up yet?",
        ) from error
    except (errors.Error, OSError, TimeoutError) as error:
        raise UnreachableError(f"the bucket {name} cannot be reached now: {error}") from error
