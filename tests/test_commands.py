"""What is typed with `/` or `!` in front."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tui.actions import ACTIONS, actions
from tui.commands import (
    COMMANDS,
    CommandError,
    completions,
    find_actions,
    message_text,
    parse_command,
    typed_text,
)
from tui.scopes import MAIN

THEIRS = ("help", "status", "clear", "set", "example", "save", "exit")
OURS = ("model", "system", "preset", "theme", "export", "new")


def test_every_action_has_a_command_of_its_own_and_every_command_of_theirs_is_there():
    assert {one.id for one in COMMANDS.values()} == {one.id for one in actions(*MAIN)}
    assert len(COMMANDS) == sum(len(one.commands) for one in ACTIONS)
    assert {*THEIRS, *OURS} <= COMMANDS.keys()


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("sign", ["/", "!"])
def test_each_command_is_found_with_either_sign(sign, name):
    command = parse_command(f"{sign}{name}")
    assert command is not None
    assert command.action is COMMANDS[name]


@pytest.mark.parametrize(
    ("text", "name", "argument"),
    [
        ("/set temperature=0.5 top_k=3", "set", "temperature=0.5 top_k=3"),
        ("!save my chat", "save", "my chat"),
        ("/system  Be brief.\nAlways.", "system", "Be brief.\nAlways."),
        ("/Theme beacon ", "theme", "beacon"),
        ("/preset_save x", "preset-save", "x"),
    ],
)
def test_what_stands_behind_the_name_is_the_argument(text, name, argument):
    command = parse_command(text)
    assert command is not None
    assert (command.action, command.argument) == (COMMANDS[name], argument)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "/usr/bin/env what?",
        "/",
        "! hi",
        "a /help",
        "//help",
        "!!exit",
        "/2",
        "!=",
        "</help>",
    ],
)
def test_a_message_is_no_command(text):
    assert parse_command(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "/hlep",
            "There is no command /hlep. Did you mean /help? To send it as text, start it with //.",
        ),
        ("!xyzzy", "There is no command !xyzzy. To send it as text, start it with !!."),
        ("/copy that", "/copy takes no argument"),
    ],
)
def test_what_looks_like_a_command_and_is_none_is_said(text, words):
    with pytest.raises(CommandError) as caught:
        parse_command(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("//help", "/help"), ("!!exit", "!exit"), ("/x", "/x"), ("a//b", "a//b"), ("///", "//")],
)
def test_a_doubled_sign_sends_one(typed, sent):
    assert message_text(typed) == sent


@given(st.text(max_size=20))
def test_any_text_is_a_command_a_message_or_refused(text):
    try:
        command = parse_command(text)
    except CommandError:
        return
    assert command is None or command.action in ACTIONS


@pytest.mark.parametrize(
    "name", [one.commands[0] for one in actions(*MAIN) if one.listed or one.slash]
)
def test_a_command_is_completed_from_its_beginning(name):
    begun = name[:2] if COMMANDS[name].slash else name[: name.index("-") + 1]
    assert f"/{name}" in [found for found, _ in completions(f"/{begun}")]
    assert completions(f"!{name}")[0][0] == f"!{name}"


def test_nothing_is_completed_in_a_message():
    assert completions("hello") == completions("/set x") == completions("//") == []


@pytest.mark.parametrize(
    ("typed", "argument"),
    [
        ('/save "my dir/out.json"', "my dir/out.json"),
        ("/preset 'two words'", "two words"),
        ("/preset it's", "it's"),
        ('/preset "a" "b"', '"a" "b"'),
        ('/rename "quoted"', '"quoted"'),
        ('/system "be brief"', '"be brief"'),
        ('/preset "', '"'),
    ],
)
def test_a_name_or_path_may_stand_between_quotes(typed, argument):
    assert parse_command(typed).argument == argument


@given(st.text(alphabet="/!ahelp 1\n", max_size=12))
@example(" /help")
@example("//x")
def test_what_is_typed_again_is_sent_again(text):
    typed = typed_text(text)
    assert message_text(typed) in (text, text.lstrip())
    if text.strip():
        assert parse_command(typed) is None


def test_what_is_wanted_most_is_offered_first_and_names_of_actions_only_when_they_are_typed():
    offered = [name for name, _ in completions("/")]
    assert offered[:3] == ["/new", "/model", "/system"]
    assert not any(name.startswith(("/app-", "/composer-")) for name in offered)
    assert completions("/pre")[0][0] == "/preset"
    begun = [name for name, _ in completions("/c")]
    assert begun[:2] == ["/chats", "/continue"]
    assert "/clear" in begun
    assert "/chat-copy" not in begun
    assert "/chat-copy" in [name for name, _ in completions("/chat-")]
    assert "/composer-edit-outside" in [name for name, _ in completions("/comp")]


def test_what_is_only_good_as_a_key_is_not_offered_but_understood():
    assert "/composer-focus" not in [name for name, _ in completions("/comp")]
    assert parse_command("/composer-focus") is not None


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("new", "chat.new"),
        ("/new", "chat.new"),
        ("ren", "chat.rename"),
        ("theme", "theme.choose"),
        ("chat new", "chat.new"),
        ("clear", "chat.new"),
        ("statistics", "app.stats"),
        ("Choose a preset", "preset.choose"),
        ("disk", "chat.temporary"),
    ],
)
def test_an_action_is_found_by_its_title_its_command_or_what_it_says_of_itself(typed, first):
    assert find_actions(typed, list(actions(*MAIN)))[0].id == first


def test_beginnings_of_titles_come_before_beginnings_of_words_and_those_before_what_lies_within():
    titles = [one.title for one in find_actions("re", list(actions(*MAIN)))]
    kinds = [
        0 if t.startswith("Re") else 1 if " re" in t.casefold() else 2
        for t in titles
        if "re" in t.casefold()
    ]
    assert titles[0].startswith("Re")
    assert kinds.index(1) > kinds.index(0)


def test_what_was_chosen_last_comes_first_among_equals():
    offered = list(actions(*MAIN))
    assert find_actions("", offered, ("theme.choose", "chat.undo"))[:2] == [
        COMMANDS["theme"],
        COMMANDS["undo"],
    ]
    assert find_actions("new", offered, ("chat.temporary",))[0].id == "chat.temporary"
    assert find_actions("no such thing", offered) == []
