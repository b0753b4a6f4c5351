"""What is wrong is answered with the right status and how to mend it; the mesh stays up."""

import http.client
import json
import math
import time

import numpy as np
import pytest

from cloud_core.issuer import TENANT, Grant, SigningKey
from cloud_core.up.layout import Layout
from middle_tier.client import Mesh
from protocol.errors import BadRequestError, UnauthenticatedError

pytestmark = pytest.mark.mesh

IMAGE = {"name": "image", "datatype": "FP32", "shape": [1, 8, 8], "data": [0.0] * 64}


@pytest.fixture
def send(running):
    host = running.gate("site-1").removeprefix("http://")

    def sent(body, *, token=running.document["token"], task="digits", headers=()):
        connection = http.client.HTTPConnection(host, timeout=30)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request("POST", f"/v2/models/{task}/infer", data, {**given, **dict(headers)})
        answer = connection.getresponse()
        found = answer.status, json.loads(answer.read())
        connection.close()
        return found

    yield sent
    status, _ = sent({"inputs": [IMAGE]})
    assert status == 200, "the mesh stays up"


def asked(parameters=None, **changes) -> dict[str, object]:
    return {"inputs": [{**IMAGE, **changes}], "parameters": parameters or {}}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (asked(name="picture"), "picture"),
        (asked(datatype="INT64"), "INT64"),
        (asked(shape=[1, 8, 9]), "shape"),
        (asked(data=[0.0] * 63), "63"),
        (asked({"latency_ms": -1}), "latency_ms"),
        (b'{"inputs": [], "parameters": {"min_accuracy": NaN}}', "NaN"),
        (b"{", "JSON"),
        (b"", "JSON"),
        ([], "object"),
    ],
)
def test_a_malformed_request_is_400_and_named(send, body, named):
    status, error = send(body)
    assert status == 400
    assert named.lower() in (error["error"] + error["hint"]).lower()
    assert set(error) == {"error", "reason", "hint"}


def test_truncated_binary_is_400(send):
    tensor = {
        "name": "image", "datatype": "FP32", "shape": [1, 8, 8],
        "parameters": {"binary_data_size": 256},
    }  # fmt: skip
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, error = send(head + bytes(255), headers=headers.items())
    assert status == 400, error


def test_an_unknown_task_is_404(send):
    status, error = send(asked(), task="letters")
    assert (status, error["reason"]) == (404, "unknown")


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c"])
def test_no_token_or_a_bad_one_is_401(send, token):
    status, error = send(asked(), token=token)
    assert (status, error["reason"]) == (401, "unauthenticated")


def test_an_expired_token_is_401(running, images):
    key = SigningKey.kept(Layout(running.dir).signing_key)
    old = key.mint(Grant("demo", TENANT, 60), now=time.time() - 3600, token_id="old")
    with Mesh(running.gate(), old) as mesh, pytest.raises(UnauthenticatedError, match="expired"):
        mesh.ask("digits", images[0])


def test_an_oversized_body_is_413_before_it_is_read(running):
    host = running.gate("site-1").removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.putrequest("POST", "/v2/models/digits/infer")
    connection.putheader("Authorization", f"Bearer {running.document['token']}")
    connection.putheader("Content-Length", str(65 << 20))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["reason"]) == (413, "too_large")
    connection.close()


def test_past_its_objective_a_query_is_answered_and_says_so(running, send):
    running.reshape("edge-middle", delay_ms=100)
    try:
        wants = {"latency_ms": 50}
        status, answer = send(
            {"inputs": [IMAGE], "parameters": wants},
        )
        assert status in {200, 503}
        if status == 200:
            said = answer["parameters"]
            assert said["met"] == (said["elapsed_ms"] <= 50)
    finally:
        running.reshape("edge-middle", delay_ms=2)


def test_past_its_hard_deadline_it_is_504(send):
    status, error = send(asked({"timeout": 1}))
    assert (status, error["reason"]) == (504, "deadline")


def test_the_client_says_what_is_wrong_with_an_array(site):
    with pytest.raises(BadRequestError, match="image"):
        site.ask("digits", np.zeros((1, 9, 9), np.float32))
    with pytest.raises(BadRequestError):
        site.ask("digits", np.zeros((1, 8, 8), np.float32), min_accuracy=math.nan)
