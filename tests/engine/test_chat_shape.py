"""A chat in the shape that a template takes: nothing that was said is lost, and what was done is told."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tui.conversation.turn import Message
from tui.engine.local.chat_shape import OPENER, Ability, entries, shaped

STRICT = Ability()
BARE = Ability().without_system()
FREE = Ability(
    {**STRICT.forms, "tool": "text", "developer": "text"},
    any_role=True, later_system=True, repeats=frozenset(("user", "assistant")), greeting=True, no_user=True, empty=True,
)  # fmt: skip


def chat(*turns):
    return [Message(role, text) for role, text in turns]


def made(turns, ability, **options):
    found = shaped(turns, ability, **options)
    return [(one.role[0], one.content) for one in found.messages], len(found.notes)


def test_system_turns_at_the_start_are_one():
    turns = chat(("system", "a"), ("developer", "b"), ("system", "c"), ("user", "d"))
    assert made(turns, STRICT) == ([("s", "a\n\nb\n\nc"), ("u", "d")], 1)
    assert made(turns, BARE)[0] == [("u", "a\n\nb\n\nc\n\nd")]


def test_a_folded_turn_joins_the_users_own_also_where_turns_may_repeat():
    ability = Ability(repeats=frozenset(("user",)))
    turns = chat(("user", "a"), ("tool", "b"), ("function", "c"), ("user", "d"), ("user", "e"))
    assert made(turns, ability)[0] == [
        ("u", "a\n\nTool result:\nb\n\nTool result:\nc"), ("u", "d"), ("u", "e"),
    ]  # fmt: skip


def test_a_system_prompt_before_a_greeting_is_the_users_first_turn():
    turns = chat(("system", "a"), ("assistant", "b"), ("user", "c"))
    assert made(turns, BARE) == ([("u", "a"), ("a", "b"), ("u", "c")], 0)
    assert made(turns, STRICT) == ([("s", "a"), ("u", OPENER), ("a", "b"), ("u", "c")], 1)


def test_turns_without_text_are_left_out_and_their_neighbors_joined():
    turns = [
        *chat(("user", "a")),
        Message("assistant", "", "so"),
        *chat(("user", ""), ("user", "b")),
    ]
    assert made(turns, STRICT) == ([("u", "a\n\nb")], 3)
    assert made(turns, FREE) == ([("u", "a"), ("u", ""), ("u", "b")], 1)
    assert (
        made(chat(("user", "a"), ("assistant", ""), ("system", " "), ("user", "b")), FREE)[1] == 0
    )


def test_a_tool_by_another_name_is_a_tool_where_there_are_tools():
    ability = Ability({"user": "text", "assistant": "text", "tool": "text"})
    assert made(chat(("user", "a"), ("ipython", "b")), ability) == ([("u", "a"), ("t", "b")], 0)


def test_what_is_written_on_stays_last():
    turns = [*chat(("user", "a"), ("assistant", "b")), Message("assistant", "", "so")]
    found = shaped(turns, STRICT, continues=True)
    assert found.messages == tuple(turns)
    assert shaped(turns[2:], STRICT, continues=True).messages[0].content == OPENER
    assert shaped(turns[2:], FREE, continues=True).messages == (turns[2],)


def test_parts_are_for_the_roles_that_want_them():
    ability = Ability({"user": "parts", "assistant": "text", "system": "text"})
    turns = [*chat(("system", "a"), ("user", "b")), Message("assistant", "c", "so")]
    assert entries(turns, ability) == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b"}]},
        {"thinking": "so", "role": "assistant", "content": "c", "reasoning_content": "so"},
    ]


TURN = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "system", "tool", "developer", "narrator"]),
    st.sampled_from(["", "one", "two words", "three\nlines"]),
    st.sampled_from(["", "so"]),
)


@settings(deadline=None)
@given(st.lists(TURN, min_size=1, max_size=8), st.sampled_from([STRICT, BARE, FREE]))
def test_every_word_is_sent_or_its_turn_is_left_out_as_a_whole(turns, ability):
    found = shaped(turns, ability)
    words = " ".join(one.content for one in found.messages)
    assert all(one.content in words for one in found.sent)
    assert [one for one in turns if one.content] == [one for one in found.sent if one.content]
    if ability is not FREE:
        roles = [one.role for one in found.messages if one.role != "system"]
        assert roles[0] == "user"
        assert all(one != other for one, other in pairwise(roles))
        assert "system" not in [one.role for one in found.messages[1:]]


def test_very_many_turns_of_one_speaker_are_joined_at_once():
    # Joined one by one, they would be copied a hundred million times.
    words = ["word " * 200 for _ in range(15_000)]
    assert made(chat(*(("user", text) for text in words)), STRICT) == (
        [("u", "\n\n".join(words))],
        1,
    )
