"""What a chat does: adding, editing, regenerating, paging, deleting, forking, undo and redo."""

from __future__ import annotations

import pytest

from tui.conversation import (
    ASSISTANT,
    USER,
    Conversation,
    Generation,
    Message,
    Status,
    UnknownTurnError,
    from_messages,
    title_from,
)
from tui.conversation.history import HISTORY_LIMIT

GENERATION = Generation(model="tiny", parameters={"seed": 7})


def texts(chat: Conversation) -> list[str]:
    return [turn.text for turn in chat.path]


def exchange(chat: Conversation, question: str, answer: str) -> Conversation:
    chat = chat.add_user(question)
    return reply(chat, chat.path[-1].id, answer)


def reply(chat: Conversation, parent: str, answer: str) -> Conversation:
    chat = chat.begin_reply(parent, GENERATION)
    return chat.finish(chat.path[-1].id, Status.COMPLETE, text=answer)


@pytest.fixture
def chat() -> Conversation:
    return exchange(exchange(Conversation(), "one?", "1"), "two?", "2")


def test_a_new_chat_has_an_empty_path():
    chat = Conversation()
    assert chat.path == ()
    assert chat.leaf is None
    assert not chat.can_undo
    assert not chat.can_redo


def test_turns_follow_each_other_on_the_path(chat):
    assert texts(chat) == ["one?", "1", "two?", "2"]
    assert [turn.role for turn in chat.path] == [USER, ASSISTANT, USER, ASSISTANT]
    assert [turn.parent for turn in chat.path] == [None, *(turn.id for turn in chat.path[:-1])]


def test_an_operation_leaves_the_old_value_as_it_was(chat):
    longer = chat.add_user("three?")
    assert texts(chat) == ["one?", "1", "two?", "2"]
    assert texts(longer)[-1] == "three?"


def test_the_first_user_turn_gives_the_title(chat):
    assert chat.title == "one?"


def test_undoing_the_first_turn_takes_its_title_back():
    chat = Conversation().add_user("a secret").undo()
    assert chat.title == ""
    assert chat.redo().title == "a secret"


def test_a_renamed_chat_keeps_its_title(chat):
    assert chat.rename("Numbers").add_user("more").title == "Numbers"


def test_edit_keeps_the_old_turn_as_a_variant_with_what_followed_it(chat):
    first = chat.path[0]
    edited = chat.edit(first.id, "uno?")
    assert texts(edited) == ["uno?"]
    assert edited.path[0].origin == first.id
    assert [turn.text for turn in edited.variants(first.id)] == ["one?", "uno?"]
    assert texts(edited.select(first.id)) == ["one?", "1", "two?", "2"]


def test_an_edited_reply_keeps_what_made_the_original(chat):
    edited = chat.edit(chat.path[1].id, "one")
    assert edited.path[-1].generation == GENERATION


def test_regenerate_keeps_the_old_reply_as_a_variant(chat):
    again = reply(chat, chat.path[0].id, "I")
    assert texts(again) == ["one?", "I"]
    assert [turn.text for turn in again.variants(again.path[-1].id)] == ["1", "I"]


def test_variants_are_in_the_order_in_which_they_were_made(chat):
    for answer in "abcde":
        chat = reply(chat, chat.path[0].id, answer)
    variants = chat.variants(chat.path[1].id)
    assert [turn.text for turn in variants] == ["1", *"abcde"]
    times = [turn.created_at for turn in variants]
    assert times == sorted(set(times))


def test_paging_goes_through_the_variants_and_stops_at_both_ends(chat):
    chat = reply(chat, chat.path[0].id, "I")
    newest = chat.path[1].id
    assert texts(chat.page(newest, -1)) == ["one?", "1", "two?", "2"]
    assert texts(chat.page(newest, -9)) == ["one?", "1", "two?", "2"]
    assert texts(chat.page(newest, +1)) == ["one?", "I"]


def test_select_leads_through_a_turn_and_on_as_it_was_last(chat):
    elsewhere = chat.edit(chat.path[2].id, "deux?")
    there = elsewhere.edit(chat.path[0].id, "uno?")
    assert texts(there.select(chat.path[0].id)) == ["one?", "1", "deux?"]
    assert texts(there.select(chat.path[3].id)) == ["one?", "1", "two?", "2"]


def test_delete_with_what_follows_takes_every_variant_below(chat):
    regenerated = reply(chat, chat.path[2].id, "II")
    shorter = regenerated.delete(chat.path[1].id, following=True)
    assert texts(shorter) == ["one?"]
    assert len(shorter.turns) == 1
    assert shorter.undo().turns == regenerated.turns


def test_delete_of_one_turn_moves_what_follows_up(chat):
    shorter = chat.delete(chat.path[1].id, following=False)
    assert texts(shorter) == ["one?", "two?", "2"]
    assert shorter.path[1].parent == chat.path[0].id


@pytest.mark.parametrize("following", [True, False])
def test_deleting_a_variant_shows_its_neighbour(chat, following):
    for answer in ("b", "c"):
        chat = reply(chat, chat.path[0].id, answer)
    middle = chat.variants(chat.path[1].id)[1]
    shown = chat.select(middle.id).delete(middle.id, following=following)
    assert texts(shown) == ["one?", "c"]


@pytest.mark.parametrize("following", [True, False])
def test_deleting_a_variant_that_is_not_shown_leaves_the_path_as_it_was(chat, following):
    other = reply(chat, chat.path[0].id, "I")
    shown = texts(other)
    assert texts(other.delete(chat.path[1].id, following=following)) == shown
    assert texts(chat) == texts(
        other.select(chat.path[3].id).delete(other.path[1].id, following=following)
    )


def test_continue_writes_on_in_place_and_undo_gives_the_shorter_text_back(chat):
    last = chat.path[-1].id
    cut = chat.update(last, status=Status.TRUNCATED)
    longer = cut.begin_continue(last)
    assert longer.turn(last).status is Status.STREAMING
    longer = longer.finish(last, Status.COMPLETE, text="2 and more")
    assert texts(longer)[-1] == "2 and more"
    assert longer.undo().turn(last) == cut.turn(last)
    assert texts(longer.undo().redo())[-1] == "2 and more"


def test_a_reply_can_start_with_given_words(chat):
    begun = chat.add_user("three?")
    begun = begun.begin_reply(begun.path[-1].id, GENERATION, text="Well,")
    assert begun.path[-1].text == "Well,"
    assert begun.path[-1].status is Status.STREAMING


def test_an_unfinished_reply_keeps_its_text_whatever_happened(chat):
    begun = chat.begin_reply(chat.path[2].id, GENERATION)
    failed = begun.finish(
        begun.path[-1].id, Status.FAILED, text="half", reasoning="hm", error="no memory"
    )
    turn = failed.path[-1]
    assert (turn.text, turn.reasoning, turn.error) == ("half", "hm", "no memory")
    assert turn.status is Status.FAILED


def test_undo_of_everything_gives_back_the_start(chat):
    while chat.can_undo:
        chat = chat.undo()
    assert (dict(chat.turns), dict(chat.selected), chat.title) == ({}, {}, "")
    assert chat.undo() is chat


def test_undo_then_redo_is_the_identity(chat):
    chat = chat.edit(chat.path[0].id, "uno?").set_system_prompt("Be brief.").rename("N")
    back = chat
    while back.can_undo:
        back = back.undo()
    while back.can_redo:
        back = back.redo()
    assert back.turns == chat.turns
    assert back.selected == chat.selected
    assert (back.title, back.system_prompt) == ("N", "Be brief.")
    assert back.redo() is back


def test_working_on_after_an_undo_keeps_the_undone_words_in_reach(chat):
    other = chat.undo().undo().add_user("something else")
    seen = set()
    while other.can_undo:
        other = other.undo()
        seen.update(texts(other))
    assert {"two?", "2"} <= seen


def test_undo_and_redo_lead_to_the_place_that_they_change(chat):
    first = chat.path[0].id
    grown = chat.edit(first, "uno?").select(first).add_user("three?")
    away = grown.page(first, +1)
    assert texts(away) == ["uno?"]
    assert texts(away.undo()) == ["one?", "1", "two?", "2"]
    assert away.undo().redo().selected == away.selected


def test_words_written_after_an_operation_survive_its_undo(chat):
    begun = chat.begin_reply(chat.path[2].id, GENERATION)
    streaming = begun.path[-1].id
    moved = begun.delete(chat.path[2].id, following=False)
    finished = moved.finish(streaming, Status.COMPLETE, text="all of it")
    assert finished.undo().turn(streaming).text == "all of it"
    assert finished.undo().turn(streaming).parent == chat.path[2].id


def test_the_history_has_a_limit():
    chat = Conversation()
    for number in range(HISTORY_LIMIT + 5):
        chat = chat.rename(str(number))
    assert len(chat.history.undo) == HISTORY_LIMIT


def test_a_patch_of_a_long_chat_is_as_small_as_that_of_a_short_one():
    chat = from_messages([{"role": USER, "content": str(n)} for n in range(2000)])
    chat = chat.add_user("more")
    chat = chat.edit(chat.path[-1].id, "less")
    assert max(len(patch.selected) + len(patch.turns) for patch in chat.history.undo) <= 4


def test_fork_holds_the_way_to_a_turn_and_nothing_else(chat):
    chat = chat.set_system_prompt("Be brief.")
    forked = chat.fork(chat.path[1].id)
    assert forked.id != chat.id
    assert texts(forked) == ["one?", "1"]
    assert set(forked.turns) == {turn.id for turn in chat.path[:2]}
    assert (forked.system_prompt, forked.title) == ("Be brief.", "one? (fork)")
    assert not forked.can_undo


def test_a_fork_of_a_reply_that_is_being_written_is_not_being_written(chat):
    begun = chat.begin_reply(chat.path[2].id, GENERATION, text="half")
    forked = begun.fork(begun.path[-1].id)
    assert forked.path[-1].status is Status.STOPPED
    assert forked.path[-1].text == "half"


def test_recovered_marks_what_a_dead_process_left_unfinished(chat):
    begun = chat.begin_reply(chat.path[2].id, GENERATION, text="half")
    assert begun.recovered().path[-1].status is Status.INTERRUPTED
    assert chat.recovered() is chat


def test_recovered_marks_unfinished_replies_in_the_history_too(chat):
    begun = chat.begin_reply(chat.path[2].id, GENERATION, text="half")
    streaming = begun.path[-1].id
    deleted = begun.delete(streaming, following=True).recovered()
    assert deleted.undo().turn(streaming).status is Status.INTERRUPTED
    undone = begun.undo().recovered()
    assert undone.redo().turn(streaming).status is Status.INTERRUPTED


def test_messages_are_the_system_prompt_and_the_path(chat):
    chat = chat.set_system_prompt("Be brief.")
    assert chat.messages()[:2] == (Message("system", "Be brief."), Message("user", "one?"))
    assert len(chat.messages()) == 5
    assert chat.messages(upto=chat.path[0].id)[-1].content == "one?"


def test_messages_leave_out_replies_that_never_said_anything(chat):
    begun = chat.add_user("three?")
    begun = begun.begin_reply(begun.path[-1].id, GENERATION)
    assert begun.messages()[-1] == Message(USER, "three?")


@pytest.mark.parametrize(
    "operation",
    [
        lambda chat: chat.edit("nowhere", "x"),
        lambda chat: chat.delete("nowhere", following=True),
        lambda chat: chat.begin_reply("nowhere", GENERATION),
        lambda chat: chat.begin_continue("nowhere"),
        lambda chat: chat.select("nowhere"),
        lambda chat: chat.page("nowhere", 1),
        lambda chat: chat.fork("nowhere"),
        lambda chat: chat.update("nowhere", text="x"),
    ],
)
def test_an_unknown_turn_is_named(chat, operation):
    with pytest.raises(UnknownTurnError, match="nowhere"):
        operation(chat)


def test_a_chain_of_5000_turns_needs_no_recursion():
    chat = from_messages([{"role": USER, "content": str(n)} for n in range(5000)])
    last = chat.path[-1].id
    assert len(chat.ancestors(last)) == 5000
    assert len(chat.add_user("x").path) == 5001
    assert len(list(chat.descendants(chat.path[0].id))) == 4999
    assert len(chat.fork(last).path) == 5000
    gone = chat.delete(chat.path[1].id, following=True)
    assert len(gone.path) == 1
    assert gone.undo().path == chat.path
    assert len(chat.delete(chat.path[1].id, following=False).path) == 4999


def test_a_leading_system_message_becomes_the_system_prompt():
    chat = from_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "Hi", "reasoning_content": "greet"},
            {"role": "system", "content": "later"},
        ]
    )
    assert chat.system_prompt == "Be brief."
    assert [turn.role for turn in chat.path] == ["user", "assistant", "system"]
    assert chat.path[1].reasoning == "greet"
    assert chat.title == "Hello"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Hello", "Hello"),
        ("  a\n\tb ", "a b"),
        ("", ""),
        ("word " * 30, "word word word word word word word word word word word word…"),
        ("x" * 100, "x" * 59 + "…"),
    ],
)
def test_a_title_is_made_of_the_first_words(text, title):
    assert title_from(text) == title
    assert len(title) <= 60
