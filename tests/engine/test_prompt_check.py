"""Whether a message counts as being in a prompt, whatever a template did to its text."""

from __future__ import annotations

import pytest

from tui.conversation.turn import Message
from tui.engine.local.prompt_check import PromptText, needed

SAID = Message("user", '  Is "a & b"\n true, Zoë? ')


@pytest.mark.parametrize(
    "prompt",
    [
        '<s>  Is "a & b"\n true, Zoë? </s>',
        '<s>Is "a & b"\n true, Zoë?</s>',
        '<s>Is "a & b" true, Zoë?</s>',
        '"content": "  Is \\"a & b\\"\\n true, Zoë? "',
        '"content": "  Is \\"a & b\\"\\n true, Zo\\u00eb? "',
        "Is &quot;a &amp; b&quot; true, Zoë?",
        'IS "A & B" TRUE, ZOË?',
        "Is_a_b_true_Zoë",
    ],
)
def test_a_message_is_there_in_another_writing(prompt):
    assert list(PromptText(prompt).left_out([SAID])) == []


@pytest.mark.parametrize("prompt", ["", "<s></s>", 'Is "a & b" true?', "Is a b"])
def test_a_message_is_left_out(prompt):
    assert list(PromptText(prompt).left_out([SAID])) == [SAID]


def test_few_letters_must_be_there_as_they_are():
    assert any(PromptText("<|user|>").left_out([Message("user", "U.S.E.")]))
    assert not any(PromptText("<|user|>").left_out([Message("user", "user")]))


@pytest.mark.parametrize("said", ["/no_think", "Be kind. /no_think", "Be /no_think  kind."])
def test_a_command_may_be_taken_out_by_a_template_that_knows_it(said):
    chat = [Message("system", said)]
    assert list(PromptText("<s>Be kind.</s>", {"/think", "/no_think"}).left_out(chat)) == []
    assert list(PromptText("<s>Be kind.</s>").left_out(chat)) == chat


def test_what_is_said_beside_a_command_must_be_there():
    chat = [Message("user", "Be kind. /no_think")]
    assert list(PromptText("<s>/no_think</s>", {"/no_think"}).left_out(chat)) == chat


def test_messages_are_found_in_any_order():
    chat = [Message("user", text) for text in ("first", "second", "third")]
    assert list(PromptText("third second first").left_out(chat)) == []
    assert list(PromptText("third first").left_out(chat)) == [chat[1]]


def test_needed_are_the_system_prompt_and_what_the_user_said_last():
    chat = [
        Message("system", "a"), Message("user", "b"), Message("assistant", "c"), Message("developer", "d"),
        Message("user", "e"), Message("user", " "), Message("tool", "f"),
    ]  # fmt: skip
    assert [message.content for message in needed(chat)] == ["a", "d", "e"]


def test_no_more_is_looked_for_than_is_asked():
    chat = [Message("user", f"Question number {number}") for number in range(5)]
    rest = iter(chat)
    assert next(PromptText("Something else").left_out(rest)) is chat[0]
    assert list(rest) == chat[1:]
