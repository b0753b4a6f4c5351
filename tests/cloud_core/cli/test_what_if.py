"""A policy's effects on given traffic, before anybody applies it."""

from cloud_core.cli.what_if import compared
from middle_tier.scheduler.types import Policy
from tests.cloud_core.simulator.scenes import write


def test_both_policies_are_simulated_over_the_same_traffic(tmp_path):
    path = write(tmp_path)
    cloudy = Policy(tiers=("cloud",), on_miss="fastest")
    found = compared(path, Policy(on_miss="fastest"), cloudy)
    assert found["now"]["queries"] == found["then"]["queries"] > 0
    assert found["then"]["tier_share"].get("edge", 0) == 0
    assert found["now"]["tier_share"].get("edge", 0) > 0
