"""Makers of small scenarios: files in a folder, with figures that can be followed by hand."""

import csv
import json
from pathlib import Path

import yaml

from cloud_core.simulator.scenario import Scenario, load

PROFILES = (
    {"submitter": "a", "system": "pi-one", "model": "small", "top1_pct": "70", "p50_ms": "20"},
    {"submitter": "a", "system": "pi-one", "model": "large", "top1_pct": "78", "p50_ms": "80"},
    {"submitter": "a", "system": "gpu", "model": "large", "top1_pct": "78", "p50_ms": "2"},
)
COLUMNS = (
    "submitter", "system", "model", "top1_pct", "f1", "mAP", "p50_ms", "p90_ms", "p99_ms",
    "mean_ms", "offline_sps",
)  # fmt: skip

EDGE = {
    "name": "pi", "system": "pi-*", "tier": "edge", "site": "site-{i}", "sites": 2, "per_site": 2,
    "memory_mb": 1000, "price": {"watts": 10, "usd_per_kwh": 0.1},
}  # fmt: skip
CLOUD = {
    "name": "gpu", "system": "gpu", "tier": "cloud", "site": "cloud", "nodes": 1,
    "memory_mb": 1000, "price": {"usd_per_hour": 3.6},
}  # fmt: skip
BASE = {
    "seed": 1,
    "duration_s": 20,
    "profiles": ["profiles.csv"],
    "tasks": {"imagenet": {"input_kb": 100, "output_kb": 1, "memory_mb": 40, "load_ms": 500}},
    "fleets": [EDGE, CLOUD],
    "links": {
        "edge-middle": {"rtt_ms": 2, "mbps": 800},
        "middle-cloud": {"rtt_ms": 40, "mbps": 80, "usd_per_gb": 1.0},
    },
    "traces": [{"file": "trace.csv", "task": "imagenet", "enters": "edge"}],
    "wants": [{"latency_ms": 200, "percentile": 99, "min_accuracy": 65}],
}


def write(
    folder: Path,
    *,
    rows: tuple[dict[str, str], ...] = PROFILES,
    counts: tuple[int, ...] = (5,) * 20,
    **changes: object,
) -> Path:
    """Write a scenario and its files; return where it is."""
    with (folder / "profiles.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)
    (folder / "trace.csv").write_text("".join(f"{at},0,1,{n}\n" for at, n in enumerate(counts)))
    path = folder / "scene.yaml"
    path.write_text(yaml.safe_dump({**BASE, **changes}, sort_keys=False))
    return path


def scene(folder: Path, **changes: object) -> Scenario:
    return load(write(folder, **changes))


def bandwidth(folder: Path, *steps: tuple[float, float]) -> str:
    limits = [{"time": at, "mbps": mbps} for at, mbps in steps]
    (folder / "mbps.json").write_text(json.dumps({"bandwidth_limits": limits}))
    return "mbps.json"
