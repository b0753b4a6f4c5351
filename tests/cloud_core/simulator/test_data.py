"""The data files' rules (DESIGN 4.4): which row counts, and what is made of it."""

import numpy as np
import pytest

from cloud_core.simulator.network import Network, Speed
from cloud_core.simulator.tables import kits, rows
from cloud_core.simulator.traces import arrivals, counts
from protocol.errors import BadRequestError
from tests.cloud_core.simulator.scenes import BASE, EDGE, PROFILES, bandwidth, scene

CLOSED = "version,submitter,system,model,scenario,p50_ms,p90_ms,p99_ms,mean_ms,samples_per_s\n"
GPU = {
    "name": "gpu", "system": "*T4*", "tier": "cloud", "site": "cloud", "nodes": 1,
}  # fmt: skip


def a_kit(tmp_path, fleet="pi", **changes):
    return kits(scene(tmp_path, **changes))[fleet]


def closed(tmp_path, *lines, **changes):
    """A scenario whose GPU is of the closed division's layout."""
    (tmp_path / "closed.csv").write_text(CLOSED + "".join(f"{line}\n" for line in lines))
    task = {**BASE["tasks"]["imagenet"], "variants": {"*resnet50*": {"accuracy": 76.4}}}
    return kits(
        scene(
            tmp_path, profiles=["profiles.csv", "closed.csv"], fleets=[EDGE, GPU],
            tasks={"imagenet": task}, **changes,
        )
    )["gpu"]  # fmt: skip


def test_latency_is_read_from_single_stream_rows_in_any_case(tmp_path):
    kit = closed(
        tmp_path,
        "v,a,X_T4x1,resnet50,Offline,328234,,,,5500",
        "v,a,X_T4x1,resnet50,Server,4.8,5,6,,5000",
        "v,a,X_T4x1,resnet50,singlestream,0.8,,0.9,,",
    )
    assert [info.variant for info in kit.infos] == ["resnet50"]
    assert kit.infos[0].profile.runs[1].at(50.0) == 0.8
    assert kit.infos[0].profile.runs[1].at(99.0) == 0.9


def test_throughput_is_that_of_offline_rows_over_the_accelerators(tmp_path):
    kit = closed(
        tmp_path,
        "v,a,X_T4x8_TRT,resnet50,offline,99999,,,,40000",
        "v,a,X_T4x8_TRT,resnet50,SingleStream,0.8,,0.9,,",
    )
    runs = kit.infos[0].profile.runs
    assert runs[32].at(50.0) == pytest.approx(0.8 + 31 * 1000 / 5000)
    assert kit.infos[0].max_batch == 32


def test_an_x_that_counts_nothing_divides_nothing(tmp_path):
    kit = closed(
        tmp_path,
        "v,a,x86-64_T4-MIG_1x1g.6gb,resnet50,Offline,9,,,,5000",
        "v,a,x86-64_T4-MIG_1x1g.6gb,resnet50,SingleStream,0.8,,0.9,,",
    )
    assert kit.infos[0].profile.runs[8].at(50.0) == pytest.approx(0.8 + 7 * 0.2)


def test_a_model_without_throughput_runs_one_at_a_time(tmp_path):
    kit = a_kit(tmp_path)
    assert {info.max_batch for info in kit.infos} == {1}


def test_accuracy_comes_from_the_scenario_where_the_file_has_none(tmp_path):
    kit = closed(tmp_path, "v,a,X_T4x1,resnet50,SingleStream,0.8,,0.9,,")
    assert kit.infos[0].accuracy == pytest.approx(0.764)


def test_and_not_where_it_has_one(tmp_path):
    task = {**BASE["tasks"]["imagenet"], "variants": {"small": {"accuracy": 99.0}}}
    small = next(
        info for info in a_kit(tmp_path, tasks={"imagenet": task}).infos if info.variant == "small"
    )
    assert small.accuracy == pytest.approx(0.70)


@pytest.mark.parametrize("figure", ["92.57", "0.1"])
def test_a_suspect_top1_is_left_out_and_said(tmp_path, figure):
    odd = {**PROFILES[0], "model": "odd", "top1_pct": figure}
    kit = a_kit(tmp_path, rows=(*PROFILES, odd))
    assert "odd" not in [info.variant for info in kit.infos]
    assert any("odd: 1 suspect figures" in note for note in kit.notes)


def test_of_several_rows_the_lowest_median_is_taken_and_said(tmp_path):
    other = {**PROFILES[0], "system": "pi-two", "p50_ms": "15"}
    kit = a_kit(tmp_path, rows=(*PROFILES, other))
    small = next(info for info in kit.infos if info.variant == "small")
    assert small.profile.runs[1].at(50.0) == 15.0
    assert "pi: small: 2 rows match, the lowest p50 is taken: 15 ms (pi-two)" in kit.notes


def test_quantiles_between_those_given_are_log_linear(tmp_path):
    row = {**PROFILES[0], "p50_ms": "10", "p90_ms": "20", "p99_ms": "40"}
    small = next(
        i for i in a_kit(tmp_path, rows=(row, *PROFILES[1:])).infos if i.variant == "small"
    )
    run = small.profile.runs[1]
    assert run.at(70.0) == pytest.approx(10 * 2**0.5)
    assert run.at(95.0) == pytest.approx(20 * 2 ** (5 / 9))
    assert run.at(99.9) == 40.0


def test_overrides_by_glob_set_memory_and_load(tmp_path):
    task = {
        **BASE["tasks"]["imagenet"],
        "variants": {"*": {"load_ms": 10}, "lar*": {"memory_mb": 120}},
    }
    large = next(i for i in a_kit(tmp_path, tasks={"imagenet": task}).infos if i.variant == "large")
    assert (large.profile.load_ms, large.profile.memory_bytes) == (10.0, 120_000_000)


def test_a_system_that_no_file_has_is_said(tmp_path):
    with pytest.raises(BadRequestError, match="no profile is of a system like 'tpu'"):
        a_kit(tmp_path, fleets=[{**EDGE, "system": "tpu"}])


def test_the_krai_layout_names_its_systems_devices(tmp_path):
    path = tmp_path / "krai.csv"
    path.write_text("device,model,top1_pct,p50_ms,p90_ms,p99_ms\nfirefly,net,70,5,6,7\n")
    assert rows(path)[0].system == "firefly"


def test_a_number_that_is_none_is_told_with_its_line(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("device,model,top1_pct,p50_ms\nfirefly,net,70,fast\n")
    with pytest.raises(BadRequestError, match=r"bad\.csv:2"):
        rows(path)


def test_a_trace_has_no_header_and_counts_in_its_last_column(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("0,0,1,44\n1,0,1,46\n")
    assert counts(path) == [44.0, 46.0]


def test_a_trace_with_a_header_is_told_with_its_line(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("second,arrivals\n0,44\n")
    with pytest.raises(BadRequestError, match=r"trace\.csv:1: the last column is no number"):
        counts(path)


@pytest.mark.parametrize("scale", [1.0, 0.25, 2.5])
def test_arrivals_are_the_counts_times_the_scale(tmp_path, scale):
    traces = [{**BASE["traces"][0], "scale": scale}]
    come = arrivals(scene(tmp_path, traces=traces), {"edge": 2})
    assert len(come) == int(100 * scale)
    assert (np.diff(come.at_s) >= 0).all()
    assert set(come.place.tolist()) == {0, 1}


def test_wants_come_as_often_as_they_weigh(tmp_path):
    wants = [{"weight": 3, "latency_ms": 100}, {"weight": 1, "latency_ms": 200}]
    come = arrivals(scene(tmp_path, wants=wants, counts=(400,) * 20), {"edge": 2})
    assert (come.want == 0).mean() == pytest.approx(0.75, abs=0.02)


def test_bandwidth_begins_again_when_its_file_is_over():
    speed = Speed([(0.0, 10.0), (60.0, 20.0), (90.0, 5.0)])
    assert [speed.at(at) for at in (0, 59, 60, 95, 135, 195.5)] == [10, 10, 20, 5, 10, 20]


def test_each_site_begins_elsewhere_in_the_file_by_the_seed(tmp_path):
    links = {
        "middle-cloud": {
            "mbps_file": bandwidth(tmp_path, *((10.0 * n, n + 1.0) for n in range(50)))
        }
    }
    given = scene(tmp_path, links=links)
    network, again = Network(given, 20), Network(given, 20)
    at_once = [network.mbps("middle-cloud", site, 0.0) for site in range(20)]
    assert len(set(at_once)) > 10
    assert at_once == [again.mbps("middle-cloud", site, 0.0) for site in range(20)]


def test_bytes_from_the_edge_to_the_cloud_pass_both_borders(tmp_path):
    network = Network(scene(tmp_path), 1)
    borders = network.borders("edge", "cloud")
    assert borders == ("edge-middle", "middle-cloud")
    one_way_s = network.one_way_s(borders, 0, 100_000, now=0.0)
    assert one_way_s == pytest.approx((1 + 1 + 20 + 10) / 1000)
    assert network.usd(borders, 1e9) == 1.0
