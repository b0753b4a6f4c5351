"""The Python client, sync and async, and a foreign one: real HTTP, one gate for each test."""

import asyncio

import numpy as np
import pytest
import tritonclient.http as triton

from middle_tier.client import AsyncMesh, Mesh
from middle_tier.http.door import opened
from protocol.errors import (
    BadRequestError,
    DeadlineError,
    ForbiddenError,
    NoCandidateError,
    UnauthenticatedError,
    UnknownError,
    UnreachableError,
)
from tests.middle_tier.echo import EchoRouter
from tests.middle_tier.http_parts import a_served

X = np.arange(12, dtype=np.float32).reshape(3, 4)


async def using(work, router=None):
    """Run `work(mesh)` on a thread, against a gate on this loop."""
    async with a_served(router or EchoRouter()) as (url, token):
        with Mesh(url, token.removeprefix("Bearer ")) as mesh:
            return await asyncio.to_thread(work, mesh)


async def test_an_answer_comes_with_its_story():
    result = await using(lambda mesh: mesh.ask("double", X, latency_ms=50, explain=True, id="r1"))
    np.testing.assert_array_equal(result.output, 2 * X)
    assert (result.variant, result.node, result.tier) == ("small-fp32", "n1", "edge")
    assert result.met
    assert result.id == "r1"
    assert result.plan["ranked"][0]["node"] == "n1"


async def test_a_missing_batch_dimension_and_other_number_types_are_mended():
    result = await using(lambda mesh: mesh.ask("double", [1, 2, 3, 4]))
    assert result.output.tolist() == [[2, 4, 6, 8]]
    assert result.output.dtype == np.float32


async def test_several_inputs_go_by_name():
    inputs = {"a": np.array([[1, 2]]), "b": np.array([[True, False, True]])}
    result = await using(lambda mesh: mesh.ask("pair", inputs))
    assert result.outputs["a"].tolist() == [[1, 2]]
    assert result.outputs["b"].tolist() == [[True, False, True]]


@pytest.mark.parametrize(
    "inputs",
    [X, {"a": [[1, 2]]}, {"a": [[1.5, 2]], "b": [[True]]}, {"a": "words", "b": [[True]]}],
)
async def test_inputs_that_do_not_fit_are_refused_before_they_are_sent(inputs):
    router = EchoRouter()
    with pytest.raises(BadRequestError):
        await using(lambda mesh: mesh.ask("pair", inputs), router)
    assert router.queries == []


async def test_wants_and_the_hard_deadline_are_sent():
    router = EchoRouter()
    wants = {"latency_ms": 20, "percentile": 95, "min_accuracy": 0.5, "max_cost_usd": 1.0}
    await using(
        lambda mesh: mesh.ask("double", X, **wants, variant="large-int8", timeout_ms=70), router
    )
    (query,) = router.queries
    assert query.want.model_dump(include=set(wants)) == wants
    assert (query.want.variant, query.deadline_ms) == ("large-int8", 70.0)


@pytest.mark.parametrize("timeout_ms", [float("nan"), float("inf"), -1, 0])
async def test_a_deadline_that_is_none_is_refused_before_it_is_sent(timeout_ms):
    with pytest.raises(BadRequestError, match="timeout_ms is"):
        await using(lambda mesh: mesh.ask("double", X, timeout_ms=timeout_ms))


async def test_a_tiny_deadline_is_not_taken_for_the_default():
    router = EchoRouter()
    await using(lambda mesh: mesh.ask("double", X, timeout_ms=1e-9), router)
    assert router.queries[0].deadline_ms == 0.001


async def test_errors_are_the_meshs_own_with_their_hints():
    with pytest.raises(BadRequestError, match="latency_ms") as caught:
        await using(lambda mesh: mesh.ask("double", X, latency_ms=-1))
    assert "(0, 86400000]" in caught.value.hint
    with pytest.raises(ForbiddenError):
        await using(lambda mesh: mesh.ask("secret", X))
    late = EchoRouter(fails=DeadlineError("late"))
    with pytest.raises(DeadlineError):
        await using(lambda mesh: mesh.ask("double", X), late)
    error = NoCandidateError("none", fastest_ms=7.0, best_accuracy=0.8, rejected={"too slow": 3})
    with pytest.raises(NoCandidateError) as caught:
        await using(lambda mesh: mesh.ask("double", X), EchoRouter(fails=error))
    assert (caught.value.fastest_ms, caught.value.rejected) == (7.0, {"too slow": 3})


async def test_no_token_and_no_gate_are_told_apart(free_port):
    async with a_served(EchoRouter()) as (url, _):
        with Mesh(url) as mesh, pytest.raises(UnauthenticatedError):
            await asyncio.to_thread(mesh.tasks)
    with Mesh(f"http://127.0.0.1:{free_port}") as mesh, pytest.raises(UnreachableError):
        await asyncio.to_thread(mesh.tasks)


async def test_the_rest_of_the_gate_is_there_too():
    def work(mesh):
        assert [task["name"] for task in mesh.tasks()] == ["double", "pair"]
        assert mesh.nodes()[0]["advert"]["node"] == "n1"
        assert [(site["site"], site["nodes"]) for site in mesh.sites()] == [("s1", {"edge": 1})]
        assert mesh.policy()["policy"]["on_miss"] == "refuse"
        assert mesh.usage()["tenants"] == {}
        assert mesh.plan("double", latency_ms=5)["ranked"]
        assert mesh.ready()
        with pytest.raises(UnknownError):
            mesh.plan("double", variant="none")

    await using(work)


async def test_a_connection_that_the_gate_has_closed_is_replaced():
    async with a_served(EchoRouter()) as (url, token):
        mesh = Mesh(url, token.removeprefix("Bearer "))
        await asyncio.to_thread(mesh.ask, "double", X)
    port = int(url.rsplit(":", 1)[1])
    with opened(port=port) as door:
        async with a_served(EchoRouter(), door=door) as (_, token):
            mesh._token = token.removeprefix("Bearer ")  # noqa: SLF001  # a new key per gate
            await asyncio.to_thread(mesh.ask, "double", X)
            mesh.close()


async def test_the_async_client_does_the_same():
    async with (
        a_served(EchoRouter()) as (url, token),
        AsyncMesh(url, token.removeprefix("Bearer ")) as mesh,
    ):
        results = await asyncio.gather(*(mesh.ask("double", X) for _ in range(20)))
        assert all((result.output == 2 * X).all() for result in results)
        assert (await mesh.plan("double"))["ranked"]
        assert len(await mesh.tasks()) == 2
        with pytest.raises(BadRequestError):
            await mesh.ask("double", X, percentile=100)


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("binary", [True, False])
async def test_tritonclient_works_unchanged(binary, compression):
    async with a_served(EchoRouter()) as (url, token):
        await asyncio.to_thread(_triton, url, token, binary, compression)


def _triton(url, token, binary, compression):
    headers, plain = {"Authorization": token}, {"Authorization": token}  # it adds to what it gets
    with triton.InferenceServerClient(url.removeprefix("http://")) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("double", headers=headers)
        metadata = client.get_model_metadata("double", headers=headers)
        assert metadata["inputs"][0]["name"] == "x"
        assert client.get_model_config("double", headers=headers)["max_batch_size"] == 32
        for rows in (1, 3, 8, 32):
            x = np.random.default_rng(rows).random((rows, 4), np.float32)
            tensor = triton.InferInput("x", x.shape, "FP32")
            tensor.set_data_from_numpy(x, binary_data=binary)
            answer = client.infer(
                "double", [tensor], "small-fp32", headers=headers, request_id=f"r{rows}",
                outputs=[triton.InferRequestedOutput("y", binary_data=binary)],
                parameters={"latency_ms": 50, "min_accuracy": 0.5}, timeout=5_000_000,
                request_compression_algorithm=compression,
            )  # fmt: skip
            np.testing.assert_allclose(answer.as_numpy("y"), 2 * x, rtol=1e-6)
            said = answer.get_response()
            assert (said["id"], said["parameters"]["met"]) == (f"r{rows}", True)
        with pytest.raises(triton.InferenceServerException, match="latency_ms"):
            client.infer("double", [tensor], headers={**plain}, parameters={"latency_ms": -1})
