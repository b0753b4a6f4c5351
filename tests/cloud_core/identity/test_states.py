"""Every step between the states of an identity, and every one that does not exist."""

from itertools import product
from typing import get_args

import pytest

from cloud_core.identity.states import AFTER, BARRED, Event, after
from protocol.errors import ConflictError
from protocol.identity import IdentityState

STATES, EVENTS = get_args(IdentityState), get_args(Event)


@pytest.mark.parametrize(("state", "event"), [*product(STATES, EVENTS)])
def test_a_step_is_in_the_table_or_is_refused_with_what_could_be_done(state, event):
    if (state, event) in AFTER:
        assert after(state, event) in STATES
        return
    with pytest.raises(ConflictError, match=f"that is {state} cannot be told to {event}") as no:
        after(state, event)
    assert no.value.hint


def test_nothing_brings_a_revoked_identity_back():
    assert not [event for state, event in AFTER if state == "revoked"]


def test_whoever_leaves_the_mesh_is_barred():
    for (state, event), then in AFTER.items():
        if state == "active":
            assert then in BARRED, event
