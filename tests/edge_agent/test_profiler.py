import json

import numpy as np
import pytest

from edge_agent import profiler
from edge_agent.profiler import Profiles
from edge_agent.runtimes import registry
from edge_agent.stock import measurement
from protocol.bundles import RuntimePin, estimate
from protocol.types import Latency
from tests.build import a_profile, a_task, a_variant

ORT = RuntimePin(name="onnxruntime", version="1.32.0")


class Timed:
    """A runtime whose runs take a time by the number of rows, on a clock of its own."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.time = 0.0
        self.rows = []

    def now(self):
        return self.time

    def infer(self, inputs):
        rows = len(next(iter(inputs.values())))
        self.rows.append(rows)
        self.time += self.seconds(rows)
        return {}

    def close(self):
        pass


def measured(runtime, budget_s=10.0, **variant):
    return profiler.measure(
        runtime, a_task(), a_variant(**variant),
        load_ms=5, memory_bytes=7, budget_s=budget_s, now=runtime.now,
    )  # fmt: skip


def test_run_times_are_measured_by_batch_size():
    profile = measured(Timed(lambda rows: rows / 1000), max_batch=6)
    assert {size: latency.ms[0] for size, latency in profile.runs.items()} == pytest.approx(
        {1: 1, 2: 2, 4: 4, 6: 6}
    )
    assert profile.measured
    assert profile.load_ms == 5
    assert profile.memory_bytes >= 7
    assert all(latency.count >= 3 for latency in profile.runs.values())


def test_only_the_files_own_batches_are_run():
    runtime = Timed(lambda rows: rows / 1000)
    assert set(measured(runtime, batches=(1, 8)).runs) == {1, 8}
    assert set(runtime.rows) == {1, 8}


def test_the_budget_is_kept_and_the_smallest_batch_is_always_measured():
    runtime = Timed(lambda rows: rows * 0.2)
    profile = measured(runtime, budget_s=0.5)
    assert set(profile.runs) == {1}
    assert runtime.time <= 1.0


def test_sizes_are_not_run_once_the_budget_is_used_up():
    runtime = Timed(lambda rows: rows * 0.01)
    profile = measured(runtime, budget_s=0.5)
    assert max(runtime.rows) < 32
    assert {size for size, run in profile.runs.items() if run.count} == set(runtime.rows)
    assert runtime.time <= 1.0


def test_it_says_when_the_run_under_way_should_be_over():
    class Looks(Timed):
        def infer(self, inputs):
            untils.append(known.until - self.time)
            return super().infer(inputs)

    untils, runtime = [], Looks(lambda _: 0.25)
    known = measurement.Measurement(a_variant(max_batch=1), 0.5, load_ms=5.0, memory_bytes=7)
    profiler.go_on(known, runtime, a_task(), now=runtime.now)
    assert untils[:2] == pytest.approx([0.001, 0.25])  # the builder's figure, then its own


def test_between_two_runs_it_can_be_halted_and_goes_on_later():
    runtime = Timed(lambda _: 0.01)
    known = measurement.Measurement(a_variant(max_batch=1), 1.0, load_ms=5.0, memory_bytes=7)
    profiler.go_on(known, runtime, a_task(), now=runtime.now, halted=lambda: len(runtime.rows) == 4)
    assert runtime.rows == [1] * 4
    profiler.go_on(known, runtime, a_task(), now=runtime.now)
    assert runtime.time == pytest.approx(1.0)
    assert known.rows is None


def test_the_first_runs_are_not_counted():
    runtime = Timed(lambda _: 1.0 if len(runtime.rows) <= measurement.WARM_UP_RUNS else 0.001)
    assert measured(runtime, max_batch=1).runs[1].ms[-1] == pytest.approx(1.0)


def test_a_larger_batch_is_never_predicted_to_be_faster():
    profile = measured(Timed(lambda rows: 0.01 / rows), max_batch=2)
    assert profile.runs[2].ms >= profile.runs[1].ms


def test_percentiles_are_those_of_the_samples():
    latency = measurement.distribution([float(n) for n in range(101)])
    assert latency.ms[:4] == (50, 90, 95, 99)
    assert latency.count == 101


def test_a_single_run_is_no_proof_that_all_take_as_long():
    scattered = Latency(ms=(100, 130, 150, 200, 300))
    profile = measured(
        Timed(lambda _: 0.4), budget_s=0.1, max_batch=1, profile=a_profile(runs={1: scattered})
    )
    assert profile.runs[1].ms == pytest.approx((400, 520, 600, 800, 1200))
    assert profile.runs[1].count == 1


def test_what_enough_samples_show_stands_whatever_was_thought_before():
    before = Latency(ms=(10, 20, 30, 40, 50))
    latency = measurement.distribution([1.0] * 15 + [1.1] * 5, before)
    assert latency.ms == pytest.approx((1.0, 1.1, 1.1, 4.0, 5.0))
    assert measurement.distribution([1.0, 9.0] * 5, before).ms[-1] == pytest.approx(25.0)


def test_one_straggler_among_a_few_does_not_say_that_one_in_ten_is_one():
    few, before = [20.0] * 6 + [300.0], Latency(ms=(40, 44, 100, 600, 600))
    assert measurement.distribution(few, before).ms == pytest.approx((20, 22, 50, 300, 300))
    guessed = measurement.distribution(few, estimate(40.0)).ms
    assert guessed[1] > 100.0  # where nothing else is known, they are what there is


def test_golden_rows_are_repeated_to_fill_a_batch():
    sample = {"image": np.arange(3, dtype=np.int64).reshape(3, 1)}
    filled = profiler.filled(a_task(), 7, sample)["image"]
    assert filled[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert filled.dtype == np.int64
    assert profiler.filled(a_task(), 2)["image"].shape == (2, 8, 8)


def test_loading_is_timed_and_takes_at_least_the_files_size():
    data = json.dumps({"runs": {"1": [0] * 5}, "outputs": {"scores": [10]}}).encode()
    variant = a_variant(data=data)
    ticks = iter([1.0, 1.5])
    runtime, load_ms, memory = profiler.loaded(
        registry.load, variant, data, 1, now=lambda: next(ticks)
    )
    assert load_ms == 500
    assert memory >= len(data)
    assert runtime.infer({"image": np.zeros((1, 8, 8), np.float32)})["scores"].shape == (1, 10)


def test_a_profile_is_kept_over_a_restart(tmp_path):
    variant, profile = a_variant(), a_profile(runs={1: estimate(3.0)}, measured=True)
    assert Profiles(tmp_path / "kept").get(variant, ORT, "rpi4") is None
    Profiles(tmp_path / "kept").put(variant, ORT, "rpi4", profile)
    assert Profiles(tmp_path / "kept").get(variant, ORT, "rpi4") == profile
    assert len(list((tmp_path / "kept").iterdir())) == 1


@pytest.mark.parametrize(
    "other",
    [
        (a_variant(data=b"changed"), ORT, "rpi4", 1),
        (a_variant(), RuntimePin(name="onnxruntime", version="1.33.0"), "rpi4", 1),
        (a_variant(), RuntimePin(name="torch", version="1.32.0"), "rpi4", 1),
        (a_variant(), ORT, "rpi5", 1),
        (a_variant(), ORT, "rpi4", 2),
    ],
    ids=["bytes", "version", "runtime", "hardware", "threads"],
)
def test_a_profile_is_of_these_bytes_this_runtime_and_this_hardware(tmp_path, other):
    profiles = Profiles(tmp_path)
    profiles.put(a_variant(), ORT, "rpi4", a_profile())
    assert profiles.get(*other) is None


@pytest.mark.parametrize("spoiled", [b"", b"{", b"\xff", b'{"load_ms": -1}'])
def test_a_spoiled_profile_counts_as_none(tmp_path, spoiled):
    profiles = Profiles(tmp_path)
    profiles.put(a_variant(), ORT, "rpi4", a_profile())
    next(tmp_path.iterdir()).write_bytes(spoiled)
    assert profiles.get(a_variant(), ORT, "rpi4") is None
    profiles.put(a_variant(), ORT, "rpi4", a_profile())
    assert profiles.get(a_variant(), ORT, "rpi4") == a_profile()
