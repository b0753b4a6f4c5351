"""Nodes die, links are cut, processes are told to stop: queries do not notice."""

import asyncio
import os
import signal
from collections import Counter

import pytest

from middle_tier.client import AsyncMesh
from protocol.errors import MeshError
from tests.integration.conftest import eventually, tiermesh

pytestmark = pytest.mark.mesh

RATE = 50
"""Queries a second."""


async def steadily(running, image, seconds: float, disturb, at_s: float = 1.0) -> Counter:
    """Ask at a steady rate; after `at_s` disturb. Returns what became of the queries."""
    outcomes: Counter = Counter()

    async def one(mesh: AsyncMesh) -> None:
        try:
            result = await mesh.ask("digits", image, latency_ms=1000)
            outcomes[result.node] += 1
        except MeshError as error:
            outcomes[f"failed: {error.error}"] += 1

    async with (
        AsyncMesh(running.gate("site-1"), running.document["token"]) as mesh,
        asyncio.TaskGroup() as tasks,
    ):
        await one(mesh)
        for number in range(int(seconds * RATE)):
            if number == int(at_s * RATE):
                disturb()
            tasks.create_task(one(mesh))
            await asyncio.sleep(1 / RATE)
    return outcomes


def failures(outcomes: Counter) -> dict[str, int]:
    return {what: count for what, count in outcomes.items() if what.startswith("failed")}


async def test_no_query_fails_when_the_agent_that_serves_is_killed(running, images):
    quiet = await steadily(running, images[0], 1.0, lambda: None)
    victim = max(("edge-1", "edge-2"), key=lambda node: quiet[node])
    before = running.process(victim)["pid"]
    outcomes = await steadily(running, images[0], 4.0, lambda: os.kill(before, signal.SIGKILL))
    assert not failures(outcomes)
    assert sum(outcomes.values()) == 4 * RATE + 1
    assert outcomes[victim] < 4 * RATE
    eventually(lambda: running.process(victim)["pid"] not in {None, before}, "it is restarted")
    eventually(lambda: running.health(victim) == "alive", "it is alive again")


async def test_a_killed_agent_serves_again_when_it_is_back(running, images):
    before = running.process("edge-1")["pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: running.process("edge-1")["pid"] not in {None, before}, "it is restarted")
    eventually(lambda: running.health("edge-1") == "alive", "it is alive again")
    assert tiermesh("nodes", "drain", "edge-2", "--dir", running.dir).returncode == 0
    try:
        outcomes = await steadily(running, images[0], 2.0, lambda: None)
    finally:
        assert tiermesh("nodes", "resume", "edge-2", "--dir", running.dir).returncode == 0
    assert not failures(outcomes)
    assert outcomes["edge-1"] > RATE


async def test_a_node_that_stays_away_is_gone(running):
    pid = running.process("edge-2")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: running.health("edge-2") in {"suspect", "gone"}, "it is suspected")
        eventually(lambda: running.health("edge-2") == "gone", "it is gone")
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: running.health("edge-2") == "alive", "it is back")


async def test_nothing_is_lost_when_an_agent_is_told_to_stop(running, images):
    before = running.process("edge-2")["pid"]
    outcomes = await steadily(running, images[0], 4.0, lambda: os.kill(before, signal.SIGTERM))
    assert not failures(outcomes)
    eventually(lambda: running.process("edge-2")["pid"] not in {None, before}, "it is restarted")
    eventually(lambda: running.health("edge-2") == "alive", "it is alive again")


async def test_a_site_goes_on_when_its_uplink_is_cut(running, images):
    outcomes = await steadily(
        running, images[0], 3.0, lambda: running.reshape("middle-cloud", cut=True)
    )
    running.reshape("middle-cloud", cut=False)
    assert not failures(outcomes)
    with running.mesh("cloud") as cloud:
        eventually(
            lambda: [s["health"] for s in cloud.sites() if s["site"] == "site-1"] == ["alive"],
            "the cloud hears of it again",
        )


async def test_when_the_edge_is_cut_off_the_gateway_serves(running, images):
    outcomes = await steadily(
        running, images[0], 3.0, lambda: running.reshape("edge-middle", cut=True)
    )
    running.reshape("edge-middle", cut=False)
    assert not failures(outcomes)
    assert outcomes["middle-1"] > RATE
    for edge in ("edge-1", "edge-2"):
        eventually(lambda edge=edge: running.health(edge) == "alive", f"{edge} is back")
