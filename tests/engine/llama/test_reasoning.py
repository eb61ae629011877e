"""Reasoning that the prompt opens is reasoning, whether or not llama.cpp knows the template, and when a reply is continued."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Heard, ask, chat, load, never
from tests.engine.llama import tiny_gguf
from tui.conversation.turn import Message
from tui.engine.base import GenerateRequest, ReasoningDelta, TextDelta
from tui.engine.llama.control_tokens import ControlTokens
from tui.engine.llama.reasoning import PROBE, Reasoning, is_known
from tui.engine.remote.dialect import Words
from tui.engine.remote.telling import Telling

OPENING = tiny_gguf.TEMPLATE.replace("assistant\n{%", "assistant\n{mark}\n{%")
assert "{mark}" in OPENING
SWITCHED = tiny_gguf.TEMPLATE.replace(
    "assistant\n{%",
    "assistant\n{% if enable_thinking is not defined or enable_thinking %}<think>\n{% endif %}{%",
)
KNOWN = (
    "{% for m in messages %}{% if m.role == 'assistant' %}{% set said = m.content %}"
    "{% if '</think>' in said %}{% set said = said.split('</think>')[-1] %}{% endif %}"
    "<|im_start|>assistant\n{{ said }}<|im_end|>{% else %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""As DeepSeek R1 has it; llama.cpp finds the marks in it."""
SAID = "one two three"
NO_TOKENS = ControlTokens(())


def opening(mark):
    return OPENING.replace("{mark}", mark)


@pytest.fixture
def with_template(llama, tmp_path):
    """Loads a tiny model with a chat template."""

    def loaded(template):
        load(llama, str(tiny_gguf.make(tmp_path / "templated.gguf", template=template)))
        return llama

    return loaded


@pytest.mark.parametrize(
    "template",
    [opening("<think>"), opening("[THINK]"), opening("<think:7>") + "{# </think:7> #}", KNOWN],
    ids=["think", "mistral", "own", "known to llama.cpp"],
)
def test_a_reply_that_the_prompt_opens_reasoning_for_is_reasoning(with_template, template):
    heard = ask(with_template(template), chat(SAID), max_new_tokens=8)
    assert heard.text == ""
    assert heard.reasoning
    said = [one for one in heard.events if isinstance(one, ReasoningDelta | TextDelta)]
    assert all(isinstance(one, ReasoningDelta) for one in said)
    assert heard.finished.stats.reasoning_tokens > 0


def test_what_has_to_fit_a_schema_is_the_answer(with_template):
    schema = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}  # fmt: skip
    engine = with_template(opening("<think>"))
    heard = ask(engine, chat(SAID), schema=schema, max_new_tokens=200)
    assert heard.text.strip().startswith("{")
    assert heard.reasoning == ""


@pytest.mark.parametrize("thinks", [True, False])
def test_a_switch_of_the_template_decides_how_the_reply_begins(with_template, thinks):
    heard = Heard()
    parameters, switches = {"max_new_tokens": 8}, {"enable_thinking": thinks}
    request = GenerateRequest(chat(SAID), parameters, template=switches)
    with_template(SWITCHED).generate(request, heard.events.append, never)
    assert bool(heard.reasoning) is thinks
    assert bool(heard.text) is not thinks


@pytest.mark.parametrize("template", [opening("<think>"), KNOWN], ids=["unknown", "known"])
@pytest.mark.parametrize(
    ("so_far", "end", "is_reasoning"),
    [
        (Message("assistant", "", reasoning="one two"), "<think>one two", True),
        (Message("assistant", "three", reasoning="two"), "<think>two</think>three", False),
        (Message("assistant", "three"), "<think></think>three", False),
    ],
)
def test_a_reply_goes_on_where_it_was(with_template, template, so_far, end, is_reasoning):
    engine = with_template(template)
    messages = (*chat(SAID), so_far)
    shown = engine.describe(GenerateRequest(messages, continue_last=True)).text
    assert "".join(shown.split()).endswith("".join(end.split()))
    heard = ask(engine, messages, continue_last=True, max_new_tokens=8)
    assert bool(heard.reasoning) is is_reasoning
    assert bool(heard.text) is not is_reasoning


# -- without llama.cpp


def told(splitter, *texts):
    heard = Heard()
    telling = Telling(GenerateRequest(chat("x")), heard.events.append, splitter=splitter)
    for text in texts:
        telling.take(Words(text))
    telling.tell_rest()
    return heard


def test_what_closes_the_reasoning_begins_the_answer():
    reasoning = Reasoning(opening("<think>"), NO_TOKENS)
    heard = told(reasoning.splitter("x<think>\n"), "Hm", "m.\n</th", "ink>\n\nYes", ".")
    assert (heard.reasoning, heard.text) == ("Hmm.", "Yes.")
    assert isinstance(heard.events[0], ReasoningDelta)


def test_a_mark_behind_which_the_prompt_ends_is_over():
    reasoning = Reasoning("<think> </think>", NO_TOKENS)
    splitter = reasoning.splitter("<think>\n\n</think>\n\n")
    assert told(splitter, "</think>\n is a tag.").text == "</think>\n is a tag."
    assert reasoning.splitter("<|im_start|>assistant\n") is None


def test_words_that_open_reasoning_count_for_a_model_that_writes_them():
    prompt = "Here are my reasoning steps:\n"
    assert Reasoning("x", NO_TOKENS).splitter(prompt) is None
    known = Reasoning("[BEGIN FINAL RESPONSE]", NO_TOKENS).splitter(prompt)
    heard = told(known, "Hm\n[BEGIN FINAL RESPONSE]\nYes")
    assert (heard.reasoning, heard.text.strip()) == ("Hm", "Yes")


def test_marks_that_llama_cpp_does_not_write_do_not_count():
    hidden = ControlTokens(["<think>", "</think>"])
    assert Reasoning("<think>", hidden).splitter("<think>\n") is None


def test_what_llama_cpp_makes_of_a_probe_shows_whether_it_knows_the_marks():
    assert is_known(f"<think>{PROBE[-1].reasoning}</think>{PROBE[-1].content}")
    assert not is_known(f"<think>{PROBE[-1].content}")
