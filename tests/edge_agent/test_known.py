"""What was worked out from an object is found by that very object, and by no other."""

from edge_agent.known import MOST, Known


def pair(number):
    return number, number


def test_it_is_found_by_the_object_and_not_by_one_like_it():
    known, first = Known(), pair(1)
    known.put(first, "worked out")
    assert known.get(first) == "worked out"
    assert known.get(pair(1)) is None


def test_it_never_holds_more_than_so_many():
    known, keys = Known(), [pair(number) for number in range(3 * MOST)]
    for key in keys:
        known.put(key, key)
    assert known.get(keys[-1]) is keys[-1]
    assert sum(known.get(key) is not None for key in keys) <= MOST
