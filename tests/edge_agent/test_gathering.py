"""Replies of one turn go back in few frames, and never in one that is too large."""

from edge_agent.bus.memory import MemoryBus, MemoryNetwork
from edge_agent.clock import settle
from edge_agent.queue.gathering import GATHER_ITEMS, Gathering
from protocol.codec import GATHER_BYTES
from protocol.errors import TooLargeError, UnreachableError
from tests.build import an_answer


class Meter(MemoryBus):
    """Counts frames; takes none above `most` bytes, or none at all."""

    def __init__(self, most=1 << 30):
        super().__init__(MemoryNetwork())
        self.most = most
        self.frames = []

    def publish(self, subject, frame, _reply=""):
        if not self.most:
            raise UnreachableError("cut off")
        if sum(map(len, frame.buffers)) > self.most:
            raise TooLargeError("too large")
        self.frames.append((subject, frame))


def gathered(bus, *sizes):
    gathering = Gathering(bus)
    for number, size in enumerate(sizes):
        gathering.add("inbox.1", an_answer(str(number)), (bytes(size),))
    gathering.flush()
    return [[item.id for item in frame.message.items] for _, frame in bus.frames]


async def test_frames_stop_growing_and_none_is_lost():
    half = GATHER_BYTES // 2
    assert gathered(Meter(), 1, 1, 1) == [["0", "1", "2"]]
    assert gathered(Meter(), half, half, 1) == [["0", "1"], ["2"]]
    assert gathered(Meter(), 2 * GATHER_BYTES, 1) == [["0"], ["1"]]
    assert gathered(Meter()) == []
    await settle()


def test_an_answer_that_no_frame_can_carry_becomes_a_refusal():
    bus = Meter(most=10)
    gathered(bus, 5, 11)
    assert len(bus.frames) == 2
    kinds = {item.id: item.kind for _, frame in bus.frames for item in frame.message.items}
    assert kinds["1"] == "refusal"


def test_a_cut_connection_loses_replies_and_nothing_else():
    assert gathered(Meter(most=0), 1, 1) == []


async def test_replies_without_tensors_go_in_frames_whose_header_can_be_sent():
    frames = gathered(Meter(), *[0] * (2 * GATHER_ITEMS + 1))
    assert [len(frame) for frame in frames] == [GATHER_ITEMS, GATHER_ITEMS, 1]
