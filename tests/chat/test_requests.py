"""What the engine is asked for."""

from __future__ import annotations

import pytest

from tui.chat import requests
from tui.chat.requests import ReplySettings
from tui.conversation import (
    ASSISTANT,
    SYSTEM,
    USER,
    Conversation,
    Generation,
    Message,
    ReplyStats,
    Status,
)
from tui.engine.base import Speculation

SETTINGS = ReplySettings(
    {"temperature": 0.5}, {"enable_thinking": False}, Speculation.AUTO, "Be brief."
)


@pytest.fixture
def chat():
    begun = Conversation().set_system_prompt("Be kind.").add_user("hi")
    begun = begun.begin_reply(begun.path[-1].id, Generation())
    return begun.finish(begun.path[-1].id, Status.COMPLETE, text="Hello.")


def test_every_request_takes_the_switches_of_the_template_along(chat):
    made = [
        requests.for_reply(chat, None, SETTINGS),
        requests.for_title(chat, SETTINGS),
        requests.for_summary(chat.path, "", SETTINGS),
        requests.for_next(chat, SETTINGS, "draft"),
        requests.for_count(chat, SETTINGS),
        requests.for_prompt_of(chat, chat.path[-1], SETTINGS),
    ]
    assert [request.template for request in made] == [{"enable_thinking": False}] * len(made)


def test_what_is_changed_later_does_not_change_a_request(chat):
    template, parameters = {"enable_thinking": False}, {"temperature": 0.5}
    settings = ReplySettings(parameters, template)
    made = [
        requests.for_reply(chat, None, settings),
        requests.for_count(chat, settings),
        requests.for_next(chat, settings),
    ]
    template.clear()
    parameters.clear()
    assert all(request.template == {"enable_thinking": False} for request in made)
    assert made[0].parameters == {"temperature": 0.5}


def test_a_reply_that_is_made_again_is_computed_in_the_same_pieces(chat):
    before = ReplyStats(cached_tokens=7, drafted_tokens=0)
    request = requests.for_reply(chat, chat.path[0].id, SETTINGS, as_before=before)
    assert request.cached_at_most == 7
    assert request.speculation is Speculation.OFF


def test_what_comes_next_is_told_by_the_prompt_in_force(chat):
    request = requests.for_next(chat, SETTINGS, "and now?")
    assert request.messages[0] == Message(SYSTEM, "Be brief.")
    assert request.messages[-1] == Message(USER, "and now?")
    assert requests.for_count(chat, SETTINGS).messages[0] == Message(SYSTEM, "Be kind.")


def test_a_summary_goes_on_from_the_one_before(chat):
    request = requests.for_summary(chat.path, "They met.", SETTINGS)
    assert request.messages[0] == Message(SYSTEM, "They met.")
    assert [one.content for one in request.messages[1:3]] == ["hi", "Hello."]
    assert request.messages[-1].role == USER


def test_the_prompt_of_a_reply_ends_with_what_it_answers_and_its_first_words(chat):
    user, reply = chat.path
    request = requests.for_prompt_of(chat, reply, SETTINGS)
    assert request.messages[-1] == Message(USER, "hi")
    begun = chat.begin_reply(user.id, Generation(start_text="Well,"), text="Well,")
    request = requests.for_prompt_of(begun, begun.path[-1], SETTINGS)
    assert request.messages[-1] == Message(ASSISTANT, "Well,")
    assert request.continue_last


def test_a_first_turn_of_the_assistants_has_no_prompt():
    chat = Conversation()
    chat = chat.begin_reply(None, Generation())
    assert requests.for_prompt_of(chat, chat.path[0], SETTINGS) is None
