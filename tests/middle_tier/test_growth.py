"""Whoever makes up names, in wants or of what they run, makes nothing grow for ever."""

import pytest

from edge_agent.clock import ManualClock
from middle_tier.routing.below import MAX_TOLD, Below
from middle_tier.scheduler.plan import choose, explain
from middle_tier.scheduler.types import Policy
from middle_tier.view import View
from protocol.adverts import Description
from protocol.errors import UnknownError
from tests.build import a_task, a_want
from tests.middle_tier.fleet import a_demand, a_node, a_view, info

MANY = 3000


def reasons(view, now=0.0, **want):
    demand = a_demand(**want)
    return explain(demand, view.groups(demand.want.task), Policy(), now=now, seed=1).counts


def describe(view, at, *, task="digits", variant="mlp", now=0.0):
    """The same node again, which says that it has become something else."""
    view.advert(a_node(sequence=at + 1, revision=at), now)
    view.describe(
        Description(
            node="edge-1", site="site-1", revision=at, tasks=(a_task(task),),
            variants=(info(variant, task=task),),
        ),
        now,
    )  # fmt: skip


@pytest.mark.parametrize("field", ["architecture", "variant"])
def test_a_want_that_names_what_nobody_has_leaves_nothing_behind(field):
    view = a_view((a_node(), [info()]))
    before = len(view.table.names)
    for at in range(MANY):
        demand = a_demand(**{field: f"made-up-{at}"})
        choose(demand, view.groups("digits"), Policy(), now=0.0, seed=1)
    assert len(view.table.names) == before
    assert reasons(view, **{field: "made-up"}) == {f"another {field}": 1}


def test_hops_that_name_no_site_leave_nothing_behind():
    view = a_view((a_node(), [info()]))
    before = len(view.table.names)
    for at in range(MANY):
        choose(a_demand(hops=(f"made-up-{at}",)), view.groups("digits"), Policy(), now=0.0, seed=1)
    assert len(view.table.names) == before


def test_a_name_is_known_again_when_somebody_has_it():
    view = a_view((a_node(), [info()]))
    assert reasons(view, variant="cnn") == {"another variant": 1}
    describe(view, 2, variant="cnn")
    assert not reasons(view, variant="cnn")
    assert reasons(view, variant="mlp") == {"another variant": 1}


def test_a_node_that_makes_up_variants_makes_names_and_tasks_grow_for_a_minute_only():
    view = View("site-1")
    for at in range(1, MANY):
        now = 2.0 * at
        describe(view, at, task=f"task-{at}", variant=f"made-up-{at}", now=now)
        view.tick(now)
    assert len(view.table.names) < 1000
    assert len(view.table.by_key) < 100
    assert len(view.table.shape) < 100
    assert set(view.tasks) == {f"task-{MANY - 1}"}
    assert not reasons(view, now, want=a_want(f"task-{MANY - 1}"))
    with pytest.raises(UnknownError):
        view.groups("task-1")


def test_a_task_that_comes_back_is_planned_for_as_before():
    view = View("site-1")
    describe(view, 1)
    describe(view, 2, task="faces", now=1.0)
    for now in range(1, 200):
        view.advert(a_node(sequence=3 + now, revision=2), float(now))
        view.tick(float(now))
    with pytest.raises(UnknownError):
        view.groups("digits")
    describe(view, 300, now=200.0)
    assert not reasons(view, 200.0)


def test_sites_that_make_up_their_names_in_pings_leave_few_answers_behind():
    below = Below(a_view((a_node(), [info()])), ManualClock(), lambda _: None)
    for at in range(2 * MAX_TOLD):
        assert below.reach(Policy(), f"made-up-{at}")
    assert repr(below) == f"<Below site-1 | {MAX_TOLD} sites told>"
