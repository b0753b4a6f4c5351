"""The Python client: ask a mesh for a task, with what you need of the answer.

>>> mesh = Mesh("http://127.0.0.1:8080", token)
>>> result = mesh.ask("digits", image, latency_ms=20, min_accuracy=0.95)
>>> result.output.argmax(), result.variant, result.tier, result.met

`Mesh` blocks and needs nothing but numpy; `AsyncMesh` is the same for asyncio, over aiohttp.
Both are safe to share: between threads, between tasks. What goes over the wire is in `wirecall`.
"""

import http.client
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import aiohttp

from middle_tier.http import pinned, wirecall
from middle_tier.http.wirecall import Inputs, Result, Sent
from protocol.bundles import Task
from protocol.errors import UnreachableError

DEFAULT_TIMEOUT_S = 120.0
"""For a connection that says nothing; the mesh's own deadlines are far shorter."""


class Wants(TypedDict, total=False):
    """What you need of the answer. Everything may be left out."""

    latency_ms: float
    """Objective: the answer within so many milliseconds, at `percentile`. Default 1000."""
    percentile: float
    """Default 99."""
    min_accuracy: float
    """Least accuracy, by the task's metric. Default 0."""
    max_cost_usd: float
    """Most that this query may cost. Default: no limit."""
    architecture: str
    """Only variants of this architecture."""
    variant: str
    """Exactly this variant."""


class Options(Wants, total=False):
    """Wants, and how to ask."""

    id: str
    """A name for this request: repeated within a minute it is answered again, not run again."""
    timeout_ms: float
    """Hard deadline: later than this it is not run. Default: 4 x latency_ms, at least 1 s."""
    explain: bool
    """Return the plan with the result: the ranked candidates, and why the others are out."""


class Mesh:
    """A mesh, by the URL of any of its gates.

    Errors are `protocol.errors.MeshError`: `BadRequestError`, `UnauthenticatedError`,
    `NoCandidateError` (nothing can meet the want; says what could), `DeadlineError`, ..., each
    with a `hint` that says how to mend it. `UnreachableError`: the gate itself does not answer.

    `ca`: the authority that signs the gate's certificate (`ca.crt` of `tiermesh init`), for an
    https URL: nothing is said to any other, and `http://` is refused. Without it, those that the
    system trusts.
    """

    def __init__(
        self, url: str, token: str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S,
        ca: Path | None = None,
    ) -> None:  # fmt: skip
        self.url = url.rstrip("/")
        host, port, self._base, self._tls = pinned.place(url, ca)
        self._place = (host, port)
        self._token = token
        self._timeout_s = timeout_s
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}

    def __repr__(self) -> str:
        return f"<Mesh {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close idle connections; the mesh may still be asked afterwards."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def ask(self, task: str, inputs: Inputs, **options: Unpack[Options]) -> Result:
        """Ask `task` for the answer to `inputs`, and return it as soon as it is there.

        `inputs` is an array (for a task with one input; a missing batch dimension is added), a
        mapping of input names to arrays, or text (a string, or a list of them) for a task that
        takes ``input_ids`` and ``attention_mask``.
        """
        known = self._tasks.get(task) or self.task(task)
        call = wirecall.inference(known, inputs, options)
        return wirecall.result(known, self._send(call))

    def plan(self, task: str, *, rows: int = 1, **wants: Unpack[Wants]) -> dict[str, Any]:
        """Return what `ask` would do now and why, without doing it."""
        return wirecall.document(self._send(wirecall.plan(task, rows, wants)))

    def task(self, name: str) -> Task:
        """Return a task's tensors."""
        task = self._tasks[name] = wirecall.task(self._send(wirecall.get(wirecall.model(name))))
        return task

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks that you may ask for, with their variants."""
        return self._list("tasks")

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes behind this gate, as it sees them now."""
        return self._list("nodes")

    def sites(self) -> list[dict[str, Any]]:
        """The sites that this gate knows."""
        return self._list("sites")

    def policy(self) -> dict[str, Any]:
        """The policy in force."""
        return wirecall.document(self._send(wirecall.get("/v1/policy")))

    def now(self) -> dict[str, Any]:
        """What this gate is doing: by tier, and its last decisions."""
        return wirecall.document(self._send(wirecall.get("/v1/now")))

    def usage(self) -> dict[str, Any]:
        """What this gate has answered since it started."""
        return wirecall.document(self._send(wirecall.get("/v1/usage")))

    def ready(self) -> bool:
        """Whether the gate can serve anything now."""
        try:
            self._send(wirecall.get("/readyz"))
        except UnreachableError:
            return False
        return True

    def _list(self, noun: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = wirecall.document(self._send(wirecall.get(f"/v1/{noun}")))[
            noun
        ]
        return found

    def _send(self, call: Sent) -> wirecall.Got:
        """Send on an idle connection, else on a new one.

        A gate may close an idle connection just as we use it: then, and only then, once more.
        """
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._exchange(connection, call)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                pass
            except (OSError, http.client.HTTPException) as error:
                raise pinned.unreachable(self.url, error) from error
        try:
            return self._exchange(self._connection(), call)
        except (OSError, http.client.HTTPException) as error:
            raise pinned.unreachable(self.url, error) from error

    def _exchange(self, connection: http.client.HTTPConnection, call: Sent) -> wirecall.Got:
        headers = wirecall.headers(call, self._token)
        try:
            connection.request(call.method, self._base + call.path, call.body, headers)
            response = connection.getresponse()
            got = wirecall.Got(response.status, dict(response.getheaders()), response.read())
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append(connection)
        return wirecall.checked(got)

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(*self._place, timeout=self._timeout_s)
        return http.client.HTTPSConnection(*self._place, timeout=self._timeout_s, context=self._tls)


class AsyncMesh:
    """`Mesh` for asyncio: the same methods, awaited; use it as ``async with AsyncMesh(url)``."""

    def __init__(
        self, url: str, token: str | None = None, *, timeout_s: float = DEFAULT_TIMEOUT_S,
        ca: Path | None = None,
    ) -> None:  # fmt: skip
        self.url = url.rstrip("/")
        self._tls = pinned.place(url, ca).tls
        self._token = token
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._tasks: dict[str, Task] = {}

    def __repr__(self) -> str:
        return f"<AsyncMesh {self.url}>"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(self._timeout_s), auto_decompress=True
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, task: str, inputs: Inputs, **options: Unpack[Options]) -> Result:
        """As `Mesh.ask`. Cancelling it cancels the query in the mesh."""
        known = self._tasks.get(task) or await self.task(task)
        call = wirecall.inference(known, inputs, options)
        return wirecall.result(known, await self._send(call))

    async def plan(self, task: str, *, rows: int = 1, **wants: Unpack[Wants]) -> dict[str, Any]:
        """As `Mesh.plan`."""
        return wirecall.document(await self._send(wirecall.plan(task, rows, wants)))

    async def task(self, name: str) -> Task:
        """As `Mesh.task`."""
        got = await self._send(wirecall.get(wirecall.model(name)))
        task = self._tasks[name] = wirecall.task(got)
        return task

    async def tasks(self) -> list[dict[str, Any]]:
        """As `Mesh.tasks`."""
        return await self._list("tasks")

    async def nodes(self) -> list[dict[str, Any]]:
        """As `Mesh.nodes`."""
        return await self._list("nodes")

    async def sites(self) -> list[dict[str, Any]]:
        """As `Mesh.sites`."""
        return await self._list("sites")

    async def policy(self) -> dict[str, Any]:
        """As `Mesh.policy`."""
        return wirecall.document(await self._send(wirecall.get("/v1/policy")))

    async def now(self) -> dict[str, Any]:
        """As `Mesh.now`."""
        return wirecall.document(await self._send(wirecall.get("/v1/now")))

    async def usage(self) -> dict[str, Any]:
        """As `Mesh.usage`."""
        return wirecall.document(await self._send(wirecall.get("/v1/usage")))

    async def _list(self, noun: str) -> list[dict[str, Any]]:
        got = await self._send(wirecall.get(f"/v1/{noun}"))
        found: list[dict[str, Any]] = wirecall.document(got)[noun]
        return found

    async def _send(self, call: Sent) -> wirecall.Got:
        if self._session is None:
            raise RuntimeError("use it as: async with AsyncMesh(url, token) as mesh")
        headers = wirecall.headers(call, self._token)
        try:
            async with self._session.request(
                call.method,
                self.url + call.path,
                data=call.body,
                headers=headers,
                ssl=True if self._tls is None else self._tls,
            ) as response:
                body = await response.read()
                return wirecall.checked(wirecall.Got(response.status, dict(response.headers), body))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise pinned.unreachable(self.url, error) from error
