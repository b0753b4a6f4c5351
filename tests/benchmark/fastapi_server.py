"""The service that people write by hand: FastAPI, uvicorn, ONNX Runtime, raw bytes.

Written to be fast: uvloop and httptools, no validation, no JSON, no thread hop (the model runs for
microseconds), no copy of the body but the one that Starlette makes.
"""

import os

import numpy as np
import onnxruntime as ort
from fastapi import FastAPI, Request, Response

options = ort.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
name = session.get_inputs()[0].name
app = FastAPI()


@app.get("/ready")
async def ready() -> Response:
    return Response()


@app.post("/infer")
async def infer(request: Request) -> Response:
    image = np.frombuffer(await request.body(), np.float32).reshape(-1, 8, 8)
    (scores,) = session.run(None, {name: image})
    return Response(scores.tobytes(), media_type="application/octet-stream")
