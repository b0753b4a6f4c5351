"""What a gate answers, through both lanes alike: the fast one, and aiohttp behind it."""

import json

import numpy as np
import pytest

from edge_agent.clock import ManualClock
from protocol.errors import DeadlineError, NoCandidateError
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import Wire, a_body, a_post, a_served, a_token, an_inference

INFER = "/v2/models/double/infer"


@pytest.fixture(params=["fast", "slow"])
def lane(request):
    return request.param


async def asked(lane, data, router=None, **token):
    """The answer to one request; `data` is a function of the token, or bytes."""
    clock = ManualClock()
    async with a_served(router or EchoRouter(), clock) as (url, _), Wire(url, lane) as wire:
        return await wire.ask(data(a_token(clock, **token)) if callable(data) else data)


async def refused(lane, body, **headers):
    """The status and the text of a refusal."""
    got = await asked(lane, lambda token: a_post(INFER, body, token, **headers))
    assert set(got.json) >= {"error", "reason", "hint"}
    return got.status, f"{got.json['error']} | {got.json['hint']}"


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("rows", [1, 3, 8, 500])
async def test_json_and_binary_inputs_of_any_batch_are_answered(lane, binary, rows):
    got = await asked(lane, lambda t: an_inference(rows, token=t, binary=binary, id="a b~"))
    assert got.status == 200
    assert got.json["model_name"] == "double"
    assert got.json["model_version"] == "small-fp32"
    assert got.json["id"] == "a b~"
    output = got.json["outputs"][0]
    assert (output["name"], output["shape"]) == ("y", [rows, 4])
    assert output["data"] == [2.0 * n for n in range(rows * 4)]


async def test_binary_output_follows_the_json(lane):
    more = {"outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
    got = await asked(lane, lambda t: an_inference(3, token=t, binary=True, **more))
    assert got.json["outputs"][0]["parameters"] == {"binary_data_size": 48}
    at = int(got.headers["inference-header-content-length"])
    np.testing.assert_array_equal(np.frombuffer(got.body[at:], "<f4"), 2 * np.arange(12))


async def test_the_answer_says_how_it_came_about(lane):
    wants = {"latency_ms": 20, "explain": True}
    got = await asked(lane, lambda t: an_inference(token=t, parameters=wants))
    said = got.json["parameters"]
    assert said["predicted_ms"] == 1.5
    assert said["met"] is True
    assert (said["node"], said["site"], said["tier"]) == ("n1", "s1", "edge")
    assert said["plan"]["ranked"][0]["variant"] == "small-fp32"
    assert said["plan"]["rejected"][0]["reason"] == "too slow"


async def test_wants_reach_the_router(lane):
    router = EchoRouter()
    wants = {"latency_ms": 20, "percentile": 95, "min_accuracy": 0.5, "max_cost_usd": 1e-3}
    path = "/v2/models/double/versions/large-int8/infer"
    more = {"parameters": {**wants, "architecture": "large", "timeout": 70_000}}
    await asked(lane, lambda t: an_inference(path=path, token=t, **more), router, tiers=["edge"])
    (query,) = router.queries
    assert query.want.model_dump(include=set(wants)) == wants
    assert (query.want.variant, query.want.architecture) == ("large-int8", "large")
    assert (query.deadline_ms, query.tenant, query.tiers) == (70.0, "acme", ("edge",))


@pytest.mark.parametrize(("latency_ms", "deadline_ms"), [(10, 1000.0), (500, 2000.0)])
async def test_without_a_timeout_the_deadline_follows_the_objective(lane, latency_ms, deadline_ms):
    router = EchoRouter()
    wants = {"latency_ms": latency_ms}
    await asked(lane, lambda t: an_inference(token=t, parameters=wants), router)
    assert router.queries[0].deadline_ms == deadline_ms


@pytest.mark.parametrize(
    ("wants", "range_"),
    [
        ('{"latency_ms": -1}', "latency_ms must be a number in (0, 86400000]"),
        ('{"latency_ms": 0}', "(0, 86400000]"),
        ('{"latency_ms": "20"}', "latency_ms is str"),
        ('{"latency_ms": true}', "latency_ms is True"),
        ('{"latency_ms": NaN}', "latency_ms is nan"),
        ('{"min_accuracy": NaN}', "min_accuracy must be a number in [0, 1]"),
        ('{"min_accuracy": 1.1}', "[0, 1]"),
        ('{"percentile": 100}', "percentile must be a number in (0, 100)"),
        ('{"percentile": 0}', "(0, 100)"),
        ('{"max_cost_usd": Infinity}', "max_cost_usd must be"),
        ('{"max_cost_usd": null}', "max_cost_usd is None"),
        ('{"architecture": 3}', "architecture must be a string"),
        ('{"architecture": "a b"}', "cannot name a variant"),
        ('{"explain": 1}', "explain must be true or false"),
        ('{"timeout": 1.5}', "timeout must be whole microseconds"),
        ('{"latency": 20}', "did you mean 'latency_ms'?"),
        ('{"min_acuracy": 1}', "did you mean 'min_accuracy'?"),
        ("[]", "parameters is not an object"),
    ],
)
async def test_a_bad_want_is_refused_with_its_range(lane, wants, range_):
    body = a_body()[:-1] + b', "parameters": ' + wants.encode() + b"}"
    status, text = await refused(lane, body)
    assert status == 400
    assert range_ in text


def an_input(**changes):
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4], **changes}
    return json.dumps({"inputs": [{k: v for k, v in entry.items() if v is not ...}]}).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "inputs is not a list"),
        (b'{"inputs": []}', "input x is missing"),
        (b'{"inputs": [3]}', "not an object"),
        (b'{"id": 3, "inputs": []}', "1 to 128 printable"),
        (an_input(name="z"), "takes no input 'z' | send x FP32 [-1, 4]"),
        (an_input(name=["z"]), "malformed"),
        (an_input(datatype="FP64"), "is FP64, expected FP32"),
        (an_input(shape=...), "has no shape"),
        (an_input(shape=[1, 5]), "has the shape [1, 5], expected [-1, 4]"),
        (an_input(shape=[4]), "has the shape [4], expected [-1, 4]"),
        (an_input(shape=[0, 4], data=[]), "has the shape [0, 4], expected [-1, 4]"),
        (an_input(shape=[-1, 4]), "has the shape [-1, 4]"),
        (an_input(shape=[1.5, 4]), "has the shape [1.5, 4]"),
        (an_input(shape=["1", 4]), "has the shape ['1', 4]"),
        (an_input(shape=[2**40, 4]), "expected [-1, 4]"),
        (an_input(data=...), "has no data"),
        (an_input(data=[1, 2, 3]), "needs 4 numbers for its shape [1, 4], got 3"),
        (an_input(data=[[1, 2], [3, 4]]), "nested as [2, 2]"),
        (an_input(data=[[1, 2, 3], [4]]), "a ragged list"),
        (an_input(data=[1, 2, 3, "4"]), "not FP32"),
        (an_input(data=[1, 2, 3, None]), "not FP32"),
        (an_input(data=[1, 2, 3, 1e39]), "beyond the range of FP32"),
        (an_input(parameters=3), "bad parameters"),
        (an_input(data=..., parameters={"binary_data_size": 16}), "ends 16 bytes before the end"),
        (an_input(data=..., parameters={"binary_data_size": 12}), "announces 12 bytes"),
        (an_input(parameters={"binary_data_size": 16}), "both data and binary_data_size"),
        (an_input(data=..., parameters={"shared_memory_region": "r"}), "shared memory"),
        (a_body(outputs=[{"name": "q"}]), "gives no output 'q' | it gives y FP32 [-1, 4]"),
        (a_body(outputs=[{"name": ["y"]}]), "gives no output \"['y']\""),
        (a_body(outputs=[{"name": {}}]), "gives no output '{}'"),
        (a_body(outputs=[{"name": "y"}, {"name": "y"}]), "asked for twice"),
        (a_body(outputs={}), "outputs is not a list"),
        (a_body(outputs=[{"name": "y", "parameters": {"classification": 2}}]), "classification"),
        (a_body() + b"1234", "not JSON"),
        (a_body().decode().encode("utf-16"), "not JSON"),
        (b"\xef\xbb\xbf" + a_body(), "not JSON"),
    ],
)
async def test_a_bad_tensor_is_refused_with_what_was_expected(lane, body, said):
    status, text = await refused(lane, body)
    assert status == 400
    assert said in text


@pytest.mark.parametrize("length", ["-1", "9999", "x", "1" * 30, "²"])
async def test_a_bad_json_length_is_refused(lane, length):
    status, _ = await refused(lane, a_body(), Inference_Header_Content_Length=length)
    assert status == 400


async def test_bytes_that_nobody_claims_are_refused(lane):
    body = a_body()
    length = len(body)
    status, text = await refused(lane, body + b"1234", Inference_Header_Content_Length=length)
    assert status == 400
    assert "4 bytes follow the JSON" in text


@pytest.mark.parametrize("size", [True, 1.0])
async def test_a_size_that_is_no_whole_number_is_refused_also_after_a_good_one(lane, size):
    clock = ManualClock()
    async with a_served(EchoRouter(), clock) as (url, token), Wire(url, lane) as wire:
        assert (await wire.ask(an_inference(token=token))).status == 200
        got = await wire.ask(a_post(INFER, an_input(shape=[size, 4]), token))
        assert got.status == 400
        assert f"has the shape [{size}, 4]" in got.json["error"]


async def test_an_offer_to_upgrade_the_connection_is_passed_over(lane):
    """As Java's HTTP client sends it by default, and curl with --http2."""
    upgrade = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2_Settings": "AAMA"}
    got = await asked(lane, lambda token: a_post(INFER, a_body(), token, **upgrade))
    assert got.status == 200


async def test_after_a_body_that_cannot_be_decoded_the_connection_ends(lane):
    more = {"Content_Encoding": "gzip"}
    got = await asked(lane, lambda token: a_post(INFER, a_body(), token, **more))
    assert (got.status, got.json["error"]) == (400, "the body cannot be read")
    assert got.headers["connection"] == "close"


async def test_an_expectation_that_is_not_met_is_refused_in_our_shape(lane):
    status, _ = await refused(lane, a_body(), Expect="200-ok")
    assert status == 417


async def test_a_truncated_binary_is_refused_also_after_good_ones(lane):
    clock = ManualClock()
    async with a_served(EchoRouter(), clock) as (url, token), Wire(url, lane) as wire:
        whole = an_inference(token=token, binary=True)
        assert (await wire.ask(whole)).status == 200
        assert (await wire.ask(whole)).status == 200
        size = len(whole.split(b"\r\n\r\n", 1)[1])
        short = whole[:-1].replace(b"Content-Length: %d" % size, b"Content-Length: %d" % (size - 1))
        got = await wire.ask(short)
        assert got.status == 400
        assert "ends 1 bytes before the end of input 'x'" in got.json["error"]
        assert (await wire.ask(whole)).status == 200


@pytest.mark.parametrize(
    ("task", "variant", "status", "said"),
    [
        ("nothing", "", 403, "does not cover"),
        ("secret", "", 403, "does not cover"),
        ("pair", "", 400, "takes no input"),
    ],
)
async def test_a_task_that_the_token_does_not_cover_is_forbidden(lane, task, variant, status, said):
    path = f"/v2/models/{task}{variant}/infer"
    got = await asked(lane, lambda t: an_inference(path=path, token=t))
    assert (got.status, said in got.json["error"]) == (status, True)


async def test_an_unknown_task_names_only_what_the_caller_may_ask(lane):
    path = "/v2/models/nothing/infer"
    tasks = ["nothing", "double"]
    got = await asked(lane, lambda t: an_inference(path=path, token=t), tasks=tasks)
    assert got.status == 404
    assert got.json["hint"] == "tasks that you may ask for: double"


@pytest.mark.parametrize("want", [{"path": "/v2/models/double/versions/none/infer"},
                                  {"parameters": {"architecture": "none"}}])  # fmt: skip
async def test_an_unknown_variant_or_architecture_names_those_there_are(lane, want):
    router = EchoRouter(fails=NoCandidateError("nothing meets it"))
    got = await asked(lane, lambda t: an_inference(token=t, **want), router)
    assert got.status == 404
    assert "small" in got.json["hint"]
    assert "large" in got.json["hint"]


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (None, "no token was sent"),
        ("Basic abc", "does not carry a bearer token"),
        ("Bearer rubbish", "not a JWT"),
        (a_token(ManualClock(start=-7200)), "expired"),
    ],
)
async def test_no_good_token_no_entry(lane, token, said):
    got = await asked(lane, an_inference(token=token))
    assert got.status == 401
    assert said in got.json["error"]
    assert got.headers["www-authenticate"] == "Bearer"


async def test_a_scope_that_the_token_lacks_is_forbidden(lane):
    got = await asked(lane, lambda t: an_inference(token=t), scopes=["read"])
    assert (got.status, got.json["reason"]) == (403, "forbidden")


async def test_nothing_that_meets_the_want_says_what_could(lane):
    error = NoCandidateError("too slow", "ask for less", fastest_ms=7.0, retry_after_s=3)
    got = await asked(lane, lambda t: an_inference(token=t), EchoRouter(fails=error))
    assert got.status == 503
    assert got.headers["retry-after"] == "3"
    assert got.json["available"]["fastest_ms"] == 7.0


async def test_a_missed_hard_deadline_is_504(lane):
    error = DeadlineError("the deadline passed")
    got = await asked(lane, lambda t: an_inference(token=t), EchoRouter(fails=error))
    assert (got.status, got.json["reason"]) == (504, "deadline")


async def test_what_goes_wrong_inside_is_logged_and_not_shown(lane, caplog):
    router = EchoRouter(fails=ZeroDivisionError("secret detail"))
    got = await asked(lane, lambda t: an_inference(token=t), router)
    assert got.status == 500
    assert b"secret" not in got.body
    incident = got.json["hint"].split()[2]
    assert incident in caplog.text
    assert "secret detail" in caplog.text


async def test_a_body_over_the_limit_is_refused_unread(lane):
    head = f"POST {INFER} HTTP/1.1\r\nHost: g\r\nContent-Length: {(64 << 20) + 1}\r\n\r\n"
    clock = ManualClock()
    async with a_served(EchoRouter(), clock) as (url, token), Wire(url, lane) as wire:
        got = await wire.ask(head.replace("Host", f"Authorization: {token}\r\nHost").encode())
        assert (got.status, got.json["reason"]) == (413, "too_large")


async def test_a_met_want_is_said_to_be_met_only_when_it_was(lane):
    wants = {"min_accuracy": 0.95}
    got = await asked(lane, lambda t: an_inference(token=t, parameters=wants))
    assert got.json["parameters"]["met"] is False  # the variant's accuracy is 0.9
