"""A policy's effects on given traffic, before anybody applies it."""

from cloud_core.cli.what_if import compared, lately, shown
from middle_tier.scheduler.types import Policy
from tests.cloud_core.simulator.scenes import write
from tests.cloud_core.simulator.test_lately import a_gate


def test_both_policies_are_simulated_over_the_same_traffic(tmp_path):
    path = write(tmp_path)
    cloudy = Policy(tiers=("cloud",), on_miss="fastest")
    found = compared(path, Policy(on_miss="fastest"), cloudy)
    assert found["now"]["queries"] == found["then"]["queries"] > 0
    assert found["then"]["tier_share"].get("edge", 0) == 0
    assert found["now"]["tier_share"].get("edge", 0) > 0


def test_recent_traffic_is_replayed_and_what_no_replay_can_show_is_said(capsys):
    then = Policy.model_validate({"tiers": ["cloud"], "hedge": {"share": 0.1}})
    found = lately([a_gate()], Policy(), then)
    assert (found["now"]["tier_share"]["edge"], found["then"]["tier_share"]["cloud"]) == (1.0, 1.0)
    assert (found["queries"], found["unseen"]) == (100, ["hedge"])
    shown(found)
    out, aside = capsys.readouterr()
    assert "100 queries in 10.9 s" in out
    assert "hedge: not simulated" in aside
