"""What ``--input`` holds, as a task's tensors: .npy, .npz, .json or text; ``-`` is stdin."""

import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import typer

from edge_agent.runtimes.base import DTYPES, Array
from protocol.bundles import Task
from protocol.errors import BadRequestError

Inputs = Array | Mapping[str, Array] | str
"""One array for the task's only input, arrays by name, or text that is still to be tokenized."""

STDIN = Path("-")
_NUMPY = (b"\x93NUMPY", b"PK\x03\x04")


def there(path: Path) -> Path:
    """Return the path if it can be read; else it is misuse. (typer knows no dash among paths.)"""
    if path != STDIN:
        if not path.exists():
            raise typer.BadParameter(f"file '{path}' does not exist.")
        if path.is_dir():
            raise typer.BadParameter(f"file '{path}' is a directory.")
        if not os.access(path, os.R_OK):
            raise typer.BadParameter(f"file '{path}' is not readable.")
    return path


def read(path: Path, task: Task) -> Inputs:
    """Return the inputs in a file, by its contents; raise `BadRequestError` when they are none."""
    data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    return parsed(data, task, as_text=path.suffix == ".txt")


def parsed(data: bytes, task: Task, *, as_text: bool = False) -> Inputs:
    """Pure. Return the inputs that these bytes are."""
    if data.startswith(_NUMPY):
        return _numpy(data)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _unknown() from error
    if not as_text:
        try:
            return _document(json.loads(text), task)
        except json.JSONDecodeError as error:
            if not takes_text(task):
                raise _unknown() from error
    return text


def takes_text(task: Task) -> bool:
    return {axes.name for axes in task.inputs} == {"input_ids", "attention_mask"}


def _numpy(data: bytes) -> Inputs:
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded
    except (ValueError, OSError, BadZipFile) as error:
        raise BadRequestError("the input is not a whole .npy or .npz", "save it again") from error


def _document(value: Any, task: Task) -> Inputs:  # noqa: ANN401  # JSON
    """A bare array, an object of arrays by name, or a request of the Open Inference Protocol."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return _array(value, task.inputs[0].name, task)
    if not isinstance(value, dict):
        raise _unknown()
    if isinstance(value.get("inputs"), list):
        return {
            str(one.get("name")): _array(one.get("data"), str(one.get("name")), task).reshape(
                one.get("shape", (-1,))
            )
            for one in value["inputs"]
        }
    return {name: _array(one, name, task) for name, one in value.items()}


def _array(value: Any, name: str, task: Task) -> Array:  # noqa: ANN401  # JSON
    known = {axes.name: axes.datatype for axes in task.inputs}
    if name not in known:
        raise BadRequestError(
            f"{task.name} has no input {name[:60]!r}", f"its inputs are {', '.join(known)}"
        )
    try:
        return np.asarray(value, DTYPES[known[name]])
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequestError(f"{name} is not an array of {known[name]}", str(error)) from error


def _unknown() -> BadRequestError:
    return BadRequestError(
        "the input is neither .npy, .npz nor JSON", "give an array, or {input name: array}"
    )
