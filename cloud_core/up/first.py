"""The first query: a held-out image, from a bundle's golden inputs; and as a `curl` line."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cloud_core.issuer import write_secret
from cloud_core.up.layout import Layout
from edge_agent.bundles.store import Store
from edge_agent.runtimes.base import Tensors
from protocol.bundles import Task
from protocol.errors import UnknownError

LATENCY_MS = 1000.0
"""Relaxed, so that the cheapest node may load what it needs first."""


@dataclass(frozen=True, slots=True)
class First:
    """A query to begin with."""

    task: str
    inputs: Tensors
    """One row each."""
    body: Path
    """The same as a request of the Open Inference Protocol."""


def made(bundles: Path, layout: Layout) -> First:
    """Return a query with a golden input, its body written under --dir."""
    store = Store.open([bundles])
    for name, held in store.held.items():
        inputs, _ = store.golden(name)
        if inputs:
            rows = {axes.name: inputs[axes.name][:1] for axes in held.task.inputs}
            return written(held.task, rows, layout.first_query)
    raise UnknownError("no bundle has golden inputs", "give --bundles DIR with built bundles")


def written(task: Task, rows: Tensors, path: Path) -> First:
    """Return the query, its body written to `path`."""
    tensors = [
        {
            "name": axes.name,
            "datatype": axes.datatype,
            "shape": list(rows[axes.name].shape),
            "data": [_short(value) for value in np.ravel(rows[axes.name]).tolist()],
        }
        for axes in task.inputs
    ]
    body = {"inputs": tensors, "parameters": {"latency_ms": LATENCY_MS}}
    write_secret(path, json.dumps(body) + "\n")
    return First(task.name, rows, path)


def curl(url: str, task: str, body: Path, token: Path | None) -> str:
    """Pure. Return a command line that asks the query, for copying."""
    words = ["curl", "-s", f"{url}/v2/models/{task}/infer", "-d", f"@{body}"]
    words += ["-H", "Content-Type: application/json"]
    line = " ".join(shlex.quote(word) for word in words)
    if token is None:
        return line
    return f'{line} -H "Authorization: Bearer $(cat {shlex.quote(str(token))})"'


def _short(value: float) -> float:
    """Whole numbers without their fraction: easier to read, the same to JSON."""
    return int(value) if value == int(value) else value
