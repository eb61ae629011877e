"""A reply that is held to a JSON Schema is JSON that fits it, whatever the model would say."""

from __future__ import annotations

import json

import pytest

from tests.engine import rigged, tiny
from tests.engine.conftest import Heard, chat, load, never
from tui.engine.base import GenerateRequest, GenerationError, Speculation, StopReason
from tui.engine.local import held_to_schema

FACTS = {
    "type": "object",
    "properties": {
        "kind": {"enum": ["cat", "dog"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 99},
        "tame": {"type": "boolean"},
    },
    "required": ["kind", "age", "tame"],
    "additionalProperties": False,
}


def held(engine, schema, *, messages=None, speculation=Speculation.AUTO, **parameters):
    heard = Heard()
    request = GenerateRequest(
        messages or chat("A pet."),
        {"max_new_tokens": 200, **parameters},
        schema=schema,
        speculation=speculation,
    )
    heard.finished = engine.generate(request, heard.events.append, never)
    return heard


def check(text):
    made = json.loads(text)
    assert set(made) == {"kind", "age", "tame"}
    assert made["kind"] in ("cat", "dog")
    assert 0 <= made["age"] <= 99
    assert isinstance(made["tame"], bool)


@pytest.mark.parametrize("parameters", [{"temperature": 0.0}, {"temperature": 1.5, "top_p": 0.2, "seed": 3}, {"temperature": 1.0, "top_k": 1, "repetition_penalty": 1.3}])  # fmt: skip
@pytest.mark.parametrize("make", [tiny.llama, tiny.recurrent])
def test_a_model_of_random_weights_keeps_to_it(engine, tmp_path, make, parameters):
    load(engine, make(tmp_path / "model"))
    for speculation in (Speculation.AUTO, Speculation.LOOKUP):
        heard = held(engine, FACTS, speculation=speculation, **parameters)
        check(heard.text)
        assert heard.finished.reason is StopReason.END


def test_the_next_reply_is_free_again(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"))
    free = held(engine, None, max_new_tokens=20, temperature=0.0).text
    check(held(engine, FACTS, temperature=0.0).text)
    assert held(engine, None, max_new_tokens=20, temperature=0.0).text == free


@pytest.mark.model
def test_a_real_model_keeps_to_it(demo):
    heard = held(demo, FACTS, messages=chat("Describe a dog of four years."), temperature=0.0)
    check(heard.text)


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"$ref": "https://example.org/x"}, 5])
def test_a_schema_that_is_none_is_named(engine, tmp_path, schema):
    load(engine, tiny.llama(tmp_path / "model"))
    with pytest.raises(GenerationError, match=r"JSON Schema can't be used|can't be constrained"):
        held(engine, schema)
    assert held(engine, None, max_new_tokens=3).finished.reason is StopReason.LENGTH


def test_without_the_library_it_is_said_what_to_install(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(held_to_schema, "_LIBRARY", "no_such_library")
    info = load(engine, tiny.llama(tmp_path / "model"))
    assert not info.capabilities.holds_schema
    with pytest.raises(GenerationError, match=r"chat-tui\[schema\]"):
        held(engine, FACTS)


def test_reasoning_is_free_and_the_answer_behind_it_is_not(engine, tmp_path):
    template = rigged.CHATML.replace("assistant\n{% endif %}", "assistant\n<think>\n{% endif %}")
    made = rigged.tokenizer(template, pieces=("<think>", "</think>"))
    load(engine, rigged.saying(tmp_path / "model", made, ["H", "m", ".", "</think>", "z"]))
    heard = held(engine, FACTS, temperature=0.0)
    assert heard.reasoning.strip() == "Hm."
    check(heard.text)
