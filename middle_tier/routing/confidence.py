"""Pure. How sure an answer is of itself: the top probability of a classifier, the least of a batch.

Known for one floating output of shape (rows, classes): scores are taken for logits, unless each row
adds up to one. Of everything else (embeddings, boxes, text) it is not known, and is not guessed.
"""

import numpy as np

from protocol.codec import Bytes
from protocol.messages import Answer

TYPES = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}
MAX_CLASSES = 100_000
WHOLE = 1e-3
"""Probabilities add up to one within this."""


def confidence(answer: Answer, buffers: tuple[Bytes, ...]) -> float | None:
    """Return it, within [0, 1]; None when it is not known."""
    if len(answer.outputs) != 1:
        return None
    (tensor,) = answer.outputs
    kind, shape = TYPES.get(tensor.datatype), tensor.shape
    if kind is None or len(shape) != 2 or not 2 <= shape[1] <= MAX_CLASSES or not shape[0]:  # noqa: PLR2004
        return None
    scores = np.frombuffer(buffers[0], kind).reshape(shape).astype(np.float64)
    if not np.isfinite(scores).all():
        return None
    if scores.min() < 0 or np.abs(scores.sum(axis=1) - 1).max() > WHOLE:
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    return float(scores.max(axis=1).min())
