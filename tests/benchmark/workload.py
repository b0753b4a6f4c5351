"""What is asked: real held-out digits as whole HTTP requests, each with its class."""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from sklearn.datasets import load_digits

TRAINED_ON = 1200
IMAGES = 64
FP32_BYTES = 4


@dataclass(frozen=True)
class Workload:
    """Images that the model gets right, and its scores for them."""

    model: Path
    input_name: str
    output_name: str
    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def session(model: Path) -> ort.InferenceSession:
    """ONNX Runtime as every contestant is told to use it: one thread, in the caller."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def workload(model: Path) -> Workload:
    """The first held-out digits of which `model` knows the class."""
    pictures, labels = load_digits(return_X_y=True)
    held_out = pictures[TRAINED_ON:].astype(np.float32).reshape(-1, 8, 8)
    running = session(model)
    input_name, output_name = running.get_inputs()[0].name, running.get_outputs()[0].name
    scores = np.concatenate([running.run(None, {input_name: image[None]})[0] for image in held_out])
    right = np.flatnonzero(scores.argmax(1) == labels[TRAINED_ON:])[:IMAGES]
    if len(right) < IMAGES:
        raise SystemExit(f"{model} knows too few of the held-out digits: is it the digits model?")
    return Workload(
        model, input_name, output_name, held_out[right], labels[TRAINED_ON:][right], scores[right]
    )


def raw_request(image: npt.NDArray[np.float32]) -> bytes:
    """The bytes of the image and nothing else, for the hand-written service."""
    body = image.tobytes()
    return (
        f"POST /infer HTTP/1.1\r\nHost: bench\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def oip_request(image: npt.NDArray[np.float32], *, task: str, inputs: str) -> bytes:
    """The Open Inference Protocol's binary form, as tritonclient writes it."""
    tensor = {
        "name": inputs,
        "shape": [1, *image.shape],
        "datatype": "FP32",
        "parameters": {"binary_data_size": image.nbytes},
    }
    header = json.dumps(
        {"inputs": [tensor], "parameters": {"binary_data_output": True}}, separators=(",", ":")
    ).encode()
    body = header + image.tobytes()
    return (
        f"POST /v2/models/{task}/infer HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Type: application/octet-stream\r\n"
        f"Inference-Header-Content-Length: {len(header)}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def records(requests: Sequence[bytes], labels: npt.NDArray[np.int64]) -> bytes:
    """The generator's file: length, expected class, request; for each."""
    pairs = zip(requests, labels, strict=True)
    return b"".join(struct.pack("=II", len(request), label) + request for request, label in pairs)
