"""What a task, a variant and a bundle are: the manifest. Verifying lives in edge_agent."""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from protocol.errors import DecodeError
from protocol.types import (
    Axes,
    Count,
    Datatype,
    Latency,
    Name,
    NonNegative,
    Profile,
    Rows,
    TensorName,
    VariantId,
    Wire,
    fault,
)

Digest = Annotated[str, StringConstraints(pattern=r"^sha256-[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$")]
"""A plain file beside the manifest: no folder, no leading dot."""

Format = Literal["onnx", "tflite", "pt2", "table"]

MANIFEST = "manifest.json"


class Task(Wire):
    """What callers ask for: its tensor signature, and how well it is done is measured."""

    name: Name
    inputs: Annotated[tuple[Axes, ...], Field(min_length=1)]
    """The first dimension of every tensor is the batch."""
    outputs: Annotated[tuple[Axes, ...], Field(min_length=1)]
    metric: str = "accuracy"
    description: str = ""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for side in (self.inputs, self.outputs):
            if len({axes.name for axes in side}) != len(side):
                raise ValueError("two tensors of one name")
        return self


class Binding(Wire):
    """How a task's tensor is called, and typed, inside a variant's file."""

    name: TensorName
    datatype: Datatype


class RuntimePin(Wire):
    """A runtime, with its version, on which the golden outputs passed."""

    name: Literal["onnxruntime", "ai_edge_litert", "tflite_runtime", "torch", "table"]
    version: str


class Variant(Wire):
    """One runnable form of an architecture."""

    id: VariantId
    architecture: VariantId
    format: Format
    precision: str
    file: FileName
    digest: Digest
    size_bytes: Count
    accuracy: Annotated[float, Field(ge=0, le=1)]
    """The task's metric on its validation set, by the runtime that will run it."""
    batches: tuple[Rows, ...] = ()
    """The only batch sizes the file takes, ascending; empty: any up to `max_batch`."""
    max_batch: Rows = 32
    inputs: dict[TensorName, Binding]
    """Task tensor name -> the file's own."""
    outputs: dict[TensorName, Binding]
    runtimes: Annotated[tuple[RuntimePin, ...], Field(min_length=1)]
    tolerance: NonNegative = 1e-3
    """Largest absolute difference from the golden outputs."""
    profile: Profile
    """Reference figures from the builder's machine, used until a node has measured its own."""
    hardware: tuple[str, ...] = ()
    """Globs of the hardware classes that it was made for; none: any."""

    @model_validator(mode="after")
    def _batches_ascend(self) -> Self:
        if any(b <= a for a, b in pairwise(self.batches)):
            raise ValueError("batches must ascend")
        return self


class Manifest(Wire):
    """What is in a bundle."""

    format: Literal[1] = 1
    bundle: Name
    version: Rows
    task: Task
    variants: Annotated[tuple[Variant, ...], Field(min_length=1)]
    golden: FileName
    """A frame (`codec`) of `Asks` with one ask: golden inputs, under the task's names."""
    golden_outputs: FileName
    """A frame of `Replies`: one answer per variant, its golden outputs under the task's names."""
    publisher: Name | None = None
    """Who published it: written in when it is signed, so that nobody else's name fits it."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        ids = [variant.id for variant in self.variants]
        if len(set(ids)) != len(ids):
            raise ValueError("two variants of one id")
        inputs = {axes.name for axes in self.task.inputs}
        outputs = {axes.name for axes in self.task.outputs}
        for variant in self.variants:
            if set(variant.inputs) != inputs or set(variant.outputs) != outputs:
                raise ValueError(f"{variant.id} does not map exactly the task's tensors")
        return self

    @classmethod
    def parse(cls, data: bytes) -> "Manifest":
        """Return the manifest; raise `DecodeError` when it is not one."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise DecodeError(f"bad manifest: {fault(error)}") from error


def digest_key(hexdigest: str) -> str:
    """Return how a SHA-256 is written everywhere: ``sha256-<hex>``."""
    return f"sha256-{hexdigest}"


def estimate(ms: float) -> Latency:
    """Return a distribution for one guessed figure: no spread, no samples."""
    return Latency(ms=(ms, ms, ms, ms, ms))
