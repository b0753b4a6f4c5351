"""What waits to be sent: in order, through a restart, unchanged once somebody may have seen it."""

import sqlite3

from edge_agent.outbox import Item, Outbox


def an_item(number, data=b"x"):
    return Item(f"gate.{number}", "tm.v1.evt.site-1.gate.usage", data)


def test_it_is_given_in_order_until_it_is_taken():
    outbox = Outbox(sqlite3.connect(":memory:"))
    for number in range(3):
        outbox.put(an_item(number))
    assert [item.id for item in outbox.to_try(2)] == ["gate.0", "gate.1"]
    outbox.taken("gate.0")
    assert [item.id for item in outbox.to_try(2)] == ["gate.1", "gate.2"]
    assert len(outbox) == 2


def test_it_outlives_its_process(tmp_path):
    with sqlite3.connect(tmp_path / "outbox.db") as database:
        Outbox(database).put(an_item(1))
    database.close()
    again = sqlite3.connect(tmp_path / "outbox.db")
    assert Outbox(again).to_try(9) == (an_item(1),)
    again.close()


def test_an_id_is_queued_once():
    outbox = Outbox(sqlite3.connect(":memory:"))
    outbox.put(an_item(1, b"first"))
    outbox.put(an_item(1, b"second"))
    assert outbox.to_try(9) == (an_item(1, b"first"),)


def test_what_was_tried_does_not_change_any_more():
    outbox = Outbox(sqlite3.connect(":memory:"))
    assert outbox.untried() is None
    outbox.put(an_item(1))
    assert outbox.untried() == an_item(1)
    outbox.amend(an_item(1, b"more"))
    assert outbox.to_try(9) == (an_item(1, b"more"),)
    assert outbox.untried() is None
    outbox.amend(an_item(1, b"even more"))
    assert outbox.to_try(9) == (an_item(1, b"more"),)
