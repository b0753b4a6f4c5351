"""Free ports, and one that is asked for by number."""

import socket

import pytest

from cloud_core.up import ports
from protocol.errors import ConflictError


def test_free_ones_are_different_and_free():
    found = ports.free(8, seed=1)
    assert len(set(found)) == 8
    assert all(ports.is_free(port) for port in found)


def test_a_taken_one_is_refused_and_not_chosen():
    first = ports.free(1, seed=1)[0]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert not ports.is_free(first)
        with pytest.raises(ConflictError, match=f"port {first} is taken"):
            ports.claimed(first)
        assert ports.free(1, seed=1) != [first]
