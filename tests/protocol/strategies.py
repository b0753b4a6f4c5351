"""Every wire model as a hypothesis strategy, read off its fields."""

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import annotated_types as at
from hypothesis import strategies as st
from pydantic import StringConstraints
from pydantic.fields import FieldInfo

from protocol.blobs import Piece
from protocol.bundles import Binding, Manifest, Task, Variant
from protocol.codec import Frame, tensors
from protocol.messages import Often, Seldom
from protocol.records import Record
from protocol.types import Latency, Tensor, Wire

Model = type[Wire] | type[Record]
MESSAGES: tuple[Model, ...] = (*get_args(Often), *get_args(get_args(Seldom)[0]))
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scalars: dict[Any, st.SearchStrategy[Any]] = {
    str: text, bool: st.booleans(), NoneType: st.none(),
}  # fmt: skip


def wire(model: Model) -> st.SearchStrategy[Any]:
    """Valid instances of `model`."""
    return SPECIAL[model] if model in SPECIAL else st.builds(model, **fields(model))


def fields(model: Model) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for each field of `model`."""
    if issubclass(model, Record):
        hints = get_type_hints(model, include_extras=True)
        return {name: of(hints[name], []) for name in model.__struct_fields__}
    return {
        name: of(field.annotation, field.metadata) for name, field in model.model_fields.items()
    }


def of(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911  # a table of kinds
    """Values of an annotation under its constraints."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        deeper = [
            m
            for given in inner[1:]
            for m in (given.metadata if isinstance(given, FieldInfo) else [given])
        ]
        return of(inner[0], [*metadata, *deeper])
    if origin is Literal:
        return st.sampled_from(inner)
    if origin in (UnionType, Union):
        return st.one_of(*(of(choice, []) for choice in inner))
    if origin is tuple:
        return several(inner, metadata)
    if origin is dict:
        smallest = limit(metadata, at.MinLen, "min_length", 0)
        return st.dictionaries(of(inner[0], []), of(inner[1], []), min_size=smallest, max_size=3)
    if isinstance(kind, type) and issubclass(kind, Wire | Record):
        return st.deferred(lambda: wire(kind))
    return scalar(kind, metadata)


def several(inner: tuple[Any, ...], metadata: list[Any]) -> st.SearchStrategy[Any]:
    if inner[-1] is not Ellipsis:
        return st.tuples(*(of(item, []) for item in inner))
    smallest = limit(metadata, at.MinLen, "min_length", 0)
    return st.lists(of(inner[0], []), min_size=smallest, max_size=3).map(tuple)


def scalar(kind: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    pattern = limit(metadata, StringConstraints, "pattern", None)
    if kind is str and pattern:
        return st.from_regex(pattern.replace("^", "", 1).removesuffix("$"), fullmatch=True)
    if kind is int:
        below = limit(metadata, at.Lt, "lt", 2**63)
        return st.integers(
            limit(metadata, at.Ge, "ge", limit(metadata, at.Gt, "gt", -1) + 1), below - 1
        )
    if kind is float:
        low, high = limit(metadata, at.Ge, "ge", None), limit(metadata, at.Le, "le", None)
        above, below = limit(metadata, at.Gt, "gt", None), limit(metadata, at.Lt, "lt", None)
        return st.floats(
            low if above is None else above, high if below is None else below,
            exclude_min=above is not None, exclude_max=below is not None,
            allow_nan=False, allow_infinity=False,
        )  # fmt: skip
    return scalars[kind]


def limit(metadata: list[Any], kind: type[Any], field: str, default: Any) -> Any:
    """What the constraint of this kind says, if there is one."""
    return next((getattr(m, field) for m in metadata if isinstance(m, kind)), default)


milliseconds = st.floats(0, 1e12)
latencies = st.lists(milliseconds, min_size=5, max_size=5).map(
    lambda ms: Latency(ms=tuple(sorted(ms)))
)
small_shapes = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)
small_tensors = st.builds(Tensor, **fields(Tensor) | {"shape": small_shapes})


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Manifests that hold together: every variant maps exactly its task's tensors."""
    task = draw(wire(Task))
    ids = draw(
        st.lists(
            st.from_regex(r"[a-z0-9._-]{1,12}", fullmatch=True), min_size=1, max_size=3, unique=True
        )
    )
    plain = wire(Variant)
    variants = tuple(
        draw(plain).model_copy(
            update={
                "id": name,
                "inputs": {axes.name: Binding(**axes.model_dump()) for axes in task.inputs},
                "outputs": {axes.name: Binding(**axes.model_dump()) for axes in task.outputs},
            }
        )
        for name in ids
    )
    rest = {
        name: draw(made)
        for name, made in fields(Manifest).items()
        if name not in ("task", "variants")
    }
    return Manifest(task=task, variants=variants, **rest)


def named_once(task: dict[str, Any]) -> bool:
    return all(
        len({axes.name for axes in side}) == len(side) for side in (task["inputs"], task["outputs"])
    )


SPECIAL: dict[Model, st.SearchStrategy[Any]] = {
    Latency: latencies,
    Tensor: small_tensors,
    Task: st.fixed_dictionaries(fields(Task)).filter(named_once).map(lambda given: Task(**given)),
}
SPECIAL[Variant] = st.builds(
    Variant,
    **fields(Variant)
    | {"batches": st.sets(st.integers(1, 64), max_size=3).map(lambda sizes: tuple(sorted(sizes)))},
)

SPECIAL[Piece] = st.builds(Piece, **fields(Piece) | {"size": st.integers(0, 64)})

messages = st.sampled_from(MESSAGES).flatmap(wire)


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """A message with as many bytes as its tensors say."""
    message = draw(messages)
    sizes = [tensor.nbytes for tensor in tensors(message)]
    filler = draw(st.binary(min_size=1, max_size=8))
    return Frame(message, tuple((filler * size)[:size] for size in sizes))
