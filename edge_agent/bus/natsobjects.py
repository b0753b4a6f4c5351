"""A bucket of large objects in JetStream, as `nats object` knows them, sent and read in chunks.

Reads by asking for the next few chunks, as natskv does, not by a consumer: what has not been taken
yet is nowhere in memory. Whether the bytes are the right ones is the reader's to decide.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO, cast

from edge_agent.bus.absent import absent
from protocol.errors import TooLargeError, UnknownError, UnreachableError

with absent("aiohttp"):  # see bus.nats
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import errors as js_errors
    from nats.js.object_store import ObjectStore

TIMEOUT_S = 5.0
"""Longest wait for an acknowledgement, or for the next chunk."""
CHUNKS = 16
"""Asked for at once: 2 MiB of the usual chunks."""
NAMES = 512
_NAME_IN_USE = 10058
_FULL = frozenset((10002, 10023, 10028, 10047, 10077, 10082))
"""Resources, storage or memory of the account, the server or the stream are used up."""
_FOREIGN = (errors.Error, js_errors.Error, OSError, TimeoutError)


class NatsObjects:
    """One bucket, at the server's own JetStream domain. Holds no state: each method asks."""

    def __init__(self, client: Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket
        self._stream = f"OBJ_{bucket}"
        self._js = client.jetstream(timeout=TIMEOUT_S)

    def __repr__(self) -> str:
        return f"<NatsObjects {self._bucket}>"

    async def make(self) -> None:
        """Have the bucket; one that is there is no error."""
        with _mapped(self._bucket):
            try:
                await self._js.create_object_store(self._bucket)
            except js_errors.BadRequestError as error:
                if error.err_code != _NAME_IN_USE:
                    raise

    async def names(self) -> frozenset[str]:
        """What is kept."""
        found: set[str] = set()
        start, pending = 1, 1
        while pending:
            query = {"seq": start, "next_by_subj": f"$O.{self._bucket}.M.>", "batch": NAMES}
            pending = 0
            async for msg, left in self._read(query):
                said = json.loads(msg.data)
                if not said.get("deleted"):
                    found.add(str(said["name"]))
                start, pending = _sequence(msg) + 1, left
        return frozenset(found)

    async def put(self, name: str, file: BinaryIO) -> None:
        """Keep a file's bytes, in place of what had the name; return once they are kept.

        Raises `TooLargeError` when the bucket, or the server's disk, has no room for them.
        """
        with _mapped(self._bucket):
            try:
                await self._store().put(name, cast("bytes", file))  # takes files: read in a thread
            except js_errors.APIError as error:
                if error.err_code not in _FULL:
                    raise
                raise TooLargeError(
                    f"the objects {self._bucket} have no room for {name}: {error.description}",
                    "give JetStream more room (max_file_store), or the bucket more bytes",
                ) from error

    async def chunks(self, name: str, size_bytes: int) -> AsyncGenerator[bytes, None]:
        """Yield an object's bytes in order: never more than so many.

        Raises `UnknownError` when there is none of this size.
        """
        with _mapped(self._bucket):
            try:
                info = await self._store().get_info(name)
            except js_errors.NotFoundError as error:
                raise UnknownError(f"no {name} in {self._bucket}") from error
        if info.size != size_bytes:
            raise UnknownError(f"{name} has {info.size} bytes in {self._bucket}, not {size_bytes}")
        start, pending = 1, 1
        while pending:
            query = {"seq": start, "next_by_subj": f"$O.{self._bucket}.C.{info.nuid}"}
            pending = 0
            async for msg, left in self._read({**query, "batch": CHUNKS}):
                start, pending = _sequence(msg) + 1, left
                size_bytes -= len(msg.data)
                if size_bytes < 0:  # its head lies
                    return
                yield msg.data

    async def _read(self, query: Mapping[str, object]) -> AsyncIterator[tuple[Msg, int]]:
        """Ask for several messages at once; yield each, and how many come after it."""
        inbox = self._client.new_inbox()
        with _mapped(self._bucket):
            replies = await self._client.subscribe(inbox)
            try:
                asked = json.dumps(query).encode()
                await self._client.publish(f"$JS.API.DIRECT.GET.{self._stream}", asked, inbox)
                while True:
                    msg = await replies.next_msg(TIMEOUT_S)
                    headers = msg.headers or {}
                    if "Status" in headers:
                        return
                    yield msg, int(headers.get("Nats-Num-Pending", "0"))
            finally:
                await replies.unsubscribe()

    def _store(self) -> ObjectStore:
        return ObjectStore(self._bucket, self._stream, self._js)


def _sequence(msg: Msg) -> int:
    return int((msg.headers or {})["Nats-Sequence"])


@contextmanager
def _mapped(bucket: str) -> Iterator[None]:
    """Foreign failures as ours."""
    try:
        yield
    except _FOREIGN as error:
        raise UnreachableError(f"the objects {bucket} cannot be reached now: {error}") from error
