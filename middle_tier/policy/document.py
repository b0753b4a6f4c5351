"""Pure. A policy's YAML, read into a `Policy`; every fault with its line and how to mend it."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from yaml.events import AliasEvent
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from middle_tier.scheduler.types import Policy
from protocol.errors import BadRequestError

MAX_BYTES = 128 << 10
MAX_FAULTS = 20

Place = tuple[str | int, ...]


class _Marked(Protocol):
    line: int
    """From 0."""


class Fault(NamedTuple):
    """One thing that is wrong."""

    line: int
    field: str
    said: str
    hint: str

    def __str__(self) -> str:
        where = f"line {self.line}: {self.field}" if self.field else f"line {self.line}"
        return f"{where}: {self.said}"


class BadPolicyError(BadRequestError):
    """A policy that cannot be taken: the one in force stays."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{faults[0]}{more}", faults[0].hint)
        self.faults = tuple(faults[:MAX_FAULTS])

    def body(self) -> dict[str, object]:
        return {**super().body(), "faults": [fault._asdict() for fault in self.faults]}


def read(text: str) -> Policy:
    """Return the policy that a document states. Raises `BadPolicyError`."""
    if len(text.encode()) > MAX_BYTES:
        raise BadPolicyError([Fault(1, "", "it is too long", f"at most {MAX_BYTES} bytes")])
    lines: dict[Place, int] = {}
    root = _composed(text)
    if root is None:
        return Policy()
    if not isinstance(root, MappingNode):
        hint = "begin with a field, as in 'headroom: 0.9'"
        raise BadPolicyError([Fault(root.start_mark.line + 1, "", "it is not a mapping", hint)])
    plain = _plain(root, (), lines)
    try:
        return Policy.model_validate(plain)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
        faults = sorted(_fault(each, lines) for each in found)
        raise BadPolicyError(faults) from error


def dump(policy: Policy) -> str:
    """Return a document that states `policy`: only what differs from the defaults."""
    plain = policy.model_dump(mode="json", exclude_defaults=True)
    return str(yaml.safe_dump(plain, sort_keys=False)) if plain else "# the defaults\n"


def changes(old: Policy, new: Policy) -> tuple[tuple[str, object, object], ...]:
    """Return (field, old, new) for every field that differs, in the document's order."""
    before = dict(_flat(old.model_dump(mode="json")))
    after = dict(_flat(new.model_dump(mode="json")))
    return tuple(
        (field, before.get(field), after.get(field))
        for field in {**before, **after}
        if before.get(field) != after.get(field)
    )


def _flat(plain: object, place: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(plain, Mapping) and plain:
        for name, value in plain.items():
            yield from _flat(value, f"{place}.{name}" if place else str(name))
    elif isinstance(plain, list | tuple) and any(isinstance(each, Mapping) for each in plain):
        for number, value in enumerate(plain):
            yield from _flat(value, f"{place}[{number}]")
    elif plain not in ([], {}):
        yield place, plain


def _composed(text: str) -> Node | None:
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, AliasEvent):
                mark = event.start_mark
                raise BadPolicyError([_at(mark, "aliases are not taken", "write it out")])
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        said = " ".join(part for part in (error.context, error.problem) if part)
        hint = "indent with spaces, and write 'field: value'"
        mark = error.problem_mark or error.context_mark
        raise BadPolicyError([_at(mark, said, hint)]) from error
    except yaml.YAMLError as error:  # a character that no YAML may hold
        said = str(error).splitlines()[0]
        raise BadPolicyError([Fault(1, "", said, "save it as UTF-8 text")]) from error
    except RecursionError as error:
        raise BadPolicyError([Fault(1, "", "it is nested too deeply", "see deploy/")]) from error


def _at(mark: _Marked | None, said: str, hint: str) -> Fault:
    return Fault(mark.line + 1 if mark is not None else 1, "", said, hint)


def _plain(node: Node, place: Place, lines: dict[Place, int]) -> Any:  # noqa: ANN401  # as YAML
    """Return a node as plain data, and note the line of each place."""
    lines[place] = node.start_mark.line + 1
    if isinstance(node, MappingNode):
        return _mapping(node, place, lines)
    if isinstance(node, SequenceNode):
        return [_plain(each, (*place, at), lines) for at, each in enumerate(node.value)]
    return _scalar(node)


def _mapping(node: MappingNode, place: Place, lines: dict[Place, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = key.value if isinstance(key, ScalarNode) else None
        if name is None:
            raise BadPolicyError([Fault(line, _dotted(place), "a name is no text", "name it")])
        if name in found:
            field = _dotted((*place, name))
            raise BadPolicyError([Fault(line, field, "stands here twice", "keep one of them")])
        found[name] = _plain(value, (*place, name), lines)
        lines[*place, name] = line
    return found


def _scalar(node: Node) -> object:
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        line = node.start_mark.line + 1
        raise BadPolicyError(
            [Fault(line, "", f"{node.value!r} cannot be read", "put it in quotes")]
        ) from error
    finally:
        loader.dispose()


def _fault(error: ErrorDetails, lines: Mapping[Place, int]) -> Fault:
    place: Place = tuple(part for part in error["loc"] if part != "[key]")
    known = place
    while known not in lines:  # what is missing, or a branch of a union, has no line of its own
        known = known[:-1]
    said = error["msg"].removeprefix("Input ").replace("valid tuple", "list")
    if error["type"] == "extra_forbidden":
        return Fault(lines[known], _dotted(known), "no such field", _near(place))
    return Fault(lines[known], _dotted(known), said, _hint(error))


def _hint(error: ErrorDetails) -> str:
    given = error.get("input")
    if error["type"] == "string_type" and given is not None:
        return "put it in quotes"
    if error["type"] in ("tuple_type", "list_type"):
        return "write a list: [a, b], or lines that begin with '- '"
    if error["type"] in ("model_type", "dict_type", "model_attributes_type"):
        return "write 'name: value' lines below it, indented"
    return f"it is {given!r:.60} now"


def _near(place: Place) -> str:
    """Name the fields that stand there."""
    model: Any = Policy
    for part in place[:-1]:
        if isinstance(part, str):
            model = _model_of(model.model_fields[part].annotation)
    names = sorted(model.model_fields)
    near = get_close_matches(str(place[-1]), names, 1)
    return f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(names)}"


def _model_of(annotation: Any) -> Any:  # noqa: ANN401  # a type, or tuple[type, ...]
    return next(iter(getattr(annotation, "__args__", ())), annotation)


def _dotted(place: Place) -> str:
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
