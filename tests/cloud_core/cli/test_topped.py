"""What `tiermesh top` shows: sums over gates, rates over a time, and a gate that is silent."""

import io

import pytest
from rich.console import Console

from cloud_core.cli.drawn import bar, drawn
from cloud_core.cli.topped import Seen, summed


def a_node(name="edge-1", tier="edge", *, queue_ms=0.0, health="alive"):
    advert = {
        "tier": tier, "site": "site-1", "node": name, "state": "ready", "hardware": "pi",
        "queue_ms": queue_ms, "loaded": [{"state": "warm"}, {"state": "loading"}],
    }  # fmt: skip
    return {"advert": advert, "health": health}


def a_gate(site="cloud", *, answers=0, met=0, cost_usd=0.0, decisions=()):
    figures = {"answers": answers, "met": met, "cost_usd": cost_usd, "elapsed_ms": 10.0 * answers}
    return {
        "site": site, "since": 0.0, "under_way": 1, "unanswered": {"refused": 2},
        "tiers": {"edge": figures}, "decisions": list(decisions),
    }  # fmt: skip


DECISION = {
    "tenant": "demo", "task": "digits", "variant": "mlp", "node": "edge-1", "site": "site-1",
    "tier": "edge", "predicted_ms": 5.0, "elapsed_ms": 4.0, "cost_usd": 1e-9, "met": True,
}  # fmt: skip


def seen(at, *gates, nodes=(), silent=()):
    return Seen(at, list(nodes), {"revision": 7}, gates, silent)


def of(document, tier):
    return next(one for one in document["tiers"] if one["tier"] == tier)


def test_gates_are_added_up_since_they_started():
    two = a_gate(answers=30, met=20, cost_usd=3e-6), a_gate("site-1", answers=10, met=10)
    edge = of(summed(seen(100.0, *two), None), "edge")
    assert (edge["queries"], edge["qps"], edge["met_pct"]) == (40, 0.4, 75.0)
    assert edge["usd_per_1000"] == 1000 * 3e-6 / 40
    assert edge["mean_ms"] == 10.0


def test_between_two_looks_only_what_came_between_counts():
    before, now = a_gate(answers=100, met=0), a_gate(answers=110, met=10)
    found = summed(seen(12.0, now), seen(10.0, before))
    assert (found["mesh"]["queries"], found["mesh"]["qps"]) == (10, 5.0)
    assert found["mesh"]["met_pct"] == 100.0


def test_where_nothing_was_answered_there_is_no_share():
    found = summed(seen(12.0, a_gate()), None)
    assert found["mesh"]["met_pct"] is None
    assert (found["under_way"], found["unanswered"]) == (1, {"refused": 2})


def test_load_is_how_full_the_queues_of_those_alive_are():
    nodes = a_node(queue_ms=500.0), a_node("edge-2"), a_node("edge-3", health="gone", queue_ms=9e9)
    edge = of(summed(seen(1.0, nodes=nodes), None), "edge")
    assert (edge["nodes"], edge["alive"], edge["warm"], edge["load"]) == (3, 2, 2, 0.25)


def test_a_bar_is_as_long_as_its_share():
    assert [bar(share, 4) for share in (0.0, 0.5, 1.0)] == ["░░░░   0%", "██░░  50%", "████ 100%"]


def lines_of(found, **size):
    console = Console(width=int(size.get("width", 200)), record=True, file=io.StringIO())
    console.print(drawn(found, **size))
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_in_few_columns_some_are_left_out_and_no_line_is_broken(width):
    gate = a_gate(answers=4, met=4, decisions=[DECISION])
    lines = lines_of(summed(seen(2.0, gate, nodes=[a_node()]), None), width=width)
    tables = "\n".join(lines).split("\n\n")[1:]
    assert [len(table.splitlines()) for table in tables] == [1 + 3, 1 + 1, 2 + 1]
    for table, kept in zip(
        tables, ("tier q/s met", "node health", "variant node met"), strict=True
    ):
        assert all(name in table for name in kept.split())


def test_where_all_nodes_do_not_fit_those_in_trouble_are_shown_and_the_others_counted():
    nodes = [a_node(f"n-{at}", queue_ms=at) for at in range(100)]
    nodes += [a_node("lost", health="gone"), a_node("late", health="suspect")]
    gate = a_gate(answers=4, met=4, decisions=[DECISION] * 10)
    lines = lines_of(summed(seen(2.0, gate, nodes=nodes), None), width=100, height=30)
    assert len(lines) <= 30
    shown = [line.split()[2] for line in lines if "site-1  " in line and " pi " in line]
    assert {*shown[:2]} == {"lost", "late"}
    assert shown[2:4] == ["n-99", "n-98"]
    assert f"and {102 - len(shown)} more nodes" in "\n".join(lines)
    assert sum("demo" in line for line in lines) >= 3


def test_all_of_it_is_drawn():
    gate = a_gate(answers=4, met=4, decisions=[DECISION])
    found = summed(seen(2.0, gate, nodes=[a_node()], silent=("http://far",)), None)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(drawn(found))
    text = console.export_text()
    for word in ("revision 7", "http://far does not answer", "2 refused", "edge-1", "mlp", "demo"):
        assert word in text
