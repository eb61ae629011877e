"""The session file: what is written is read back, and what is broken is read as far as it goes."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversation.strategies import JSON, TEXT, chats
from tui.conversation import Conversation, Generation, Status, codec, from_messages
from tui.conversation.entries import ChatFormatError


def same_text(text: str) -> str:
    """JSON holds two surrogates side by side as the one character that they make."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def branched() -> Conversation:
    chat = from_messages(
        [
            {"role": "user", "content": "one?"},
            {"role": "assistant", "content": "1", "reasoning_content": "count"},
        ]
    )
    return chat.edit(chat.path[0].id, "uno?").rename("N").undo()


def document() -> dict:
    return copy.deepcopy(codec.encode(branched()))


def assert_sound(chat: Conversation) -> None:
    """Every operation of a chat that was read works, also through its whole history."""
    for at in (chat, *stations(chat)):
        reached = {t.id for turn in at.children(None) for t in (turn, *at.descendants(turn.id))}
        assert reached == set(at.turns)
        for key in at.turns:
            assert at.ancestors(key)[0].parent is None
        assert all(key == turn.id for key, turn in at.turns.items())
    codec.dumps(chat.add_user("x"))


def stations(chat: Conversation):
    back = chat
    while back.can_undo:
        back = back.undo()
        yield back
    ahead = chat
    while ahead.can_redo:
        ahead = ahead.redo()
        yield ahead


@given(chats())
@settings(deadline=None)
def test_what_is_written_is_read_back(chat):
    decoded = codec.loads(codec.dumps(chat))
    assert decoded.problems == ()
    assert decoded.format == codec.FORMAT
    expected = json.loads(json.dumps(codec.encode(chat)))
    assert codec.encode(decoded.conversation) == expected
    assert_sound(decoded.conversation)


def test_the_active_path_stands_at_the_top_level_for_other_tools():
    history = document()["chat_history"]
    assert history == [{"role": "user", "content": "uno?"}]


def test_the_file_can_be_read_by_a_person():
    text = codec.dumps(from_messages([{"role": "user", "content": "Grüße 👋"}])).decode()
    assert "Grüße 👋" in text
    assert len(text.splitlines()) > 10


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00\x1b[31m", "\u202e", "\r\n\u2028"])
def test_any_character_survives(text):
    chat = Conversation().add_user(text)
    assert codec.loads(codec.dumps(chat)).conversation.path[0].text == text


@given(st.text(st.characters(), max_size=10))
def test_any_text_survives(text):
    chat = Conversation().add_user(text)
    assert codec.loads(codec.dumps(chat)).conversation.path[0].text == same_text(text)


@given(JSON, TEXT)
def test_unknown_keys_survive(value, key):
    given_document = document()
    given_document["later_" + key] = value
    given_document["tree"]["turns"][0]["later_" + key] = value
    written = json.loads(codec.dumps(codec.decode(given_document).conversation))
    assert written["later_" + key] == value
    assert written["tree"]["turns"][0]["later_" + key] == value


def test_unknown_keys_of_another_tools_entries_survive():
    chat = codec.decode({"chat_history": [{"role": "user", "content": "a", "name": "Ann"}]})
    assert chat.conversation.path[0].extra == {"name": "Ann"}


def test_a_newer_format_says_so():
    newer = document() | {"format": codec.FORMAT + 1}
    assert codec.decode(newer).is_newer
    assert not codec.decode(document()).is_newer


def test_the_save_of_transformers_chat_is_one_branch():
    decoded = codec.decode(
        {
            "settings": {"model_id": "m"},
            "chat_history": [
                {"role": "system", "content": "S"},
                {"role": "user", "content": [{"type": "text", "text": "a"}]},
                {"role": "assistant", "content": "\\<think\\>hm\\</think\\>\n\nb"},
            ],
        }
    )
    chat = decoded.conversation
    assert decoded.format == 0
    assert (chat.system_prompt, [turn.text for turn in chat.path]) == ("S", ["a", "b"])
    assert chat.path[1].reasoning == "hm"
    assert chat.settings == {"model_id": "m"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[]",
        b"null",
        b"3",
        b'"text"',
        b"{}",
        b'{"chat_history": 3}',
        b'{"tree": {"turns": 3}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"chat_history": [], "x": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"chat_history": [], "x": 1' + b"0" * 5000 + b"}",
    ],
)
def test_what_holds_no_chat_is_refused_with_a_sentence(data):
    with pytest.raises(ChatFormatError) as caught:
        codec.loads(data)
    assert str(caught.value)


@pytest.mark.parametrize(
    "broken", [None, 3, "x", {}, {"id": "a"}, {"id": "", "role": "user", "content": ""}]
)
def test_a_broken_turn_is_left_out_and_named(broken):
    given_document = document()
    given_document["tree"]["turns"].append(broken)
    decoded = codec.decode(given_document)
    assert len(decoded.conversation.turns) == 3
    assert len(decoded.problems) == 1
    assert "turn" in decoded.problems[0]


def test_a_turn_whose_parent_is_missing_follows_the_one_listed_before_it():
    given_document = document()
    given_document["tree"]["turns"][1]["parent"] = "nowhere"
    decoded = codec.decode(given_document)
    assert decoded.problems
    assert_sound(decoded.conversation)
    assert len(decoded.conversation.turns) == 3


def test_turns_in_a_loop_become_reachable():
    given_document = document()
    turns = given_document["tree"]["turns"]
    turns[0]["parent"], turns[1]["parent"] = turns[1]["id"], turns[0]["id"]
    turns[2]["parent"] = turns[2]["id"]
    decoded = codec.decode(given_document)
    assert decoded.problems
    assert_sound(decoded.conversation)
    assert len(decoded.conversation.turns) == 3


@pytest.mark.parametrize(
    "patch",
    [
        3,
        {"label": "x", "turns": {"a": {"id": "b", "role": "user", "content": ""}}},
        {
            "label": "x",
            "turns": {"a": {"id": "a", "parent": "nowhere", "role": "user", "content": ""}},
        },
        {"label": "x", "turns": {"a": {"id": "a", "parent": "a", "role": "user", "content": ""}}},
        {
            "label": "x",
            "turns": {
                "a": {"id": "a", "parent": "b", "role": "user", "content": ""},
                "b": {"id": "b", "parent": "a", "role": "user", "content": ""},
            },
        },
    ],
)
def test_a_step_of_the_history_that_fits_no_tree_is_left_out(patch):
    given_document = document()
    given_document["history"]["undo"].append(patch)
    given_document["history"]["redo"].append(patch)
    decoded = codec.decode(given_document)
    assert decoded.problems
    assert_sound(decoded.conversation)


def test_an_undo_that_would_leave_an_orphan_is_left_out():
    given_document = document()
    first = given_document["tree"]["turns"][0]["id"]
    given_document["history"]["undo"].append({"label": "x", "turns": {first: None}})
    decoded = codec.decode(given_document)
    assert not decoded.conversation.can_undo
    assert_sound(decoded.conversation)


def test_a_sound_history_stays_whole():
    decoded = codec.decode(document())
    assert decoded.conversation.history == branched_again(decoded.conversation)
    assert decoded.problems == ()


def branched_again(chat: Conversation):
    back = chat.undo().redo()
    return back.history


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_a_file_with_anything_in_any_place_is_read_or_refused(data):
    given_document = document()
    places = []

    def collect(value):
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                collect(value[key])

    collect(given_document)
    for _ in range(data.draw(st.integers(1, 3))):
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(JSON)
    try:
        decoded = codec.decode(given_document)
    except ChatFormatError:
        return
    assert_sound(decoded.conversation)
    again = codec.loads(codec.dumps(decoded.conversation))
    assert (again.problems, again.notes, again.is_whole) == ((), (), True)


def test_a_chain_of_5000_turns_is_read_and_written():
    chat = from_messages([{"role": "user", "content": str(n)} for n in range(5000)])
    chat = chat.delete(chat.path[2500].id, following=True)
    decoded = codec.loads(codec.dumps(chat))
    assert decoded.problems == ()
    assert len(decoded.conversation.undo().path) == 5000


def test_a_chain_of_5000_turns_in_reverse_order_is_read():
    given_document = codec.encode(
        from_messages([{"role": "user", "content": str(n)} for n in range(5000)])
    )
    given_document["tree"]["turns"].reverse()
    assert len(codec.decode(given_document).conversation.path) == 5000


@pytest.mark.parametrize("time", [1e308, -1e308, -1, "soon", None, True, 10**400])
def test_an_impossible_time_does_not_upset_the_order_of_variants(time):
    given_document = document()
    given_document["tree"]["turns"][0]["created_at"] = time
    chat = codec.decode(given_document).conversation
    edited = chat.edit(chat.path[0].id, "newest")
    assert edited.children(None)[-1].text == "newest"
    assert edited.path[0].text == "newest"


def test_a_streaming_reply_is_written_as_such():
    chat = Conversation().add_user("a")
    chat = chat.begin_reply(chat.path[0].id, Generation(), text="half")
    read = codec.loads(codec.dumps(chat)).conversation
    assert read.path[-1].status is Status.STREAMING
    assert read.recovered().path[-1].status is Status.INTERRUPTED


def test_what_is_left_of_a_damaged_chat_shows_what_its_history_showed():
    chat = Conversation()
    for n in range(4):
        chat = chat.add_user(f"q{n}")
        chat = chat.begin_reply(chat.path[-1].id, Generation())
        chat = chat.finish(chat.path[-1].id, Status.COMPLETE, text=f"a{n}")
    damaged = codec.encode(chat)
    turns = damaged["tree"]["turns"]
    turns[1]["content"] = None
    turns[4]["role"] = 7
    decoded = codec.decode(damaged)
    assert decoded.problems
    assert [turn.text for turn in decoded.conversation.path][-3:] == ["a2", "q3", "a3"]
    assert len(decoded.conversation.path) >= 6
