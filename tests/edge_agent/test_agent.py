"""The agent as its callers see it: over a bus, with real threads."""

import asyncio
import threading
from threading import Event, current_thread, main_thread

import pytest

from edge_agent.clock import ManualClock, settle
from protocol.adverts import Describe, Description
from protocol.bundles import RuntimePin
from protocol.codec import Frame
from protocol.errors import ConflictError, ExecutionError, UnknownError
from protocol.messages import Answer, Asks, Cancel, Done, Order, Refusal
from protocol.types import Latency, Tensor
from tests.build import a_profile
from tests.edge_agent.node import POISON, QUICK, SLOW, Adds, Loads, a_node, an_ask, quick


async def test_each_ask_gets_its_own_rows_back():
    async with a_node() as (agent, caller):
        await agent.load("quick")
        caller.ask((an_ask("a"), [1]), (an_ask("b", rows=2), [2, 3]), (an_ask("c"), [4]))
        await caller.reply_to("c")
        assert [caller.scores(name) for name in "abc"] == [[2], [3, 4], [5]]
        answer = await caller.reply_to("b")
    assert isinstance(answer, Answer)
    assert answer.outputs == (Tensor(name="scores", datatype="FP32", shape=(2, 1)),)
    assert (answer.batch, answer.node, answer.site, answer.cold) == (4, "cam", "yard", False)


async def test_asks_and_answers_of_one_turn_travel_together():
    load = Loads()
    async with a_node(load=load) as (agent, caller):
        await agent.load("quick")
        for name in "abcd":
            caller.ask((an_ask(name), [1]))
        await caller.reply_to("d")
    assert caller.frames == 1
    assert [len(batch) for batch in load.runtimes["quick"].batches] == [4]


async def test_a_short_ask_that_comes_alone_is_answered_refused_or_cancelled_like_any_other():
    load = Loads()
    async with a_node(load=load) as (agent, caller):
        await agent.load("quick")
        caller.ask((an_ask("runs"), [1]))
        assert isinstance(await caller.reply_to("runs"), Answer)
        caller.ask((an_ask("fails"), [POISON]))
        assert (await caller.reply_to("fails")).reason == "run_failed"
        caller.ask((an_ask("goes"), [2]))
        caller.publish(Frame(Cancel(ids=("goes",))))
        assert (await caller.reply_to("goes")).reason == "cancelled"
    assert load.runtimes["quick"].batches == [[1.0], [POISON]]


async def test_a_short_median_runs_on_the_loop_whatever_the_outliers():
    noisy = Latency(ms=(0.02, 0.1, 5.0, 9.0, 20.0), count=50)
    steady = a_profile(runs={1: noisy})
    here = []

    class Where(Adds):
        def infer(self, inputs):
            here.append(current_thread() is main_thread())
            return super().infer(inputs)

    async with a_node(quick(profile=steady), load=Loads(quick=Where())) as (agent, caller):
        await agent.load("quick")
        caller.ask((an_ask("a"), [1]))
        await caller.reply_to("a")
    assert here == [True]


async def test_the_first_ask_loads_its_variant_and_says_that_it_was_cold():
    async with a_node() as (_, caller):
        caller.ask((an_ask("a"), [1]))
        answer = await caller.reply_to("a")
    assert answer.cold
    assert answer.predicted_ms >= a_profile().load_ms


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"variant": "other"}, "unknown_variant"),
        ({"variant": "unlisted"}, "unlisted_runtime"),
        ({"budget_ms": 5.0}, "deadline"),
        ({"deadline_ms": 5.0}, "deadline"),
        ({"variant": "huge"}, "memory"),
    ],
)
async def test_what_cannot_be_done_is_refused_at_once(changes, reason):
    pin = RuntimePin(name="table", version="0")
    huge = quick("huge", profile=a_profile(memory_bytes=1 << 40))
    unlisted = quick("unlisted", runtimes=(pin,))
    async with a_node(quick(), huge, unlisted, memory_bytes=1 << 30) as (_, caller):
        caller.ask((an_ask("a", **changes), [1]))
        refusal = await caller.reply_to("a")
    assert isinstance(refusal, Refusal)
    assert refusal.reason == reason
    if reason == "deadline":
        assert refusal.finish_ms == pytest.approx(10.01)


@pytest.mark.parametrize(
    "tensors",
    [
        (),
        (Tensor(name="picture", datatype="FP32", shape=(1, 2)),),
        (Tensor(name="image", datatype="FP64", shape=(1, 2)),),
        (Tensor(name="image", datatype="FP32", shape=(1, 3)),),
        (Tensor(name="image", datatype="FP32", shape=(2,)),),
        (Tensor(name="image", datatype="FP32", shape=(0, 2)),),
    ],
)
async def test_a_tensor_that_is_not_the_tasks_is_refused_with_what_is(tensors):
    async with a_node() as (agent, caller):
        await agent.load("quick")
        ask = an_ask("a").but(inputs=tensors)
        caller.publish(Frame(Asks(items=(ask,)), tuple(bytes(each.nbytes) for each in tensors)))
        refusal = await caller.reply_to("a")
    assert refusal.reason == "bad_tensor"
    assert "image" in refusal.detail


async def test_inputs_of_the_wrong_length_are_refused():
    async with a_node() as (agent, caller):
        await agent.load("quick")
        caller.publish(Frame(Asks(items=(an_ask("a"),)), (bytes(7),)))
        assert (await caller.reply_to("a")).reason == "bad_tensor"


async def test_one_poisoned_ask_does_not_fail_those_that_ran_with_it():
    async with a_node() as (agent, caller):
        await agent.load("quick")
        caller.ask((an_ask("a"), [1]), (an_ask("bad"), [POISON]), (an_ask("c"), [2]))
        assert isinstance(await caller.reply_to("a"), Answer)
        assert isinstance(await caller.reply_to("c"), Answer)
        refusal = await caller.reply_to("bad")
    assert (refusal.reason, refusal.detail) == ("run_failed", "poison")


async def test_a_variant_that_does_not_load_refuses_who_waits_and_is_left_alone_for_a_while():
    clock = ManualClock()
    load = Loads(quick=ExecutionError("not a model"))
    async with a_node(load=load, clock=clock) as (agent, caller):
        caller.ask((an_ask("a"), [1]), (an_ask("b"), [2]))
        assert (await caller.reply_to("b")).reason == "load_failed"
        caller.ask((an_ask("c"), [3]))
        assert (await caller.reply_to("c")).detail == "not a model"
        assert load.loaded == ["quick"]
        await clock.advance(31)
        load.runtimes["quick"] = Adds()
        caller.ask((an_ask("d"), [4]))
        assert isinstance(await caller.reply_to("d"), Answer)
        with pytest.raises(UnknownError):
            await agent.load("other")


async def test_loading_one_variant_does_not_hold_up_another():
    load = Loads()
    async with a_node(quick(), quick("other"), load=load) as (agent, caller):
        await agent.load("quick")
        load.gate = Event()
        caller.ask((an_ask("slow", "other"), [1]))
        caller.ask((an_ask("fast"), [2]))
        assert isinstance(await caller.reply_to("fast"), Answer)
        assert "slow" not in caller.replies
        load.gate.set()
        assert isinstance(await caller.reply_to("slow"), Answer)


async def test_a_long_run_does_not_hold_up_a_short_one():
    gate = Event()
    load = Loads(long=Adds(gate))
    async with a_node(quick(), quick("long", profile=SLOW), load=load) as (agent, caller):
        await agent.load("quick")
        await agent.load("long")
        caller.ask((an_ask("long", "long"), [1]))
        await settle()
        caller.ask((an_ask("short"), [2]))
        assert isinstance(await caller.reply_to("short"), Answer)
        assert "long" not in caller.replies
        assert agent.capacity().queue_ms == pytest.approx(6.0)
        gate.set()
        assert isinstance(await caller.reply_to("long"), Answer)
        assert agent.capacity().queue_ms == 0


async def test_a_runtime_is_never_called_by_two_threads_at_once():
    gate = Event()
    adds = Adds(gate)
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=adds), workers=2) as (agent, caller):
        await agent.load("long")
        for name in "ab":
            caller.ask((an_ask(name, "long"), [1]))
            await settle()
        assert agent.capacity().queue_ms == pytest.approx(6.0)
        gate.set()
        assert isinstance(await caller.reply_to("a"), Answer)
        assert isinstance(await caller.reply_to("b"), Answer)
    assert adds.batches == [[1.0], [1.0]]


async def test_an_ask_that_cannot_wait_for_the_loads_before_its_own_is_refused_at_once():
    loads = Loads()
    loads.gate = Event()
    profile = a_profile(runs=QUICK.runs, load_ms=400.0)
    held = [quick(name, profile=profile) for name in ("x", "y")]
    async with a_node(*held, load=loads, clock=ManualClock()) as (_, caller):
        caller.ask((an_ask("first", "x", budget_ms=500.0, deadline_ms=1000.0), [1]))
        await settle()
        caller.ask((an_ask("second", "y", budget_ms=500.0, deadline_ms=1000.0), [1]))
        refused = await caller.reply_to("second")
        assert (refused.reason, round(refused.finish_ms)) == ("deadline", 800)
        loads.gate.set()
        assert isinstance(await caller.reply_to("first"), Answer)


async def test_what_waits_can_be_cancelled_and_what_runs_is_answered():
    gate = Event()
    async with a_node(quick("long", profile=SLOW), load=Loads(long=Adds(gate))) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        caller.ask((an_ask("waits", "long"), [2]), (an_ask("stays", "long"), [3]))
        caller.publish(Frame(Cancel(ids=("waits", "runs", "unheard-of"))))
        assert (await caller.reply_to("waits")).reason == "cancelled"
        gate.set()
        assert isinstance(await caller.reply_to("runs"), Answer)
        assert isinstance(await caller.reply_to("stays"), Answer)


async def test_late_work_is_dropped_before_it_runs():
    gate, clock = Event(), ManualClock()
    adds = Adds(gate)
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=adds), clock=clock) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        caller.ask((an_ask("late", "long", budget_ms=50, deadline_ms=60), [2]))
        await clock.advance(0.1)
        gate.set()
        assert (await caller.reply_to("late")).reason == "deadline"
    assert adds.batches == [[1.0]]


async def test_past_its_objective_an_ask_is_still_answered():
    gate, clock = Event(), ManualClock()
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=Adds(gate)), clock=clock) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        caller.ask((an_ask("late", "long", budget_ms=50, deadline_ms=600), [2]))
        await clock.advance(0.1)
        gate.set()
        assert isinstance(await caller.reply_to("late"), Answer)


async def test_the_queue_is_bounded_by_rows():
    gate = Event()
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=Adds(gate)), queue_limit=3) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        caller.ask((an_ask("a", "long", rows=3), [1, 2, 3]), (an_ask("b", "long"), [4]))
        assert (await caller.reply_to("b")).reason == "queue_full"
        gate.set()
        assert isinstance(await caller.reply_to("a"), Answer)


async def test_an_ask_larger_than_the_queue_is_taken_while_nothing_waits():
    gate = Event()
    long = quick("long", profile=SLOW)
    async with a_node(long, load=Loads(long=Adds(gate)), queue_limit=2) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("large", "long", rows=3), [1, 2, 3]))
        await settle()
        caller.ask((an_ask("a", "long"), [4]), (an_ask("b", "long", rows=3), [5, 6, 7]))
        assert (await caller.reply_to("b")).reason == "queue_full"
        gate.set()
        assert isinstance(await caller.reply_to("large"), Answer)


async def test_the_least_recently_used_variant_makes_room_and_one_in_use_does_not():
    clock, load = ManualClock(), Loads()
    data = bytes(8 << 20)  # loading counts for no less than the file, and for little more here
    profile = a_profile(memory_bytes=len(data), runs=quick().profile.runs)
    variants = [quick(name, data=data, profile=profile) for name in ("a", "b", "c")]
    async with a_node(*variants, load=load, clock=clock, memory_bytes=20 << 20, data=data) as (
        agent,
        caller,
    ):
        for name in ("a", "b", "a"):
            await clock.advance(1)
            caller.ask((an_ask(f"{name}{clock.now()}", name), [1]))
            await caller.reply_to(f"{name}{clock.now()}")
        caller.ask((an_ask("third", "c"), [1]))
        await caller.reply_to("third")
        assert {each.variant for each in agent.capacity().loaded} == {"a", "c"}
        assert load.runtimes["b"].closed


async def test_orders_load_evict_drain_and_resume():
    async with a_node() as (agent, caller):
        assert await caller.order("load", Order(variant="quick")) == Done(ok=True)
        assert agent.capacity().loaded[0].state == "warm"
        assert await caller.order("evict", Order(variant="quick")) == Done(ok=True)
        assert agent.capacity().loaded == ()
        assert not (await caller.order("load", Order(variant="other"))).ok
        assert not (await caller.order("update", Order())).ok
        assert (await caller.order("drain", Order())).ok
        assert agent.capacity().state == "draining"
        caller.ask((an_ask("a"), [1]))
        assert (await caller.reply_to("a")).reason == "draining"
        assert (await caller.order("resume", Order())).ok
        caller.ask((an_ask("b"), [1]))
        assert isinstance(await caller.reply_to("b"), Answer)


async def test_it_describes_what_it_can_and_cannot_run():
    unlisted = quick("unlisted", runtimes=(RuntimePin(name="table", version="0"),))
    async with a_node(quick(), unlisted) as (_, caller):
        described = await caller.order("describe", Describe())
    assert isinstance(described, Description)
    assert [each.variant for each in described.variants] == ["quick"]
    assert [task.name for task in described.tasks] == ["digits"]
    assert described.unable == {"unlisted": "unlisted runtime table 1"}


async def test_a_variant_is_measured_when_it_is_first_loaded():
    async with a_node(measure_s=0.02, warm=("qu*",)) as (agent, _):
        before = agent.description().revision
        await agent.load("quick")
        (info,) = agent.description().variants
    assert info.profile.measured
    assert info.profile.runs[1].count > 0
    assert agent.description().revision > before


async def test_a_measurement_holds_although_the_disk_does_not_take_it(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    async with a_node(measure_s=0.02, kept=tmp_path / "file" / "profiles") as (agent, _):
        await agent.load("quick")
        (info,) = agent.description().variants
    assert info.profile.measured
    assert "the profile of quick is not kept: Not a directory" in caplog.text


async def test_asks_that_wait_for_a_load_are_served_before_it_is_measured():
    async with a_node(measure_s=0.02) as (agent, caller):
        caller.ask((an_ask("a"), [1]))
        await caller.reply_to("a")
        assert not agent.description().variants[0].profile.measured
        await agent.load("quick")
        caller.ask((an_ask("b"), [1]))
        await caller.reply_to("b")
        assert agent.description().variants[0].profile.measured


async def test_leaving_finishes_what_is_queued_and_leaves_no_thread():
    before = threading.active_count()
    gate = Event()
    async with a_node(quick("long", profile=SLOW), load=Loads(long=Adds(gate))) as (agent, caller):
        await agent.load("long")
        caller.ask((an_ask("runs", "long"), [1]))
        await settle()
        caller.ask((an_ask("waits", "long"), [2]))
        await settle()
        asyncio.get_running_loop().call_soon(gate.set)
    assert isinstance(await caller.reply_to("waits"), Answer)
    assert threading.active_count() == before


async def test_leaving_does_not_wait_for_ever():
    gate, clock = Event(), ManualClock()
    load = Loads()
    load.gate = gate
    async with a_node(load=load, clock=clock, drain_s=1.0) as (_, caller):
        caller.ask((an_ask("a"), [1]))
        await settle()

        async def time_passes():
            await settle()
            await clock.advance(1.1)
            gate.set()

        passing = asyncio.create_task(time_passes())
    await passing
    assert (await caller.reply_to("a")).reason in ("draining", "load_failed") or isinstance(
        await caller.reply_to("a"), Answer
    )


async def test_a_conflicting_load_says_why():
    profile = a_profile(memory_bytes=1 << 40)
    async with a_node(quick(profile=profile), memory_bytes=1 << 30) as (agent, _):
        with pytest.raises(ConflictError, match="does not fit"):
            await agent.load("quick")


async def test_a_node_that_starts_again_warms_what_it_had_warm(tmp_path):
    variants = (quick("one"), quick("two"), quick("three"))
    async with a_node(*variants, state_dir=tmp_path) as (agent, caller):
        await agent.load("one")
        await agent.load("two")
        assert await caller.order("evict", Order(variant="two")) == Done(ok=True)
    async with a_node(*variants, state_dir=tmp_path) as (agent, _):
        assert [loaded.variant for loaded in agent.capacity().loaded] == ["one"]
    for unreadable in ("{", "5", '{"one": 1}', "[1]"):
        (tmp_path / "warm.json").write_text(unreadable)
        async with a_node(*variants, state_dir=tmp_path) as (agent, _):
            assert not agent.capacity().loaded
