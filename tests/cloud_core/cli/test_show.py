"""Tables for people: whole words, however narrow the terminal."""

import io

from rich.console import Console

from cloud_core.cli import show


def test_a_table_wider_than_the_terminal_keeps_its_words_whole(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(show, "console", Console(width=40, file=said))
    row = ["mlp-tiny.tflite-int8", "x86-64-2c", "accuracy below the want's"]
    show.table(["variant", "hardware", "why not"], [row])
    heading, line = said.getvalue().splitlines()
    assert line.rstrip() == "  ".join(row)
    assert heading.split() == ["variant", "hardware", "why", "not"]


def test_what_is_narrow_is_not_made_wider(monkeypatch):
    said = io.StringIO()
    monkeypatch.setattr(show, "console", Console(width=40, file=said))
    show.table(["a", "b"], [[1, "x"]])
    assert said.getvalue().splitlines() == ["a  b", "1  x"]
