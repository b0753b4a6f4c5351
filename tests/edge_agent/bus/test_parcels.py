"""Both sides of a frame in pieces, on a link that loses what a test says; time is moved by hand."""

import heapq
from itertools import count

import pytest

from edge_agent.bus.base import Delivery
from edge_agent.bus.fetching import MAX_COMING_BYTES, STALL_S, STALLS, WINDOW, Fetching
from edge_agent.bus.keeping import IDLE_S, MAX_KEPT_BYTES, Keeping
from protocol.blobs import Fetch, Parcel, Piece
from protocol.codec import Frame, encode
from protocol.errors import BusyError, TooLargeError, UnreachableError
from protocol.messages import Asks, Cancel, Replies
from protocol.parcels import LEAST_PIECE_BYTES, MAX_WHOLE_BYTES, PIECE_BYTES
from protocol.types import Tensor
from tests.build import an_answer, an_ask

MOST = 8 << 20
ROWS = 9 * PIECE_BYTES + 17


class HandMoved:
    """Timers whose time stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap = []
        self._order = count()

    def time(self) -> float:
        return self.now

    def call_later(self, delay, callback):
        timer = Timer(callback)
        heapq.heappush(self._heap, (self.now + delay, next(self._order), timer))
        return timer

    def move(self, seconds: float) -> None:
        end = self.now + seconds
        while self._heap and self._heap[0][0] <= end:
            self.now, _, timer = heapq.heappop(self._heap)
            timer.ring()
        self.now = end

    @property
    def set(self) -> int:
        return sum(timer.ring is not nothing for *_, timer in self._heap)


class Timer:
    def __init__(self, ring) -> None:
        self.ring = ring

    def cancel(self) -> None:
        self.ring = nothing


def nothing() -> None:
    pass


class Link:
    """Two ends: what each publishes is carried to the other, unless it is lost, one by one."""

    def __init__(self) -> None:
        self.timers = HandMoved()
        self.keeping = Keeping(self._from_sender, "_INBOX.a.offers", self.timers)
        self.fetching = Fetching(self._from_taker, "_INBOX.b", self.timers)
        self.lose = lambda _: False
        self.cut = False
        self.sent = []
        self.whole = []
        self.due = []

    def offer(self, id_="1", rows=ROWS, reply="_INBOX.a.1", **changes) -> Frame:
        tensor = Tensor(name="x", datatype="UINT8", shape=(1, rows))
        filler = bytes(range(256)) * (rows // 256 + 1)
        ask = an_ask(id_, inputs=(tensor,), **changes)
        frame = Frame(Asks(items=(ask,)), (filler[:rows],))
        self.keeping.offer("tm.v1.ask.s.n", frame, reply, MOST)
        return frame

    def step(self) -> None:
        """Carry one message."""
        self.due.pop(0)[0]()

    def run(self) -> None:
        """Carry until nothing is on its way."""
        while self.due:
            deliver, message = self.due.pop(0)
            if not self.lose(message):
                deliver()

    def arrived(self, offer, data, took_ms) -> None:
        self.whole.append((offer, bytes(data), took_ms))

    def taken(self, offer: Delivery) -> None:
        self.fetching.offered(offer, offer.frame.message, self.arrived)

    @property
    def fetched(self):
        return [m.start for m in self.sent if isinstance(m, Fetch)]

    def _from_sender(self, subject, frame, reply) -> None:
        self._check(frame.message)
        match frame.message:
            case Parcel():
                self.due.append(
                    (lambda: self.taken(Delivery(subject, frame, reply)), frame.message)
                )
            case Piece() as piece:
                self.due.append((lambda: self.fetching.piece(piece, frame.buffers[0]), piece))

    def _from_taker(self, _subject, frame, reply) -> None:
        self._check(frame.message)
        fetch = frame.message
        self.due.append((lambda: self.keeping.fetched(fetch, reply), fetch))

    def _check(self, message) -> None:
        if self.cut:
            raise UnreachableError("cut")
        self.sent.append(message)


@pytest.fixture
def link():
    return Link()


def test_it_arrives_whole_and_nothing_is_left(link):
    frame = link.offer()
    link.run()
    [(offer, data, _)] = link.whole
    assert data == encode(frame, MAX_WHOLE_BYTES)
    assert offer.reply == "_INBOX.a.1"
    assert (link.keeping.nbytes, link.fetching.nbytes, link.timers.set) == (0, 0, 0)


def test_no_more_pieces_are_asked_for_than_the_window(link):
    link.offer()
    link.step()
    assert link.fetched == [n * PIECE_BYTES for n in range(WINDOW)]


@pytest.mark.parametrize("kind", [Fetch, Piece])
def test_what_is_lost_is_asked_for_again(link, kind):
    lost = set()

    def once(message):
        if isinstance(message, kind) and message.start not in lost:
            lost.add(message.start)
            return True
        return False

    link.lose = once
    frame = link.offer(deadline_ms=60_000.0)
    for _ in range(12):
        link.run()
        link.timers.move(STALL_S)
    assert [data for _, data, _ in link.whole] == [encode(frame, MAX_WHOLE_BYTES)]
    assert link.whole[0][2] >= STALL_S * 1e3


def test_a_sender_that_is_silent_is_given_up(link):
    link.lose = lambda message: isinstance(message, Piece)
    link.offer(deadline_ms=600_000.0)
    link.run()
    for stall in range(STALLS + 1):
        assert link.fetching.nbytes
        link.timers.move(STALL_S * 2**stall)
        link.run()
    assert not link.fetching.nbytes
    assert not link.whole


def test_a_piece_that_comes_twice_or_unasked_changes_nothing(link):
    frame = link.offer()
    link.step()
    key = link.sent[0].id
    link.fetching.piece(Piece(id=key, start=7, size=3), b"bad")
    link.fetching.piece(Piece(id=key, start=0, size=3), b"bad")
    link.fetching.piece(Piece(id="another", start=0, size=3), b"bad")
    link.keeping.fetched(Fetch(id=key, start=0), "_INBOX.b.x")
    link.run()
    assert [data for _, data, _ in link.whole] == [encode(frame, MAX_WHOLE_BYTES)]


def test_what_is_cancelled_is_dropped_at_both_ends(link):
    link.offer("1")
    link.step()
    link.keeping.cancelled(Cancel(ids=("2", "1")).ids)
    assert not link.keeping.nbytes
    link.run()
    assert not link.fetching.nbytes
    assert not link.whole


def test_it_is_kept_until_the_deadline_and_not_longer(link):
    link.lose = lambda message: isinstance(message, Parcel)
    link.offer(deadline_ms=3000.0)
    link.run()
    link.timers.move(2.9)
    assert link.keeping.nbytes
    link.timers.move(0.2)
    assert not link.keeping.nbytes


def test_what_nobody_fetches_is_not_kept_for_a_distant_deadline(link):
    link.lose = lambda message: isinstance(message, Parcel)
    link.offer(deadline_ms=1e9)
    link.run()
    link.timers.move(IDLE_S + 0.1)
    assert not link.keeping.nbytes


def test_nobody_there_to_take_it_or_to_send_it(link):
    link.offer()
    link.keeping.lost("_INBOX.a.1")
    assert not link.keeping.nbytes
    link.step()
    link.fetching.lost(f"_INBOX.b.{link.sent[0].id}")
    assert not link.fetching.nbytes


def test_an_answer_is_fetched_from_a_subject_of_the_sender(link):
    tensor = Tensor(name="y", datatype="UINT8", shape=(1, ROWS))
    frame = Frame(Replies(items=(an_answer(outputs=(tensor,)),)), (bytes(ROWS),))
    link.keeping.offer("_INBOX.b.1", frame, "", MOST)
    assert link.keeping.owed == 1
    assert not link.sent[0].answered
    link.run()
    assert link.whole[0][0].reply == "_INBOX.a.offers"
    assert not link.keeping.owed


def test_more_than_may_be_kept_is_refused_until_there_is_room(link):
    rows = MAX_KEPT_BYTES // 5
    for number in range(4):
        link.offer(str(number), rows)
    with pytest.raises(BusyError):
        link.offer("5", rows)
    link.keeping.cancelled(["0"])
    link.offer("5", rows)


def test_more_than_may_be_coming_waits_for_room(link):
    fits = MAX_COMING_BYTES // MAX_WHOLE_BYTES
    for number in range(fits + 1):
        parcel = Parcel(id=f"p-{number}", size=MAX_WHOLE_BYTES, piece=PIECE_BYTES)
        link.taken(Delivery("tm.v1.ask.s.n", Frame(parcel), "_INBOX.a.1"))
    assert link.fetching.nbytes == fits * MAX_WHOLE_BYTES
    assert "1 waiting" in repr(link.fetching)
    link.fetching.piece(Piece(id="p-0", start=0, size=0), b"")
    assert link.fetching.nbytes == fits * MAX_WHOLE_BYTES
    assert "0 waiting" in repr(link.fetching)


def test_a_cut_connection_is_tried_again(link):
    link.offer(deadline_ms=60_000.0)
    link.step()
    link.cut = True
    link.run()
    link.timers.move(STALL_S)
    link.cut = False
    for _ in range(3):
        link.timers.move(2 * STALL_S)
        link.run()
    assert len(link.whole) == 1


def test_what_no_message_carries_and_no_gate_takes_is_refused(link):
    with pytest.raises(TooLargeError):
        link.offer(rows=MAX_WHOLE_BYTES)
    assert not link.sent


@pytest.mark.parametrize(
    ("size", "piece", "reply"),
    [
        (MAX_WHOLE_BYTES + 1, PIECE_BYTES, "r"),
        (2**62, PIECE_BYTES, "r"),
        (0, PIECE_BYTES, "r"),
        (PIECE_BYTES, 1, "r"),
        (PIECE_BYTES, LEAST_PIECE_BYTES - 1, "r"),
        (PIECE_BYTES, 2**31 - 1, "r"),
        (PIECE_BYTES, PIECE_BYTES, ""),
    ],
)
def test_an_offer_that_is_unsound_takes_no_memory_and_asks_for_nothing(link, size, piece, reply):
    parcel = Parcel(id="p", size=size, piece=piece)
    link.taken(Delivery("tm.v1.ask.s.n", Frame(parcel), reply))
    assert not link.fetching.nbytes
    assert not link.sent


def test_whoever_stops_listening_gets_nothing_more(link):
    link.offer()
    link.step()
    link.fetching.forget(link.arrived)
    link.run()
    assert not link.whole
    assert not link.fetching.nbytes
