"""A YAML file as plain data, and the line on which each of its fields stands."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from protocol.errors import BadRequestError

ModelT = TypeVar("ModelT", bound=BaseModel)
Place = tuple[str | int, ...]

SHOWN = 5
"""Faults that are listed; the rest is counted."""


def read(path: Path, model: type[ModelT]) -> ModelT:
    """Return what the file says as `model`.

    Raises `BadRequestError`, which names file, line, field and how to mend it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise BadRequestError(f"{path}: cannot be read: {why}", "give a YAML file") from error
    data, lines = parsed(text, str(path))
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _faults(path, model, error, lines) from error


def parsed(text: str, name: str) -> tuple[Any, dict[Place, int]]:
    """Return the data of a YAML text, and the line of each place in it."""
    lines: dict[Place, int] = {}
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            raise BadRequestError(f"{name}:1: the file is empty", "see `tiermesh simulate --help`")
        _note(root, (), lines, name)
        return loader.construct_document(root), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or "it is not YAML"
        raise BadRequestError(f"{name}:{line}: {problem}", "mend the YAML there") from error
    finally:
        loader.dispose()


def _note(node: yaml.Node, place: Place, lines: dict[Place, int], name: str) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, str(key.value))
            if below in lines:
                raise BadRequestError(
                    f"{name}:{key.start_mark.line + 1}: {key.value} stands twice (first on line "
                    f"{lines[below]})", "remove one of the two",
                )  # fmt: skip
            lines[below] = key.start_mark.line + 1
            _note(value, below, lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for at, value in enumerate(node.value):
            _note(value, (*place, at), lines, name)


def line_of(place: Place, lines: dict[Place, int]) -> int:
    """Return the line of a place, or of the nearest thing around it that is in the file."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _faults(
    path: Path, model: type[BaseModel], error: ValidationError, lines: dict[Place, int]
) -> BadRequestError:
    told, hint = [], ""
    for one in error.errors(include_url=False, include_input=False)[:SHOWN]:
        place, said = _placed(one["loc"], str(one["msg"]))
        words = ".".join(str(part) for part in place) or "the whole file"
        text, mend = _worded(one["type"], said, words, model)
        told.append(f"{path}:{line_of(place, lines)}: {words}: {text}")
        hint = hint or mend
    more = error.error_count() - len(told)
    if more > 0:
        told.append(f"and {more} more")
    return BadRequestError("\n".join(told), hint)


def _worded(kind: str, message: str, words: str, model: type[BaseModel]) -> tuple[str, str]:
    if kind == "extra_forbidden":
        known = f"known there: {', '.join(model.model_fields)}" if "." not in words else ""
        return "no such field", known or f"remove {words}, or mend its name"
    if kind == "missing":
        return "is missing", f"add {words}"
    return message, f"mend {words}"


def _placed(place: Place, message: str) -> tuple[Place, str]:
    """Return where a fault lies: a message that begins with "at a.0.b: " says it itself."""
    message = message.removeprefix("Value error, ")
    own, found, rest = message.removeprefix("at ").partition(": ")
    if not found or not message.startswith("at "):
        return place, message
    return tuple(int(part) if part.isdigit() else part for part in own.split(".")), rest
