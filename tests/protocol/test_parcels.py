"""Frames in pieces: nothing is lost where they are cut, and durations count from the sending."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.messages import Asks, Cancel, Ping
from protocol.parcels import LEAST_LEFT_MS, Whole, aged, patience_ms
from tests.build import a_query, a_want, an_ask

buffers = st.lists(st.binary(max_size=20), max_size=5)


@given(buffers, st.integers(1, 30))
def test_the_pieces_are_the_whole(given_buffers, size):
    whole = Whole(given_buffers)
    pieces = [bytes(whole.piece(start, size)) for start in range(0, whole.size, size)]
    assert b"".join(pieces) == b"".join(given_buffers)
    assert all(len(piece) == size for piece in pieces[:-1])


@given(buffers, st.integers(0, 200), st.integers(1, 30))
def test_no_piece_reaches_beyond_the_end(given_buffers, start, size):
    assert bytes(Whole(given_buffers).piece(start, size)) == b"".join(given_buffers)[start:][:size]


def test_a_piece_within_one_tensor_is_not_copied():
    tensor = bytes(100)
    assert Whole((b"header", tensor)).piece(10, 20).obj is tensor


def test_budgets_are_what_is_left_when_it_is_whole():
    asks = Asks(items=(an_ask("1", budget_ms=50.0), an_ask("2", budget_ms=200.0)))
    assert [ask.budget_ms for ask in aged(asks, 60.0).items] == [LEAST_LEFT_MS, 140.0]
    assert [ask.deadline_ms for ask in aged(asks, 60.0).items] == [940.0, 940.0]
    query = aged(a_query(want=a_want(latency_ms=100.0), deadline_ms=400.0), 60.0)
    assert (query.want.latency_ms, query.deadline_ms) == (40.0, 340.0)
    assert aged(Ping(), 60.0) == Ping()


def test_it_is_kept_for_whoever_can_wait_longest():
    asks = Asks(items=(an_ask("1", deadline_ms=50.0), an_ask("2", deadline_ms=200.0)))
    assert patience_ms(asks) == 200.0
    assert patience_ms(a_query(deadline_ms=300.0)) == 300.0
    assert patience_ms(Asks(items=())) == 0.0
    assert patience_ms(Cancel(ids=())) > 0.0
