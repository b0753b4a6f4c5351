"""What this node holds of bundles: manifests and verified bytes. Whom to trust is not here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

import numpy as np

from edge_agent.bundles import pt2
from edge_agent.bundles.depot import Depot
from edge_agent.bundles.opened import Bundle
from edge_agent.runtimes.base import DTYPES, Tensors
from protocol.bundles import MANIFEST, Format, Manifest, RuntimePin, Task, Variant, digest_key
from protocol.codec import Bytes, Frame, decode
from protocol.errors import ConflictError, DecodeError, UnknownError, UntrustedError
from protocol.messages import Answer, Asks, Replies
from protocol.types import Tensor


@dataclass(frozen=True, slots=True)
class Held:
    """A variant that this node has the bytes of."""

    variant: Variant
    task: Task
    folder: Path
    """Its bundle's folder; unused for a variant that was added from memory."""
    golden: str = ""
    """File name of the golden inputs; empty: there are none."""
    golden_outputs: str = ""
    bundle: Bundle | None = None
    """The signed bundle that it came in; None: nobody vouches for it."""
    blob: Path | None = None
    """Its bytes, where they are not the folder's."""
    data: bytes | None = field(default=None, repr=False)
    """Its bytes, where they are in no file."""

    @property
    def path(self) -> Path:
        """The file with its bytes."""
        return self.blob or self.folder / self.variant.file

    def read(self) -> bytes:
        """Return the variant's verified bytes: these, never the file again, are what gets loaded.

        Raises `UntrustedError` when the bytes are not the manifest's, or may not be loaded.
        """
        variant = self.variant
        data = _file(self.path) if self.data is None else self.data
        # 1. They are as many as the manifest says, and hash to what it says.
        if len(data) != variant.size_bytes:
            raise UntrustedError(
                f"{variant.id} has {len(data)} bytes, its manifest says {variant.size_bytes}"
            )
        if digest_key(sha256(data).hexdigest()) != variant.digest:
            raise UntrustedError(f"{variant.id} is not what its manifest's digest says")
        # 2. Code was looked through.
        if self.bundle is not None and variant.format == "pt2":
            pt2.screen(data)
        return data

    def goldens(self) -> tuple[Tensors, Tensors]:
        """Golden inputs and outputs under the task's names; both empty when it came without."""
        if self.bundle is not None:
            return goldens(self.bundle.golden, self.bundle.golden_outputs, self.variant.id)
        if not self.golden:
            return {}, {}
        asked, replied = self.folder / self.golden, self.folder / self.golden_outputs
        return goldens(_file(asked), _file(replied), self.variant.id)


class Store:
    """Every variant below some folders, and those added from memory."""

    def __init__(self) -> None:
        self._held: dict[str, Held] = {}
        self._tasks: dict[str, Task] = {}

    def __repr__(self) -> str:
        return f"<Store {len(self._tasks)} tasks | {len(self._held)} variants>"

    @classmethod
    def open(cls, roots: Sequence[Path]) -> "Store":
        """Hold every bundle found below the roots (each folder with a manifest is one), unsigned.

        For looking at them and building: what a node of a mesh serves comes from `take`.

        Raises `UnknownError` for a root that is not a folder, `DecodeError` for a bad manifest and
        `ConflictError` for two variants of one id that differ.
        """
        store = cls()
        for root in roots:
            if not root.is_dir():
                raise UnknownError(f"no folder {root}", "give folders that hold bundles")
            for path in sorted(root.rglob(MANIFEST)):
                store._bundle(path)
        return store

    @property
    def held(self) -> Mapping[str, Held]:
        """Variant id -> what is held."""
        return MappingProxyType(self._held)

    @property
    def tasks(self) -> Mapping[str, Task]:
        """Task name -> task."""
        return MappingProxyType(self._tasks)

    def add(self, held: Held, data: bytes | None = None) -> None:
        """Hold one more variant; with `data`, from memory. Raises `ConflictError` on a clash."""
        present = self._held.get(held.variant.id)
        if present is not None and present.variant != held.variant:
            raise ConflictError(
                f"two different variants are called {held.variant.id}", "rename one of them"
            )
        task = self._tasks.setdefault(held.task.name, held.task)
        if (task.inputs, task.outputs) != (held.task.inputs, held.task.outputs):
            raise ConflictError(
                f"{held.variant.id} means another {task.name} than the other variants do",
                "a task has one signature: rename the task of one of them",
            )
        self._held.setdefault(held.variant.id, replace(held, data=data))

    def read(self, variant_id: str) -> bytes:
        """As `Held.read`; raises `UnknownError` as well, when it is not held."""
        return self._of(variant_id).read()

    def golden(self, variant_id: str) -> tuple[Tensors, Tensors]:
        """As `Held.goldens`."""
        return self._of(variant_id).goldens()

    def take(self, bundle: Bundle, depot: Depot) -> None:
        """Hold a signed bundle's variants, as far as their bytes are here."""
        for variant in bundle.manifest.variants:
            if depot.has(variant.digest):
                blob = depot.path(variant.digest)
                self.add(Held(variant, bundle.manifest.task, blob.parent, bundle=bundle, blob=blob))

    def unable(
        self, available: Mapping[Format, RuntimePin], hardware: str | None = None
    ) -> dict[str, str]:
        """Variant id -> why it cannot run here; those that can are not in it."""
        reasons = {
            name: unfit(held.variant, available, hardware) for name, held in self._held.items()
        }
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def _of(self, variant_id: str) -> Held:
        try:
            return self._held[variant_id]
        except KeyError:
            raise UnknownError(f"no variant {variant_id[:128]} here") from None

    def _bundle(self, path: Path) -> None:
        try:
            manifest = Manifest.parse(_file(path))
        except DecodeError as error:
            raise DecodeError(f"{path}: {error.error}", error.hint) from error
        for variant in manifest.variants:
            self.add(
                Held(
                    variant,
                    manifest.task,
                    path.parent,
                    golden=manifest.golden,
                    golden_outputs=manifest.golden_outputs,
                )
            )


def goldens(inputs: bytes, outputs: bytes, variant_id: str) -> tuple[Tensors, Tensors]:
    """Return what two golden frames say of a variant. Raises `UntrustedError`."""
    asked, replied = _frame(inputs), _frame(outputs)
    match asked.message, replied.message:
        case Asks(items=(ask,)), Replies(items=replies):
            given = arrays(ask.inputs, asked.buffers)
        case _:
            raise UntrustedError(f"{variant_id}: its golden files are not asks and replies")
    start = 0
    for reply in replies:
        if not isinstance(reply, Answer):
            continue
        if reply.variant == variant_id:
            return given, arrays(reply.outputs, replied.buffers[start:])
        start += len(reply.outputs)
    raise UntrustedError(f"no golden outputs for {variant_id} in its bundle")


def arrays(tensors: Sequence[Tensor], buffers: Sequence[Bytes]) -> Tensors:
    """The tensors of a frame as arrays over its bytes, by name."""
    return {
        tensor.name: np.frombuffer(buffer, DTYPES[tensor.datatype]).reshape(tensor.shape)
        for tensor, buffer in zip(tensors, buffers, strict=False)
    }


def unfit(
    variant: Variant, available: Mapping[Format, RuntimePin], hardware: str | None
) -> str | None:
    """Pure. Why a variant cannot run with these runtimes on this hardware; None: it can."""
    pin = available.get(variant.format)
    if pin is None:
        return f"runtime missing for {variant.format}"
    if pin not in variant.runtimes:
        return f"unlisted runtime {pin.name} {pin.version}"
    made_for = variant.hardware
    if made_for and hardware and not any(fnmatchcase(hardware, glob) for glob in made_for):
        return f"not made for {hardware}"
    return None


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UntrustedError(f"{path.name} of a bundle cannot be read: {error.strerror}") from error


def _frame(data: bytes) -> Frame:
    try:
        return decode(data)
    except DecodeError as error:
        raise UntrustedError(f"a golden file is no frame: {error.error}") from error
