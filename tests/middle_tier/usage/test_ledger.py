"""Usage in the ledger: every batch once, whatever comes twice, late or after a restart."""

from hypothesis import given, settings
from hypothesis import strategies as st

from middle_tier.usage.batch import Batch, Line, Used, difference
from middle_tier.usage.ledger import Ledger

DAY = 20_000
SUBJECT = "tm.v1.evt.site-1.gate.usage"


def a_batch(number, queries=1, gate="g1", site="site-1", day=DAY):
    line = Line(queries=queries, answered=queries, met=queries, rows=queries, cost_usd=queries / 8)
    return Batch(gate=gate, number=number, site=site, day=day, tenants={"acme": line})


def a_ledger(folder, name="usage.db"):
    return Ledger(folder / name, since=1.0)


def use(queries):
    return {"acme": Used(queries, queries, queries, queries, queries / 8)}


def told(ledger):
    return [Batch.model_validate_json(item.data) for item in ledger.to_try()]


def test_a_batch_that_comes_twice_counts_once(tmp_path):
    ledger = a_ledger(tmp_path)
    assert ledger.apply(a_batch(1, 3))
    assert not ledger.apply(a_batch(1, 3))
    assert ledger.totals() == use(3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5)), max_size=30))
def test_whatever_is_sent_again_the_sum_is_that_of_the_batches(tmp_path_factory, sent):
    ledger, highest = a_ledger(tmp_path_factory.mktemp("ledger")), {}
    total = 0
    for gate, number in sent:
        if number > highest.get(gate, 0):
            total += number
            highest[gate] = number
        ledger.apply(a_batch(number, number, gate))
    assert ledger.totals() == (use(total) if total else {})


def test_gates_of_two_sites_do_not_take_each_others_numbers(tmp_path):
    ledger = a_ledger(tmp_path)
    ledger.apply(a_batch(9, 1, site="site-1"))
    ledger.apply(a_batch(1, 1, site="site-2"))
    assert ledger.totals() == use(2)


def test_what_was_counted_outlives_a_restart_and_so_does_who_counted(tmp_path):
    ledger = a_ledger(tmp_path)
    ledger.count("site-1", DAY, use(2), SUBJECT)
    gate = ledger.gate
    ledger.close()
    again = Ledger(tmp_path / "usage.db", since=99.0)
    assert (again.gate, again.since) == (gate, 1.0)
    again.count("site-1", DAY, use(1), SUBJECT)
    assert again.totals() == use(3)


def test_without_the_file_it_is_another_gate(tmp_path):
    assert a_ledger(tmp_path, "a").gate != a_ledger(tmp_path, "b").gate


def test_what_waits_is_one_message_a_day_however_long_it_waits(tmp_path):
    ledger = a_ledger(tmp_path)
    for day in (DAY, DAY, DAY, DAY + 1, DAY + 1):
        ledger.count("site-1", day, use(1), SUBJECT)
    assert [(batch.day, batch.tenants["acme"].queries) for batch in told(ledger)] == [
        (DAY, 3), (DAY + 1, 2),
    ]  # fmt: skip


def test_what_was_sent_before_its_reply_was_lost_is_sent_again_unchanged(tmp_path):
    ledger, cloud = a_ledger(tmp_path, "site"), a_ledger(tmp_path, "cloud")
    ledger.count("site-1", DAY, use(1), SUBJECT)
    first = told(ledger)
    ledger.count("site-1", DAY, use(5), SUBJECT)
    again = told(ledger)
    assert again[:1] == first
    for batch in (*first, *again, *again):
        cloud.apply(batch)
    assert cloud.totals() == ledger.totals() == use(6)


def test_days_are_kept_apart_and_gates_by_what_they_spent(tmp_path):
    ledger = a_ledger(tmp_path)
    ledger.apply(a_batch(1, 8, "g1"))
    ledger.apply(a_batch(2, 8, "g1", day=DAY + 1))
    ledger.apply(a_batch(1, 16, "g2", day=DAY + 1))
    assert ledger.totals(DAY) == use(8)
    assert ledger.totals(DAY + 1) == use(24)
    spent = {(one.gate, one.usd) for one in ledger.spent(DAY + 1)}
    assert spent == {("site-1/g1", 1.0), ("site-1/g2", 2.0)}


def test_the_difference_leaves_out_who_has_used_nothing():
    assert difference({"a": Used(2), "b": Used(1)}, {"b": Used(1)}) == {"a": Used(2)}
