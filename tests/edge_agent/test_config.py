"""Configuration is read once, and says what is wrong with it and how to mend it."""

import json

import pytest

from edge_agent.config import AgentConfig, read
from protocol.errors import BadRequestError

WHOLE = {"node": "cam-7", "site": "yard", "price": {"watts": 7.5}}


def test_toml_and_json_say_the_same(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(WHOLE))
    (tmp_path / "a.toml").write_text('node = "cam-7"\nsite = "yard"\nprice.watts = 7.5\n')
    assert read(tmp_path / "a.json", AgentConfig) == read(tmp_path / "a.toml", AgentConfig)


@pytest.mark.parametrize(
    ("name", "text", "error", "hint"),
    [
        ("a.json", '{"node": "a"', "a.json: Expecting", "json"),
        ("a.toml", "node = ", "a.toml: Invalid value", "toml"),
        ("a.yaml", "node: a", "neither TOML nor JSON", ".toml or .json"),
        ("a.json", '{"node": "a"}', "site: is missing", "add site"),
        ("a.json", json.dumps(WHOLE | {"nod": 1}), "nod: no such field", "node"),
        ("a.json", json.dumps(WHOLE | {"price": {"watts": -1}}), "price.watts: ", "price.watts"),
        ("a.json", json.dumps(WHOLE | {"node": "A b"}), "node: ", "node"),
        ("a.json", "[]", "the whole file", ""),
    ],
)
def test_a_fault_is_named_by_file_and_field_with_its_mend(tmp_path, name, text, error, hint):
    (tmp_path / name).write_text(text)
    with pytest.raises(BadRequestError) as caught:
        read(tmp_path / name, AgentConfig)
    assert str(tmp_path / name) in caught.value.error
    assert error in caught.value.error
    assert hint in caught.value.hint


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(BadRequestError, match="No such file"):
        read(tmp_path / "none.toml", AgentConfig)
