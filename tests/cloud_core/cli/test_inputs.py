"""What --input may hold."""

import io
import json

import numpy as np
import pytest

from cloud_core.cli.inputs import parsed
from protocol.errors import BadRequestError
from protocol.types import Axes
from tests.build import a_task

TEXT = a_task(
    "sentences",
    inputs=tuple(
        Axes(name=name, datatype="INT64", shape=(-1, 128))
        for name in ("input_ids", "attention_mask")
    ),
)


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_an_npy_is_the_only_input():
    image = np.arange(64.0).reshape(1, 8, 8)
    assert np.array_equal(parsed(npy(image), a_task()), image)


def test_an_npz_is_inputs_by_name():
    file = io.BytesIO()
    np.savez(file, image=np.ones((1, 8, 8)))
    assert list(parsed(file.getvalue(), a_task())) == ["image"]


@pytest.mark.parametrize(
    "document",
    [
        [[[0.0] * 8] * 8],
        {"image": [[[0.0] * 8] * 8]},
        {"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 8, 8], "data": [0.0] * 64}]},
    ],
    ids=["bare", "by name", "a request"],
)
def test_json_in_each_of_its_forms(document):
    found = parsed(json.dumps(document).encode(), a_task())
    image = found["image"] if isinstance(found, dict) else found
    assert (image.shape, image.dtype) == ((1, 8, 8), np.float32)


def test_text_for_a_task_that_takes_tokens():
    assert parsed(b"a sentence", TEXT) == "a sentence"
    assert parsed(b'"a sentence"', TEXT) == "a sentence"
    assert parsed(b"[1]", TEXT, as_text=True) == "[1]"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\x93NUMPY broken", "npy"),
        (b"\xff\xfe", "neither"),
        (b"words", "neither"),
        (b"3", "neither"),
        (b'{"picture": [1]}', "no input 'picture'"),
        (b'{"image": [[1], [1, 2]]}', "image is not an array"),
    ],
)
def test_what_is_none_of_them_is_refused(data, named):
    with pytest.raises(BadRequestError, match=named):
        parsed(data, a_task())


def test_a_pickle_is_not_loaded():
    file = io.BytesIO()
    np.save(file, np.array([object()], dtype=object), allow_pickle=True)
    with pytest.raises(BadRequestError):
        parsed(file.getvalue(), a_task())
