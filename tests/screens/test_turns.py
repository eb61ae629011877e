"""Acting on turns: what each key does, as a user sees it and finds it on disk."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import asynccontextmanager

import pytest
from textual.widgets import Input

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, still, until
from tests.scripted import ScriptedEngine
from tui.conversation import Status
from tui.engine.base import StopReason, TextDelta
from tui.screens.ask import Ask, AskText
from tui.screens.tree_view import TreeView
from tui.screens.turn_details import TurnDetails
from tui.settings.history import Attachment
from tui.widgets.turn_editor import TurnEditor


@asynccontextmanager
async def talking(
    desk: Desk, replies: Sequence[object], said: Sequence[str] = ("question",), **engine
):
    """A chat in which `said` was answered by `replies`, with the cursor on its last turn."""
    scripted = ScriptedEngine(replies, **engine)
    app = desk.app(scripted)
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        for count, text in enumerate(said, start=1):
            await say(pilot, text)
            await answered(pilot, screen, 2 * count)
        yield pilot, screen, scripted
    app.close()


def texts(screen) -> list[str]:
    return [turn.text for turn in screen.conversation.path]


async def cursor_on(pilot, screen, place: int) -> None:
    """Put the cursor on the turn at `place` of the path with the keys a user has."""
    if screen.focused is not screen.view.transcript:
        await pilot.press("alt+up")
    ids = [turn.id for turn in screen.conversation.path]
    for _ in ids:
        away = place % len(ids) - ids.index(screen.view.transcript.cursor)
        if away:
            await pilot.press("down" if away > 0 else "up")
    assert screen.view.transcript.cursor == ids[place]


async def test_alt_up_puts_the_cursor_on_the_last_turn_and_alt_down_leads_back_to_the_composer(
    desk,
):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        await pilot.press("alt+up")
        assert screen.view.transcript.cursor == screen.conversation.path[-1].id
        await pilot.press("alt+up")
        assert screen.view.transcript.cursor == screen.conversation.path[0].id
        await pilot.press("alt+down", "alt+down")
        assert screen.view.transcript.cursor is None
        assert screen.focused is screen.composer


async def test_r_makes_another_reply_and_keeps_the_old_one_as_a_variant(desk):
    async with talking(desk, ["first", "second"]) as (pilot, screen, engine):
        await cursor_on(pilot, screen, 1)
        await pilot.press("r")
        await until(pilot, lambda: screen.reply is None and texts(screen) == ["question", "second"])
        await until(pilot, lambda: "2/2" in shown(pilot))
        assert engine.requests[0].messages == engine.requests[1].messages
        await cursor_on(pilot, screen, 1)
        await pilot.press("left")
        await until(pilot, lambda: "first" in shown(pilot) and "1/2" in shown(pilot))
    assert desk.files()[0]["chat_history"][-1]["content"] == "first"
    assert len(desk.files()[0]["tree"]["turns"]) == 3


async def test_paging_brings_back_what_followed_each_variant(desk):
    async with talking(desk, ["a1", "a2", "b1"], ["one", "two"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("r")
        await answered(pilot, screen, 2)
        assert texts(screen) == ["one", "b1"]
        await cursor_on(pilot, screen, 1)
        await pilot.press("[")
        assert texts(screen) == ["one", "a1", "two", "a2"]
        await pilot.press("]")
        assert texts(screen) == ["one", "b1"]


async def test_e_edits_a_user_turn_in_place_and_has_it_answered(desk):
    async with talking(desk, ["first", "second"]) as (pilot, screen, engine):
        await cursor_on(pilot, screen, 0)
        await pilot.press("e")
        editor = screen.query_one(TurnEditor)
        assert editor.text == "question"
        await pilot.press(*"!!", "enter")
        await answered(pilot, screen, 2)
        assert texts(screen) == ["question!!", "second"]
        assert [message.content for message in engine.requests[-1].messages] == ["question!!"]
        assert not screen.query(TurnEditor)
        await cursor_on(pilot, screen, 0)
        await pilot.press("left")
        assert texts(screen) == ["question", "first"]


async def test_e_edits_a_reply_in_place_without_asking_the_model(desk):
    async with talking(desk, ["wrong"]) as (pilot, screen, engine):
        await cursor_on(pilot, screen, 1)
        await pilot.press("e", *" indeed", "ctrl+j", *"yes", "enter")
        await pilot.pause()
        assert texts(screen) == ["question", "wrong indeed\nyes"]
        assert len(engine.requests) == 1
        assert (
            screen.conversation.path[1].origin
            == screen.conversation.variants(screen.conversation.path[1].id)[0].id
        )
        assert "edited" in shown(pilot)


async def test_escape_leaves_an_edited_turn_as_it_was(desk):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 0)
        await pilot.press("e", "x", "escape")
        await pilot.pause()
        assert texts(screen) == ["question", "answer"]
        assert len(screen.conversation.turns) == 2


async def test_c_writes_on_at_the_end_of_a_stopped_reply(desk):
    replies = [["once upon", StopReason.LENGTH], " a time"]
    async with talking(desk, replies) as (pilot, screen, engine):
        assert screen.conversation.path[-1].status is Status.TRUNCATED
        await cursor_on(pilot, screen, 1)
        await pilot.press("c")
        await until(pilot, lambda: texts(screen)[-1] == "once upon a time")
        request = engine.requests[-1]
        assert request.continue_last
        assert request.messages[-1].content == "once upon"
        assert screen.conversation.path[-1].status is Status.COMPLETE
        assert len(screen.conversation.turns) == 2
        await pilot.press("f8")
        assert texts(screen)[-1] == "once upon"


async def test_d_takes_out_one_turn_and_u_brings_it_back(desk):
    async with talking(desk, ["a1", "a2"], ["one", "two"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("delete")
        assert texts(screen) == ["one", "two", "a2"]
        await pilot.press("u")
        assert texts(screen) == ["one", "a1", "two", "a2"]
        await pilot.press("U")
        assert texts(screen) == ["one", "two", "a2"]


async def test_shift_d_takes_out_all_that_follows_and_undo_holds_after_a_restart(desk):
    async with talking(desk, ["a1", "a2"], ["one", "two"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("shift+delete")
        assert texts(screen) == ["one"]
        chat_id = screen.conversation.id
    opened = desk.store.load(chat_id).conversation
    assert [turn.text for turn in opened.path] == ["one"]
    assert [turn.text for turn in opened.undo().path] == ["one", "a1", "two", "a2"]


async def test_f_goes_on_in_a_new_chat_that_holds_only_the_way_to_the_turn(desk):
    async with talking(desk, ["a1", "a2", "a3"], ["one", "two"]) as (pilot, screen, _):
        old = screen.conversation.id
        await cursor_on(pilot, screen, 1)
        await pilot.press("f")
        await until(pilot, lambda: screen.conversation.id != old)
        assert texts(screen) == ["one", "a1"]
        await say(pilot, "other")
        await answered(pilot, screen, 4)
    histories = sorted([m["content"] for m in file["chat_history"]] for file in desk.files())
    assert histories == [["one", "a1", "other", "a3"], ["one", "a1", "two", "a2"]]


async def test_y_copies_the_source_and_shift_y_what_is_shown(desk, monkeypatch):
    async with talking(desk, ["some **bold** \x1b[31m words"]) as (pilot, screen, _):
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await cursor_on(pilot, screen, 1)
        await pilot.press("y")
        await pilot.press("Y")
        assert copied[0] == "some **bold** ␛[31m words"
        assert "bold" in copied[1]
        assert "**" not in copied[1]


async def test_b_copies_code_blocks_from_the_last_to_the_first(desk, monkeypatch):
    reply = "text\n```python\na = 1\n```\nmore\n~~~\nb = 2\nc = 3\n~~~\nend"
    async with talking(desk, [reply]) as (pilot, screen, _):
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await cursor_on(pilot, screen, 1)
        await pilot.press("b", "b", "b")
        assert copied == ["b = 2\nc = 3", "a = 1", "b = 2\nc = 3"]


async def test_q_quotes_a_turn_into_the_message(desk):
    async with talking(desk, ["line one\n\nline two"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("q")
        assert screen.composer.text == "> line one\n>\n> line two\n\n"
        assert screen.focused is screen.composer


async def test_a_quote_starts_on_its_own_line(desk):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        screen.composer.set_text("abc")
        await cursor_on(pilot, screen, 1)
        await pilot.press("q")
        assert screen.composer.text == "abc\n> first\n\n"


async def test_deleting_a_variant_says_that_another_one_is_shown(desk):
    async with talking(desk, ["first", "second"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("r")
        await until(pilot, lambda: screen.reply is None and texts(screen) == ["question", "second"])
        await cursor_on(pilot, screen, 1)
        await pilot.press("delete")
        await until(pilot, lambda: "Variant deleted; another variant is shown." in shown(pilot))
        await pilot.press("delete")
        await until(pilot, lambda: "1 turn deleted." in shown(pilot))


async def test_paging_keeps_the_turn_in_view_however_long_its_branch_is(desk):
    long = "\n\n".join(f"line {number}" for number in range(80))
    async with talking(desk, ["short", long]) as (pilot, screen, _):
        first = screen.conversation.path[0].id
        screen.core.session.change(lambda chat: chat.edit(first, "other question"))
        screen.core.replies.answer(screen.conversation.path[0].id)
        await answered(pilot, screen, 2)
        screen.do("composer.focus")
        screen.core.session.navigate(lambda chat: chat.select(first))
        screen.view.transcript.follow()
        await still(pilot, screen)
        await pilot.press("alt+up", "alt+up")
        for key, text in (("right", "other question"), ("left", "question")):
            await pilot.press(key)
            await until(pilot, lambda text=text: texts(screen)[0] == text)
            await still(pilot, screen)
            transcript = screen.view.transcript
            seen = transcript.turn_region(transcript.cursor)
            assert seen is not None
            assert seen in transcript.region


async def test_i_shows_the_prompt_as_the_model_saw_it(desk):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(pilot.app.screen, TurnDetails))
        await pilot.press("right")
        await until(pilot, lambda: "<|user|>question" in shown(pilot))


async def test_t_shows_the_turn_cut_into_tokens(desk):
    async with talking(desk, ["two words"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("t")
        await until(pilot, lambda: "two words" in shown(pilot) and "2 tokens" in shown(pilot))


async def test_w_writes_the_last_code_block_to_a_new_file(desk, tmp_path):
    async with talking(desk, ["```\nfirst\n```\n\n```py\nlast\n```\n"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("w")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(tmp_path / "code.py")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "code.py").exists())
        await until(pilot, lambda: "Saved to" in shown(pilot))
        assert (tmp_path / "code.py").read_text() == "last\n"


async def test_w_writes_the_block_that_b_chose_under_a_name_of_its_language_and_asks_before_replacing(
    desk, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code.py").write_text("old")
    reply = "- item\n\n  ```python\n  a = 1\n  ```\n\n> ~~~\n> quoted\n> ~~~\n"
    async with talking(desk, [reply]) as (pilot, screen, _):
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)
        await cursor_on(pilot, screen, 1)
        await pilot.press("b", "b")
        assert copied == ["quoted", "a = 1"]
        await pilot.press("w")
        await until(pilot, lambda: "1 line" in shown(pilot))
        assert pilot.app.screen.query_one(Input).value == "code.py"
        await pilot.press("enter")
        await until(pilot, lambda: "already" in shown(pilot))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        assert pilot.app.screen.query_one(Input).value == "code.py"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("right", "enter")
        await until(pilot, lambda: "Saved to" in shown(pilot))
        assert (tmp_path / "code.py").read_text() == "a = 1\n"


async def test_v_marks_a_block_that_keys_move_over_and_copy(desk, monkeypatch):
    reply = "first **words**\n\n- one\n- two\n\n```py\nx = 1\n```\n\nlast"
    async with talking(desk, [reply]) as (pilot, screen, _):
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy_to_clipboard", copied.append)

        def marked() -> list[str]:
            rows = [row for row in shown(pilot).split("\n") if "┃" in row]
            return [row.partition("┃")[2].strip(" │▏") for row in rows]

        await cursor_on(pilot, screen, 1)
        await pilot.press("v", "y", "Y")
        await until(pilot, lambda: "The block was copied as plain text." in shown(pilot))
        assert copied == ["first **words**", "first words"]
        await until(pilot, lambda: [row[:11] for row in marked()] == ["first words"])
        await pilot.press("down", "y", "j", "y", "Y", "up", "Y")
        assert copied[2:] == ["- one\n- two", "```py\nx = 1\n```", "x = 1", "• one\n• two"]
        await until(pilot, lambda: [row[:5] for row in marked()] == ["• one", "• two"])
        await pilot.press("escape")
        await until(pilot, lambda: marked() == [])
        assert screen.focused is screen.view.transcript
        await pilot.press("y")
        assert copied[-1] == reply
        await pilot.press("v", "down", "up", "escape", "escape")
        assert screen.focused is screen.composer


async def test_shift_r_makes_one_reply_with_other_parameters_and_first_words(desk):
    async with talking(desk, ["first", "go on"]) as (pilot, screen, engine):
        await cursor_on(pilot, screen, 1)
        await pilot.press("R")
        await until(pilot, lambda: pilot.app.screen is not screen)
        dialog = pilot.app.screen
        await pilot.pause()
        field = dialog.query_one("#parameter-temperature Input", Input)
        field.focus()
        await pilot.press(*"1.5")
        dialog.query_one("#start").focus()
        await pilot.press(*"Well,")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: screen.reply is None and len(engine.requests) == 2)
        await until(pilot, lambda: texts(screen)[-1] == "Well,go on")
        assert engine.requests[-1].parameters["temperature"] == 1.5
        assert engine.requests[-1].continue_last
        assert "temperature" not in screen.core.settings.parameters


async def test_a_reply_to_which_the_model_adds_nothing_stays_as_it_was(desk):
    async with talking(desk, ["all of it", []]) as (pilot, screen, engine):
        before = screen.conversation.path[-1]
        await cursor_on(pilot, screen, 1)
        await pilot.press("c")
        await until(pilot, lambda: len(engine.requests) == 2 and screen.reply is None)
        await until(pilot, lambda: "had nothing to add" in shown(pilot))
        assert screen.conversation.path[-1] == before
        assert not screen.conversation.can_redo


async def test_reproduce_asks_with_the_seed_and_parameters_of_the_reply(desk):
    async with talking(desk, ["same", "same"]) as (pilot, screen, engine):
        screen.core.settings.parameters["temperature"] = 1.9
        await cursor_on(pilot, screen, 1)
        await pilot.press("=")
        await until(pilot, lambda: len(engine.requests) == 2 and screen.reply is None)
        assert engine.requests[-1].parameters == {"seed": 1}
        assert engine.requests[-1].cached_at_most == 0
        assert engine.requests[-1].messages == engine.requests[0].messages


async def test_the_tree_shows_every_branch_and_jumps_to_a_turn(desk):
    async with talking(desk, ["a1", "a2", "b1"], ["one", "two"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("r")
        await answered(pilot, screen, 2)
        await pilot.press("f6")
        await until(pilot, lambda: isinstance(pilot.app.screen, TreeView))
        await until(pilot, lambda: all(word in shown(pilot) for word in ("a1", "a2", "b1", "two")))
        await pilot.press("up", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.view.transcript.cursor in {turn.id for turn in screen.conversation.path}


async def test_no_turn_is_changed_while_a_reply_is_written(desk):
    hold = threading.Event()
    hold.set()
    async with talking(desk, ["first", [TextDelta("x"), TextDelta("y")]], hold=hold) as (
        pilot,
        screen,
        _,
    ):
        hold.clear()
        await say(pilot, "more")
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        before = set(screen.conversation.turns)
        await pilot.press("alt+up", "up", "delete", "shift+delete", "e", "r", "c", "u", "f")
        assert set(screen.conversation.turns) == before
        assert not screen.query(TurnEditor)
        hold.set()
        await answered(pilot, screen, 4)


async def test_editor_changes_come_back_from_outside(desk, monkeypatch):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        monkeypatch.setattr(screen.handlers.editing, "edit_outside", lambda text: text.upper())
        await cursor_on(pilot, screen, 0)
        await pilot.press("E")
        await pilot.pause()
        assert texts(screen)[0] == "QUESTION"


async def test_an_editor_that_is_not_there_says_so(desk, monkeypatch):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        from contextlib import nullcontext

        monkeypatch.setenv("EDITOR", "/nonexistent/editor")
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setattr(pilot.app, "suspend", nullcontext)
        await cursor_on(pilot, screen, 0)
        await pilot.press("E")
        await until(pilot, lambda: "could not be run" in shown(pilot))
        assert texts(screen) == ["question", "answer"]


async def test_the_model_finds_a_title_on_request(desk):
    async with talking(desk, ["answer", '"A Fine Title."']) as (pilot, screen, engine):
        screen.do("chat.title")
        await until(pilot, lambda: screen.conversation.title == "A Fine Title")
        assert len(screen.conversation.path) == 2
        assert "title" in engine.requests[-1].messages[-1].content
    assert desk.files()[0]["title"] == "A Fine Title"


async def test_a_temporary_chat_leaves_no_file(desk):
    async with talking(desk, ["answer"], []) as (pilot, screen, _):
        screen.do("chat.temporary")
        await say(pilot, "secret")
        await answered(pilot, screen, 2)
        assert "not saved" in shown(pilot)
    assert desk.files() == []
    assert not [
        path
        for path in desk.paths.data.rglob("*")
        if b"secret" in (path.read_bytes() if path.is_file() else b"")
    ]


@pytest.mark.parametrize(
    "key",
    ["e", "r", "c", "d", "D", "f", "y", "Y", "b", "q", "i", "m", "u", "U", "left", "right", "="],
)
async def test_no_key_does_harm_in_an_empty_chat(desk, key):
    async with talking(desk, ["answer"], []) as (pilot, screen, _):
        screen.view.transcript.focus()
        await pilot.press(key)
        await pilot.pause()
        assert not screen.conversation.path
        assert pilot.app.is_running


async def test_the_attachments_of_an_edited_turn_are_named_and_can_be_removed(desk: Desk):
    engine = ScriptedEngine(["one", "two"])
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        files = (Attachment("a[b].txt", "first"), Attachment("notes.md", "second"))
        screen.view.area.set_attachments(files)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("alt+up", "up", "e")
        await until(pilot, lambda: "Edit · a[b].txt, notes.md" in shown(pilot))
        await pilot.press("home", "backspace")
        await until(pilot, lambda: "Edit · a[b].txt ·" in shown(pilot))
        await pilot.press("enter")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: len(engine.requests) == 2)
        assert "second" in engine.requests[0].messages[-1].content
        assert "second" not in engine.requests[1].messages[-1].content
        assert "first" in engine.requests[1].messages[-1].content
