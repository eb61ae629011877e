"""Models whose chat templates are not one text in the usual place, or take other chats: what is said of them, and what they are sent."""

from __future__ import annotations

import json

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, load
from tui.conversation.turn import Message
from tui.engine.base import ModelLoadError
from tui.engine.catalog import resolve
from tui.engine.facts import folder_facts

TYPED = (
    "{% for m in messages %}<|{{ m.role }}|>{% for part in m.content %}{{ part.text }}{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def sent(engine, messages, **options):
    """Return the events of a reply, and the text that it was made from."""
    heard = ask(engine, messages, max_new_tokens=2, **options)
    prompts = engine._loaded.prompts
    made = prompts.build(messages, options.get("continue_last", False))
    assert heard.prompt.prompt_tokens == len(made.ids)
    return heard, prompts.text(made.ids)


def without_template(folder):
    tiny.llama(folder, None)
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    return folder


def test_a_template_in_the_older_file_is_used_and_said_to_be_there(engine, tmp_path):
    folder = without_template(tmp_path / "m")
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": TYPED}))
    info = load(engine, folder)
    assert info.has_chat_template
    assert info.notes == ()
    assert folder_facts(folder).has_template
    heard, text = sent(engine, (Message("system", "Be brief."), Message("user", "Hi")))
    assert text == "<|system|>Be brief.<|end|><|user|>Hi<|end|><|assistant|>"
    assert heard.prompt.notes == ()


def test_of_several_templates_the_plainest_is_used_and_named(engine, tmp_path):
    folder = without_template(tmp_path / "m")
    path = folder / "tokenizer_config.json"
    templates = [
        {"name": "tool_use", "template": "{{ tools }}" + tiny.SIMPLE_TEMPLATE},
        {"name": "rag", "template": tiny.SIMPLE_TEMPLATE},
    ]
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": templates}))
    info = load(engine, folder)
    assert info.has_chat_template
    assert info.notes == (
        "This model has several chat templates but no default: rag is used instead of tool_use.",
    )
    assert folder_facts(folder).has_template
    assert sent(engine, (Message("user", "Hi"),))[1] == "<|user|>Hi<|end|><|assistant|>"


def test_a_pointer_in_place_of_a_template_is_refused_for_what_it_is(engine, tmp_path):
    folder = tiny.llama(tmp_path / "m")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 4\n"
    (folder / "chat_template.jinja").write_text(pointer)
    with pytest.raises(ModelLoadError, match=r"chat_template.jinja is a Git LFS pointer"):
        load(engine, folder)
    assert not folder_facts(folder).has_template
    assert resolve(str(folder)).name == "m"


def test_a_chat_that_begins_with_a_greeting_is_answered_and_written_on(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "m", tiny.NO_SYSTEM_TEMPLATE))
    heard, text = sent(engine, (Message("assistant", "Hello"), Message("user", "A lamp")))
    assert text == (
        "<|user|>Please begin.<|end|><|assistant|>Hello<|end|><|user|>A lamp<|end|><|assistant|>"
    )
    assert len(heard.prompt.notes) == 1
    heard, text = sent(engine, (Message("assistant", "Hello, I "),), continue_last=True)
    assert text == "<|user|>Please begin.<|end|><|assistant|>Hello, I "
    assert len(heard.prompt.notes) == 1
