"""The switches that a chat template has are read from the template itself."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tests.engine import tiny
from tui.conversation.turn import Message
from tui.engine.base import GenerationError, ModelLoadError, TemplateSwitch
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.template import ChatTemplate

THINKING = tiny.SIMPLE_TEMPLATE + (
    "{% if add_generation_prompt and enable_thinking is defined and enable_thinking is false %}"
    "<think></think>{% endif %}"
)


def switches(template: object) -> tuple[TemplateSwitch, ...]:
    return ChatTemplate(SimpleNamespace(chat_template=template, special_tokens_map={})).switches


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (tiny.SIMPLE_TEMPLATE, ()),
        (THINKING, (TemplateSwitch("enable_thinking", (True, False)),)),
        (
            "{{ enable_thinking | default(true) }}",
            (TemplateSwitch("enable_thinking", (True, False), True),),
        ),
        ("{% if not verbose %}x{% endif %}", (TemplateSwitch("verbose", (True, False)),)),
        (
            (
                "{% if reasoning_effort is not defined %}{% set reasoning_effort = 'medium' %}{% endif %}"
                "{% if reasoning_effort == 'high' %}{% elif reasoning_effort in ['low', 'medium'] %}{% endif %}"
            ),
            (TemplateSwitch("reasoning_effort", ("high", "low", "medium"), "medium"),),
        ),
        ("{{ persona }}", (TemplateSwitch("persona"),)),
        # What a template sets itself is none, in whichever branch.
        (
            "{% if messages[0].role == 'system' %}{% set text = messages[0].content %}{% endif %}{% if text is defined %}{{ text }}{% endif %}",
            (),
        ),
        (
            "{% for m in messages %}{% if m.tool %}{% set call = m.tool %}{% endif %}{% set text = text.strip() %}{{ call }}{% endfor %}{{ text }}",
            (),
        ),
        (
            "{% set thinking = thinking if thinking is defined else true %}{% if thinking %}x{% endif %}",
            (TemplateSwitch("thinking", (True, False)),),
        ),
        (
            "{% if not budget is defined or budget is none %}{% set budget = -1 %}{% endif %}{{ budget }}",
            (TemplateSwitch("budget", (-1,), -1),),
        ),
        ("{{ bos_token }}{{ strftime_now('%Y') }}{{ raise_exception('x') }}", ()),
        ("{% set x = 1 %}{{ x }}{% for m in messages %}{% break %}{% endfor %}", ()),
        ("{% generation %}{{ mood }}{% endgeneration %}", (TemplateSwitch("mood"),)),
        ("{% if %}", ()),
        (None, ()),
        ({"default": "{{ mood }}", "tool_use": "{{ x }}"}, (TemplateSwitch("mood"),)),
    ],
)
def test_switches_with_their_choices_and_default(template, found):
    assert switches(template) == found


def test_a_chosen_switch_is_in_the_prompt_and_an_unknown_one_is_not_asked_for():
    prompts = PromptBuilder(tiny.tokenizer(THINKING))
    chat = [Message("user", "hi")]
    plain = prompts.build(chat)
    off = prompts.build(chat, switches={"enable_thinking": False, "messages": []})
    assert prompts.build(chat, switches={"enable_thinking": True}) == plain
    assert prompts._tokenizer.decode(off.ids).endswith("<think></think>")


@pytest.mark.parametrize("template", ["{{ m.role }", "{{ messages|length }}"])
def test_what_to_do_about_a_template_also_holds_for_a_model_in_one_file(template):
    with pytest.raises(GenerationError) as raised:
        PromptBuilder(tiny.tokenizer(template)).build([Message("user", "hi")])
    assert raised.value.hint == "Use another model, or fix its chat template."


def test_a_process_that_can_not_be_started_breaks_no_template(monkeypatch):
    made = SimpleNamespace(chat_template=tiny.SIMPLE_TEMPLATE, special_tokens_map={})
    template = ChatTemplate(made)
    template._helper.close()
    with monkeypatch.context() as without:
        without.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(GenerationError, match="the process for it can't be started"):
            template.try_out([])
        with pytest.raises(ModelLoadError, match="can't be read"):
            ChatTemplate(made)
    assert template.try_out([]) == []
