"""How results look to a person, and to a program. Prints; decides nothing."""

import json
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 200
"""Columns where nobody's terminal says how many: in a pipe a line is not to be broken."""

WIDEST = 10_000
"""Columns that no table has."""

console = Console(width=None if sys.stdout.isatty() else WIDE)
"""Standard output."""
aside = Console(stderr=True)
"""Progress and remarks: never part of what a program reads."""


def as_json(value: object) -> None:
    """Print one JSON value, unstyled."""
    print(json.dumps(value))  # noqa: T201  # this is what the command is for


def plain(words: str) -> None:
    """Print words as they are, for copying: no styles, no wrapping."""
    print(words)  # noqa: T201  # this is what the command is for


def remark(words: str) -> None:
    """Print words beside the result, as they are."""
    aside.print(words, highlight=False, markup=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print rows under headings; numbers to the right.

    Where the terminal is too narrow it breaks the lines, not the cells: words stay whole.
    """
    drawn = made(columns, rows, title=title)
    drawn.width = console.measure(drawn, options=console.options.update(max_width=WIDEST)).maximum
    console.print(drawn, crop=False)


def made(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> Table:
    """Return a table, for whoever prints it."""
    kept = [tuple(row) for row in rows]
    drawn = Table(title=title or None, title_justify="left", box=None, pad_edge=False)
    for place, name in enumerate(columns):
        numbers = bool(kept) and all(isinstance(row[place], int | float) for row in kept)
        drawn.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in kept:
        drawn.add_row(*(Text(text(value)) for value in row))
    return drawn


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, one pair a line."""
    drawn = Table(box=None, show_header=False, pad_edge=False)
    drawn.add_column(style="bold")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        drawn.add_row(name, Text(text(value)))
    console.print(drawn)


def text(value: object) -> str:
    """Pure. Return a value as people read it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case tuple() | list():
            return ", ".join(text(one) for one in value) or "-"
        case dict():
            return ", ".join(f"{name} {text(one)}" for name, one in value.items()) or "-"
        case _:
            return str(value)
