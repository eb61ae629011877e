"""A schema is a file, JSON, or fields that are typed; what is none is named."""

from __future__ import annotations

import json

import pytest

from tests.engine.remote.talk import Told
from tui.ask.schema import schema_of
from tui.errors import UserError


def test_fields():
    schema = schema_of("name, age int, short-bio: one sentence, tags [str]\n rate float: 0 to 1")
    assert schema["properties"] == {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "short-bio": {"type": "string", "description": "one sentence"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "rate": {"type": "number", "description": "0 to 1"},
    }
    assert schema["required"] == list(schema["properties"])


def test_a_schema_as_it_is_and_in_a_file(tmp_path):
    path = tmp_path / "schema.json"
    path.write_text('{"type": "object"}')
    assert schema_of(str(path)) == schema_of(' {"type": "object"}') == {"type": "object"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "empty"),
        (" , ", "empty"),
        ("{", "valid JSON"),
        ("age date", "Unknown type in the schema: 'date'"),
        ("age [int", "Unknown type"),
        ("a b c d", "not a field"),
        ("nowhere.json", "no such file"),
        ("[" * 100_000, "not a field"),
        ('{"a":' * 100_000, "valid JSON"),
    ],
)
def test_what_is_none(given, said):
    with pytest.raises(UserError, match=said):
        schema_of(given)


def test_a_file_that_holds_none(tmp_path):
    for data, said in ((b"[]", "must be an object"), (b"\xff", "not a text"), (b"", "valid JSON")):
        path = tmp_path / "schema.json"
        path.write_bytes(data)
        with pytest.raises(UserError, match=said):
            schema_of(str(path))


def test_a_server_is_given_the_schema_and_the_reply_is_parsed(shell, server):
    server.told = Told((('{"name": "Tom"', False), ("}", False)))
    done = shell("chat-tui ask x --schema name --json")
    form = server.replies_asked[-1].body["response_format"]
    assert form["json_schema"]["schema"]["required"] == ["name"]
    assert json.loads(done.stdout)["json"] == {"name": "Tom"}


def test_a_reply_that_is_no_json_has_failed(shell, server):
    done = shell("chat-tui ask x --schema name")
    assert (done.returncode, done.stdout) == (1, "The sky.\n")
    assert "not valid JSON" in done.stderr


def test_a_reply_of_nothing_but_reasoning_has_failed(shell, server):
    server.told = Told((("Which sky?", True),))
    done = shell("chat-tui ask x --schema name")
    assert done.returncode == 1
    assert "no answer after its reasoning" in done.stderr


def test_choices():
    schema = schema_of("kind positive|negative, tags [a|b]: some")
    assert schema["properties"] == {
        "kind": {"enum": ["positive", "negative"]},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "description": "some"},
    }
    with pytest.raises(UserError, match="two fields"):
        schema_of("a, b, a")
