"""A process that has come up looks for garbage seldom, and not at what it was built of."""

import gc

from edge_agent.garbage import THRESHOLDS, settle_in


def test_what_lives_when_a_process_has_come_up_is_not_looked_at_again():
    before, view = gc.get_threshold(), {"node": ["a"]}
    try:
        settle_in()
        assert gc.get_threshold() == THRESHOLDS
        assert gc.get_freeze_count() > 0
        assert not any(each is view for each in gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    assert any(each is view for each in gc.get_objects())
