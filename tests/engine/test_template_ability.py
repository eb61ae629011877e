"""What a template takes is found out with few questions, whatever it does."""

from __future__ import annotations

import pytest

from tests.engine import tiny
from tests.engine.test_template_table import FAMILIES, ODD, TYPED, builder, template
from tui.conversation.turn import Message
from tui.engine.base import GenerationError
from tui.engine.local import template as template_module
from tui.engine.local import template_ability
from tui.engine.local.prompt import PromptBuilder


def asked(text):
    """Return what a template takes, and how often it was asked how much."""
    prompts = builder(text)
    sizes = []

    def render(trials):
        sizes.append(len(trials))
        return prompts._tried_out(trials)

    return template_ability.find(render), sizes


@pytest.mark.parametrize("family", FAMILIES)
def test_one_question_of_some_chats_is_enough_for_an_ordinary_template(family):
    ability, sizes = asked(template(family))
    assert not ability.problem
    assert len(sizes) == 1
    assert sizes[0] < 30


@pytest.mark.parametrize("text", [*TYPED.values(), *ODD.values(), tiny.NO_SYSTEM_TEMPLATE])
def test_a_few_questions_are_enough_for_any(text):
    _, sizes = asked(text)
    assert len(sizes) <= 6


def test_a_template_that_refuses_every_chat_says_why():
    ability, _ = asked("{{ raise_exception('name a language') }}")
    assert ability.problem == "name a language"
    prompts = PromptBuilder(tiny.tokenizer("{{ raise_exception('name a language') }}"))
    assert "name a language" in prompts.notes[0]


def test_a_list_that_is_written_as_a_list_is_no_message():
    ability, _ = asked("{% for m in messages %}{{ m.content[0] }}{% endfor %}")
    assert ability.problem == "it omits your messages"


def test_words_in_capitals_are_found():
    assert not asked(ODD["upper"])[0].problem


def test_a_template_that_is_stopped_when_it_is_tried_is_broken(monkeypatch):
    monkeypatch.setattr(template_module, "_PROBE_S", 0.5)
    endless = "{% if messages %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}{% endif %}"
    prompts = PromptBuilder(tiny.tokenizer(endless))
    assert "0.5 seconds" in prompts.notes[0]
    with pytest.raises(GenerationError, match=r"broken .*0.5 seconds"):
        prompts.build([Message("user", "Hi")])
