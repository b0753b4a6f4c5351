"""Raw HTTP for tests of the gate: bytes out, responses in, nothing hidden by a client library."""

import asyncio
import json
from contextlib import asynccontextmanager
from typing import NamedTuple

import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_agent.clock import ManualClock
from middle_tier.gate import Gate
from middle_tier.http.ingress import serving

SIGNING_KEY = Ed25519PrivateKey.generate()


class Answered(NamedTuple):
    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        length = self.headers.get("inference-header-content-length", len(self.body))
        return json.loads(self.body[: int(length)])


def a_token(clock, **changes):
    """A bearer header's value."""
    claims = {
        "iss": "tiermesh", "aud": "tiermesh", "sub": "acme", "jti": "t1", "iat": int(clock.wall()),
        "exp": int(clock.wall()) + 3600, "scopes": ["ask", "plan", "read"],
        "tasks": ["double", "pair"], **changes,
    }  # fmt: skip
    return "Bearer " + jwt.encode(claims, SIGNING_KEY, algorithm="EdDSA", headers={"kid": "k1"})


def a_gate(clock):
    return Gate({"k1": SIGNING_KEY.public_key()}, clock)


def a_body(rows=1, **more):
    x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
    entry = {"name": "x", "datatype": "FP32", "shape": [rows, 4], "data": x.ravel().tolist()}
    return json.dumps({"inputs": [entry], **more}).encode()


def a_binary_body(rows=1, **more):
    """The body, and the length of its JSON."""
    x = np.arange(rows * 4, dtype=np.float32)
    size = {"binary_data_size": x.nbytes}
    entry = {"name": "x", "datatype": "FP32", "shape": [rows, 4], "parameters": size}
    text = json.dumps({"inputs": [entry], **more}).encode()
    return text + x.tobytes(), len(text)


def a_post(path, body, token=None, **headers):
    """The bytes of a request."""
    lines = [f"POST {path} HTTP/1.1", "Host: gate", f"Content-Length: {len(body)}"]
    if token is not None:
        lines.append(f"Authorization: {token}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def an_inference(rows=1, path="/v2/models/double/infer", token=None, *, binary=False, **more):
    if not binary:
        return a_post(path, a_body(rows, **more), token)
    body, length = a_binary_body(rows, **more)
    return a_post(path, body, token, Inference_Header_Content_Length=length)


async def read_answer(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = dict(line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in headers.items()}
    body = await reader.readexactly(int(headers["content-length"]))
    return Answered(int(first.split()[1]), headers, body)


class Wire:
    """One connection; `lane` is "fast", or "slow": then aiohttp has taken it over before."""

    def __init__(self, url, lane="fast"):
        self.lane = lane
        self.place = url.removeprefix("http://").rsplit(":", 1)

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(*self.place, limit=1 << 20)
        if self.lane == "slow":
            live = await self.ask(b"GET /healthz HTTP/1.1\r\nHost: gate\r\n\r\n")
            assert live.status == 200
        return self

    async def __aexit__(self, *_):
        self.writer.close()

    async def ask(self, data):
        self.writer.write(data)
        async with asyncio.timeout(20):  # a gate that keeps silent fails its test
            return await read_answer(self.reader)

    async def ended(self):
        """Whether the gate has closed the connection."""
        return await self.reader.read() == b""


@asynccontextmanager
async def a_served(router, clock=None, gate=None, **options):
    """Yields the URL of a gate before `router`, and a token for it."""
    clock = clock or ManualClock()
    async with serving(router, gate or a_gate(clock), clock=clock, **options) as url:
        yield url, a_token(clock)


async def until(condition):
    """Give way to everything that is ready until `condition()` holds; fail when it never does."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # the network has no event to wait for
            await asyncio.sleep(0)
