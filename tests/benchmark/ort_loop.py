"""ONNX Runtime called in a loop, one image at a time: what everything else is measured against.

``python -m tests.benchmark.ort_loop MODEL SECONDS`` prints one JSON line.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from tests.benchmark.workload import session, workload


def main() -> None:
    given = workload(Path(sys.argv[1]))
    running, seconds = session(given.model), float(sys.argv[2])
    bodies = [image.tobytes() for image in given.images]
    took: list[float] = []
    begin, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < begin + seconds:
        for body, label in zip(bodies, given.labels, strict=True):
            start = time.perf_counter()
            image = np.frombuffer(body, np.float32).reshape(1, 8, 8)
            (scores,) = running.run(None, {given.input_name: image})
            scores.tobytes()
            took.append(time.perf_counter() - start)
            if scores.argmax() != label:
                raise SystemExit("a wrong class")
    elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
    p50, p99 = np.quantile(took, [0.5, 0.99]) * 1000
    line = {"rate": len(took) / sum(took), "p50_ms": p50, "p99_ms": p99}
    line["per_cpu_s"] = line["rate"] * elapsed / cpu
    json.dump(line, sys.stdout)


if __name__ == "__main__":
    main()
