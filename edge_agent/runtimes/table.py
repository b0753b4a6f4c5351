"""Replays measured latencies: a variant that is a table of run times, for tests and trials.

The file is JSON: ``{"runs": {"1": [p50, p90, p95, p99, p99.9 in ms], ...}, "load_ms": 0,
"memory_bytes": 0, "outputs": {"scores": [10]}, "seed": 0}``. `outputs` gives each output's shape,
by the file's name, without the batch; what comes out is zeros. The same seed draws the same times.
It is no simulator: it really waits.
"""

import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edge_agent.runtimes.base import DTYPES, Array, Runtime
from edge_agent.runtimes.fitting import Fitted
from protocol.bundles import Task, Variant
from protocol.errors import ExecutionError
from protocol.types import Latency, NonNegative, Profile

Sleep = Callable[[float], None]

Quantiles = tuple[NonNegative, NonNegative, NonNegative, NonNegative, NonNegative]


class Table(BaseModel):
    """What a table file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: Annotated[dict[int, Quantiles], Field(min_length=1)]
    """Milliseconds at each percentile of `protocol.types.QUANTILES`, by batch size."""
    load_ms: NonNegative = 0.0
    memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Said in profiles; not really taken."""
    outputs: dict[str, tuple[Annotated[int, Field(ge=0)], ...]]
    seed: int = 0

    def profile(self) -> Profile:
        """The same figures as a profile."""
        runs = {size: Latency(ms=ms) for size, ms in self.runs.items()}
        return Profile(load_ms=self.load_ms, memory_bytes=self.memory_bytes, runs=runs)


class TableKernel:
    """Waits as long as a draw says, then answers with zeros."""

    def __init__(self, variant: Variant, table: Table, sleep: Sleep) -> None:
        self._profile = table.profile()
        self._random = Random(table.seed)  # noqa: S311  repeatable on purpose
        self._sleep = sleep
        self._outputs = [
            (table.outputs[binding.name], DTYPES[binding.datatype])
            for binding in variant.outputs.values()
        ]

    def run(self, arrays: list[Array]) -> Sequence[Array]:
        rows = arrays[0].shape[0]
        self._sleep(self._profile.run(rows).at(self._random.uniform(0.0, 100.0)) / 1000)
        return [np.zeros((rows, *shape), dtype) for shape, dtype in self._outputs]

    def close(self) -> None:
        """Nothing is held."""


def load(
    variant: Variant,
    data: bytes,
    threads: int,  # noqa: ARG001  every adapter takes them
    task: Task | None = None,
    *,
    sleep: Sleep = time.sleep,
) -> Runtime:
    """Load a table, which takes as long as it says."""
    try:
        table = Table.model_validate_json(data)
        kernel = TableKernel(variant, table, sleep)
    except ValidationError as error:
        raise ExecutionError(
            f"{variant.id} is no table", f"{error.error_count()} fields are wrong"
        ) from error
    except KeyError as error:
        raise ExecutionError(f"{variant.id}: its table has no output {error}") from error
    sleep(table.load_ms / 1000)
    return Fitted(variant, kernel, task=task)
