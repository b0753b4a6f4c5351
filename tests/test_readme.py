"""The README cannot lie: its links lead somewhere, its commands exist; its code runs elsewhere."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from cloud_core.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("*/README.md")), *sorted(ROOT.glob("*/*/README.md"))]
README = (ROOT / "README.md").read_text()
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PYTHON = [code for language, code in FENCED.findall(README) if language == "python"]
TYPED = re.findall(
    r"^(?:\$ )?(?:\.venv/bin/)?tiermesh ([a-z]+[^\n#]*)",
    "\n".join(c for _, c in FENCED.findall(README)),
    re.MULTILINE,
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("target", re.findall(r"^(?:\$ )?make (\w+)", README, re.MULTILINE))
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("line", TYPED)
def test_every_command_line_is_one_that_the_command_takes(line):
    words = [word for word in shlex.split(line) if word != "\\"]
    command = get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known


def test_the_page_is_finished():
    assert not re.search("@@[A-Z]+@@", README), "a transcript is missing"
    assert TYPED
    assert PYTHON
