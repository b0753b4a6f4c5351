"""A model file on its way from one step of the builder to the next. Needs no exporter."""

from dataclasses import dataclass
from pathlib import Path

from protocol.bundles import Binding, Format


@dataclass(frozen=True)
class Exported:
    """A model file, and what the task's tensors are called in it."""

    path: Path
    format: Format
    inputs: dict[str, Binding]
    outputs: dict[str, Binding]
    batches: tuple[int, ...] = ()


def signature(batch: int) -> str:
    """What the signature for this batch size is called in a LiteRT file."""
    return f"batch_{batch}"
