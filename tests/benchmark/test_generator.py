"""The load generator: counts right answers, and fails on a wrong one."""

import shutil

import numpy as np
import pytest

from tests.benchmark.generator import load, responder, workshop
from tests.benchmark.machine import GENERATOR, SERVER
from tests.benchmark.workload import records

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


def an_answer(best, *, status=b"200 OK"):
    scores = np.zeros(10, np.float32)
    scores[best] = 1
    return b"HTTP/1.1 " + status + b"\r\nX: y\r\ncontent-length: 42\r\n\r\nab" + scores.tobytes()


def loaded(answer, expected):
    with workshop() as (folder, program):
        (folder / "answer").write_bytes(answer)
        request = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
        (folder / "requests").write_bytes(records([request], np.array([expected])))
        with responder(program, folder / "answer", SERVER) as port:
            return load(
                program, port, folder / "requests", clients=3, seconds=0.05, cores=GENERATOR
            )


def test_right_answers_are_counted():
    found = loaded(an_answer(7), 7)
    assert found["answered"] > 0
    assert found["wrong"] == 0
    assert found["served"] >= found["answered"]


@pytest.mark.parametrize("answer", [an_answer(3), an_answer(7, status=b"503 No")])
def test_one_wrong_answer_fails_the_run(answer):
    with pytest.raises(SystemExit, match="a wrong answer"):
        loaded(answer, 7)
