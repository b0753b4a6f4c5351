"""A tenant over NATS asks again under one name, or wants no answer any more: its own only."""

import asyncio

import numpy as np
import pytest

from middle_tier.native import CANCEL
from protocol.codec import Frame
from protocol.errors import ConflictError, MeshError, OverBudgetError
from protocol.messages import Cancel
from tests.attacks.test_native import X, with_a_mesh
from tests.grounds import eventually

pytestmark = pytest.mark.nats


@with_a_mesh
async def test_an_id_that_was_seen_is_answered_again_and_not_run_again(mesh):
    path, _ = await mesh.let_in("twice")
    async with mesh.asking(path) as client:
        first = await client.ask("double", X, id="one")
        again = await client.ask("double", X, id="one")
    assert again.output.tolist() == first.output.tolist()
    assert again.answer == first.answer
    assert len(mesh.router.queries) == 1
    assert mesh.tally.used()["twice"].queries == 1


@with_a_mesh
async def test_two_that_ask_at_once_under_one_id_share_one_run(mesh):
    path, _ = await mesh.let_in("both", budget={"concurrency": 1})
    mesh.router.gate = asyncio.Event()
    async with mesh.asking(path) as client:
        asked = [asyncio.create_task(client.ask("double", X, id="one")) for _ in range(3)]
        await eventually(lambda: mesh.router.queries)
        mesh.router.gate.set()
        results = await asyncio.gather(*asked)
    assert len({tuple(one.output[0]) for one in results}) == 1
    assert len(mesh.router.queries) == 1


@with_a_mesh
async def test_an_id_names_one_query(mesh):
    path, _ = await mesh.let_in("sloppy")
    async with mesh.asking(path) as client:
        await client.ask("double", X, id="one")
        with pytest.raises(ConflictError, match="another body"):
            await client.ask("double", {"x": np.zeros((1, 4), np.float32)}, id="one")
        with pytest.raises(ConflictError, match="another body"):
            await client.ask("double", X, id="one", latency_ms=7)
    assert len(mesh.router.queries) == 1


@with_a_mesh
async def test_an_id_is_its_tenant_s(mesh):
    paths = [(await mesh.let_in(name))[0] for name in ("this", "that")]
    for path in paths:
        async with mesh.asking(path) as client:
            await client.ask("double", X, id="one")
    assert [query.tenant for query in mesh.router.queries] == ["this", "that"]


@with_a_mesh
async def test_what_failed_may_be_asked_again(mesh):
    path, _ = await mesh.let_in("patient")
    async with mesh.asking(path) as client:
        mesh.router.fails = MeshError("not now")
        with pytest.raises(MeshError):
            await client.ask("double", X, id="one")
        mesh.router.fails = None
        assert (await client.ask("double", X, id="one")).output.tolist() == [[2.0] * 4]


@with_a_mesh
async def test_a_client_that_cancels_cancels_its_query(mesh):
    path, account = await mesh.let_in("fickle", budget={"concurrency": 1})
    mesh.router.gate = asyncio.Event()
    async with mesh.asking(path) as client:
        asking = asyncio.create_task(client.ask("double", X, latency_ms=5000))
        await eventually(lambda: mesh.router.queries)
        with pytest.raises(OverBudgetError):
            await client.ask("double", X)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await eventually(lambda: mesh.router.cancelled)
        assert mesh.gate.native(account).accounts[0].running == 0
        mesh.router.gate.set()
        await client.ask("double", X)
    assert mesh.router.cancelled == 1


@with_a_mesh
async def test_nobody_cancels_another_s(mesh):
    path, _ = await mesh.let_in("owner")
    other, _ = await mesh.let_in("meddler")
    mesh.router.gate = asyncio.Event()
    async with mesh.asking(path) as client, mesh.asking(other) as meddler:
        asking = asyncio.create_task(client.ask("double", X, latency_ms=5000, id="one"))
        await eventually(lambda: mesh.router.queries)
        for ids in (("one",), (mesh.router.queries[0].id,), ("none",)):
            meddler.bus.publish(CANCEL, Frame(Cancel(ids=ids)))
        own = asyncio.create_task(meddler.ask("double", X))  # what it said before was heard by now
        await eventually(lambda: len(mesh.router.queries) == 2)
        mesh.router.gate.set()
        await asking
        await own
    assert mesh.router.cancelled == 0
