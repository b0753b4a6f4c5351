"""What every query carries: records that msgspec reads, checks and writes, in place of pydantic.

A record is read and made three times as fast, which is what the wire costs at ten thousand queries
a second. What is decoded is checked against its annotations; what this process has worked out
itself is taken as it is; `checked` is for what people say.
"""

from collections.abc import Callable
from functools import lru_cache
from re import compile as pattern
from typing import Self, TypeVar

import msgspec
from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema

from protocol.names import ID_PATTERN, NAME_PATTERN, TENSOR_PATTERN, VARIANT_PATTERN

R = TypeVar("R", bound="Record")


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of them all: immutable, and tolerant of fields from newer peers."""

    def check(self) -> None:
        """Raise `ValueError` for a name that is none. Called with all that is decoded.

        Patterns are the one rule that msgspec has no quick way to keep.
        """

    @classmethod
    def checked(cls, **fields: object) -> Self:
        """Return a record of these fields; raise `ValueError` where one breaks a rule."""
        return _converted(fields, cls)

    def but(self, **changes: object) -> Self:
        """Return a copy with these fields changed, taken as they are."""
        return msgspec.structs.replace(self, **changes)

    @property
    def kind(self) -> str:
        """What it is called on the wire."""
        return str(self.__struct_config__.tag)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: object) -> CoreSchema:
        """How messages that pydantic reads contain records."""
        return core_schema.no_info_plain_validator_function(
            lambda given: given if isinstance(given, cls) else _converted(given, cls),
            serialization=core_schema.plain_serializer_function_ser_schema(msgspec.to_builtins),
        )


def _converted(given: object, model: type[R]) -> R:
    made = msgspec.convert(given, model, dec_hook=_other)
    made.check()
    return made


def _other(model: type[BaseModel], given: object) -> BaseModel:
    return model.model_validate(given)


# Remembered, because the same few come again and again; what is none is not, and told each time.


@lru_cache(4096)
def check_name(name: str) -> None:
    """Raise `ValueError` unless it may be a token of a subject."""
    _check(name, _NAME)


@lru_cache(4096)
def check_variant(name: str) -> None:
    """Raise `ValueError` unless it may be a variant's or an architecture's."""
    _check(name, _VARIANT)


@lru_cache(4096)
def check_tensor(name: str) -> None:
    """Raise `ValueError` unless it may be a tensor's."""
    _check(name, _TENSOR)


def check_id(id_: str) -> None:
    """Raise `ValueError` unless it may be a request's."""
    if not _ID(id_):
        raise ValueError(f"not an id: {id_[:40]!r}")


_ID = pattern(ID_PATTERN.strip("^$")).fullmatch
_NAME = pattern(NAME_PATTERN.strip("^$")).fullmatch
_VARIANT = pattern(VARIANT_PATTERN.strip("^$")).fullmatch
_TENSOR = pattern(TENSOR_PATTERN.strip("^$")).fullmatch


def _check(name: str, match: Callable[[str], object]) -> None:
    if not match(name):
        raise ValueError(f"not a name: {name[:40]!r}")
