"""Things that overlap in time: a load, a reply, a summary, an open editor, a dialog, another chat. Nothing gets mixed up."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
import time

import pytest

from tests.screens.conftest import (
    ROOMY,
    WIDE,
    Desk,
    answered,
    ready,
    say,
    send,
    shown,
    still,
    until,
)
from tests.screens.test_turns import cursor_on, talking, texts
from tests.scripted import ScriptedEngine
from tui.chat.replies import ReplyOrder
from tui.conversation import Status
from tui.conversation.context import OverflowPolicy
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    LoadRequest,
    Overflow,
    StopReason,
)
from tui.screens.chat import ChatScreen, attaching
from tui.screens.turn_details import TurnDetails
from tui.sessions import SessionConflictError, SessionStore
from tui.widgets.turn_editor import TurnEditor


def told(pilot):
    """What is told now, however it is wrapped."""
    return " ".join(one.message for one in pilot.app._notifications)


def answer_with_another_model(screen: ChatScreen) -> None:
    """Have the first message answered by another model, just for once."""
    chat, model = screen.conversation, screen.core.settings.load_request("other")
    screen.core.replies.begin(ReplyOrder(chat.id, chat.path[0].id, model=model))


@contextlib.asynccontextmanager
async def half_written(desk: Desk):
    """A chat whose reply waits for an event before its last word."""
    hold = threading.Event()
    engine = ScriptedEngine(["one two three"], hold=hold)
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "question")
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        yield pilot, screen, hold


async def load(screen, chat_id: str):
    return await asyncio.wrap_future(
        screen.core.writer.run(lambda: screen.core.writer.store.load(chat_id))
    )


async def test_an_editor_whose_turn_is_undone_gives_its_text_back(desk: Desk):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 0)
        await pilot.press("e", *" more", "f8", "f8", "enter")
        await pilot.pause()
        assert pilot.app.is_running
        assert screen.composer.text == "question more"
        assert not screen.query(TurnEditor)


async def test_an_editor_does_not_outlive_its_chat(desk: Desk):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 0)
        await pilot.press("e", "x", "ctrl+n")
        await pilot.pause()
        assert not screen.query(TurnEditor)
        assert not screen.conversation.path


async def test_an_editor_that_is_open_when_a_reply_begins_changes_nothing_under_it(desk: Desk):
    hold, held = threading.Event(), threading.Event()
    engine = ScriptedEngine(["first", "a b"], hold=held)
    held.set()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        engine.load_hold = hold
        held.clear()
        screen.do("model.reload")
        await say(pilot, "two")
        await cursor_on(pilot, screen, 0)
        await pilot.press("e", "x")
        hold.set()
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        await pilot.press("ctrl+s")
        held.set()
        await answered(pilot, screen, 4)
        assert texts(screen) == ["one", "first", "two", "a b"]
        assert screen.composer.text == "onex"


async def test_a_message_that_waits_for_a_load_is_not_answered_in_another_chat(desk: Desk):
    hold = threading.Event()
    engine = ScriptedEngine(["first answer"])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        other = screen.conversation.id
        await pilot.press("ctrl+n")
        engine.load_hold = hold
        screen.do("model.reload")
        await say(pilot, "two")
        await until(pilot, lambda: screen.core.replies.waits_for_model)
        screen.handlers.chats.open(await load(screen, other))
        hold.set()
        await until(pilot, lambda: screen.model.ready)
        await still(pilot, screen)
        assert texts(screen) == ["one", "first answer"]
        assert len(engine.requests) == 1


async def test_a_reply_that_begins_while_the_list_is_open_keeps_its_chat(desk: Desk):
    hold, held = threading.Event(), threading.Event()
    engine = ScriptedEngine(["first answer", "a b c"], hold=held)
    held.set()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+n")
        engine.load_hold = hold
        held.clear()
        screen.do("model.reload")
        await say(pilot, "two")
        await pilot.press("f3")
        await until(pilot, lambda: "one" in shown(pilot) and pilot.app.screen is not screen)
        hold.set()
        await until(pilot, lambda: screen.reply is not None)
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        held.set()
        await until(pilot, lambda: screen.reply is None)
        assert texts(screen) == ["two", "a b c"]


class Stubborn(ScriptedEngine):
    """Keeps its model when the load of another one is cancelled, as an engine does that has not freed it yet."""

    def load(self, request, emit, cancelled):
        if request.model != "other":
            return super().load(request, emit, cancelled)
        self.load_requests.append(request)
        while not cancelled():
            time.sleep(0.01)
        raise Cancelled


async def test_a_reply_by_another_model_is_not_made_by_the_old_one_when_the_load_is_cancelled(desk):
    engine = Stubborn(["first", "second"])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        answer_with_another_model(screen)
        await until(pilot, lambda: len(engine.load_requests) == 2)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: screen.model.ready)
        await still(pilot, screen)
        assert len(engine.requests) == 1
        assert not screen.core.replies.waits_for_model


async def test_a_message_sent_while_another_model_loads_for_one_reply_is_answered_after_it(desk):
    hold = threading.Event()
    engine = ScriptedEngine(["first", "second", "third"])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        engine.load_hold = hold
        answer_with_another_model(screen)
        await say(pilot, "two")
        await until(pilot, lambda: "next: two" in shown(pilot))
        hold.set()
        await until(pilot, lambda: texts(screen)[-1] == "third" and screen.reply is None)
        assert texts(screen) == ["one", "second", "two", "third"]
        assert [request.model for request in engine.load_requests] == [
            "scripted",
            "other",
            "scripted",
        ]
        made = [turn.generation.model for turn in screen.conversation.path if turn.generation]
        assert made == ["other", "scripted"]
        assert [state.model for state in desk.states if state.model] == ["scripted"] * len(
            [state for state in desk.states if state.model]
        )


async def test_a_model_that_the_user_chooses_meanwhile_stays(desk: Desk):
    held = threading.Event()
    engine = ScriptedEngine(["first", "sec ond"], hold=held)
    held.set()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        held.clear()
        answer_with_another_model(screen)
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        screen.core.loader.load(LoadRequest("third-choice"))
        await until(pilot, lambda: screen.model.ready and screen.model.model == "third-choice")
        await still(pilot, screen)
        assert engine.load_requests[-1].model == "third-choice"


def overflow(*costs: int) -> ContextOverflowError:
    return ContextOverflowError(Overflow(sum(costs), 2048, costs))


async def test_a_message_sent_while_a_summary_is_made_waits(desk: Desk):
    held = threading.Event()
    held.set()
    replies = ["one", [overflow(500, 500, 1000)], "the sum mary", "reply A", "reply C"]
    engine = ScriptedEngine(replies, hold=held)
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.core.settings.overflow = OverflowPolicy.SUMMARIZE
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        engine.on_generate = lambda _: held.clear() if len(engine.requests) == 3 else None
        await say(pilot, "two")
        await until(pilot, lambda: screen.core.side.blocks)
        await say(pilot, "three")
        await until(pilot, lambda: "next: three" in shown(pilot))
        held.set()
        await answered(pilot, screen, 6)
        assert texts(screen)[2:] == ["two", "reply A", "three", "reply C"]
        assert all(
            turn.status is not Status.STREAMING for turn in screen.conversation.turns.values()
        )


async def test_a_title_that_comes_before_a_reply_overflows_stays_and_the_reply_goes(desk: Desk):
    engine = ScriptedEngine(["one", "A Title", [overflow(1000, 1000, 1000)]])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        screen.do("chat.title")
        await until(
            pilot, lambda: screen.core.side.is_writing or screen.conversation.title == "A Title"
        )
        send(screen, "two")
        await until(pilot, lambda: screen.conversation.title == "A Title")
        await until(pilot, lambda: pilot.app.screen is not screen)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.conversation.title == "A Title"
        assert texts(screen) == ["one", "one", "two"]
        assert all(
            turn.status is not Status.STREAMING for turn in screen.conversation.turns.values()
        )


async def test_two_things_asked_beside_the_chat_both_come(desk: Desk):
    async with talking(desk, ["answer", "A Title"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        screen.do("chat.title")
        await pilot.press("i", "right")
        await until(pilot, lambda: screen.conversation.title == "A Title")
        await until(pilot, lambda: "<|user|>question" in shown(pilot))


@pytest.mark.parametrize("how", ["regenerate", "continue"])
async def test_a_policy_makes_room_for_whatever_was_asked(desk: Desk, how: str):
    replies = ["one", ["two", StopReason.LENGTH], [overflow(500, 500, 500, 500)], " done"]
    if how == "regenerate":
        replies[2] = [overflow(700, 700, 700)]
    async with talking(desk, replies, ["a", "b"]) as (pilot, screen, engine):
        screen.core.settings.overflow = OverflowPolicy.DROP_OLDEST
        await cursor_on(pilot, screen, 3)
        await pilot.press({"regenerate": "r", "continue": "c"}[how])
        await until(pilot, lambda: len(engine.requests) == 4 and screen.reply is None)
        sent = [message.content for message in engine.requests[-1].messages]
        assert sent == (["b"] if how == "regenerate" else ["b", "two"])
        assert screen.conversation.path[-1].text == (" done" if how == "regenerate" else "two done")


async def test_a_conflict_after_the_chat_was_left_keeps_the_changes_as_a_copy(desk, monkeypatch):
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        chat_id = screen.conversation.id
        real = SessionStore.save

        def refuse(self, conversation):
            if conversation.id == chat_id:
                raise SessionConflictError("Another window has written it.")
            real(self, conversation)

        # What was saved at the end of the reply is no part of this.
        await asyncio.wrap_future(screen.core.writer.run(lambda: None))
        monkeypatch.setattr(SessionStore, "save", refuse)
        screen.core.session.change(lambda chat: chat.edit(chat.path[0].id, "edited words"))
        screen.do("chat.new")
        await until(pilot, lambda: "are kept as “question (copy)”" in told(pilot))
        assert not screen.conversation.path
    kept = [file for file in desk.files() if file["id"] != chat_id]
    assert [entry["content"] for entry in kept[0]["chat_history"]] == ["edited words"]


async def test_a_new_temporary_chat_is_refused_during_a_reply(desk: Desk):
    engine = ScriptedEngine(["a b"], hold=threading.Event())
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await until(pilot, lambda: screen.reply is not None)
        screen.do("chat.temporary")
        assert not screen.core.session.temporary
        await pilot.press("escape")
        await answered(pilot, screen, 2)


async def test_a_fork_of_a_temporary_chat_is_temporary_too(desk: Desk):
    async with talking(desk, ["answer"], []) as (pilot, screen, _):
        screen.do("chat.temporary")
        await say(pilot, "secret")
        await answered(pilot, screen, 2)
        await cursor_on(pilot, screen, 1)
        await pilot.press("f")
        await pilot.pause()
        assert screen.core.session.temporary
    assert desk.files() == []


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("model.reload", "another model was loaded."),
        ("model.unload", "the model was unloaded."),
    ],
)
async def test_a_reply_that_a_model_ended_says_so_and_keeps_its_words(
    desk: Desk, action: str, why: str
):
    async with half_written(desk) as (pilot, screen, hold):
        screen.do(action)
        hold.set()
        await answered(pilot, screen, 2)
        await until(pilot, lambda: f"■ Stopped: {why}" in shown(pilot))
        turn = screen.conversation.path[-1]
        assert (turn.status, turn.error) == (Status.STOPPED, why)
        assert turn.text.startswith("one two")
        await until(pilot, lambda: why in str(desk.files()))


@pytest.mark.parametrize("first", ["user", "load"])
async def test_what_stopped_a_reply_first_is_what_is_said(desk: Desk, first: str):
    async with half_written(desk) as (pilot, screen, hold):
        steps = [lambda: screen.do("reply.stop"), lambda: screen.do("model.reload")]
        for step in steps if first == "user" else steps[::-1]:
            step()
        hold.set()
        await answered(pilot, screen, 2)
        said = "Stopped by you" if first == "user" else "Stopped: another model was loaded"
        await until(pilot, lambda: said in shown(pilot))


async def test_looking_around_in_a_read_only_chat_writes_nothing(desk: Desk):
    async with talking(desk, ["a1", "a2"]) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("r")
        await answered(pilot, screen, 2)
        screen.core.session.read_only = True
        files = len(desk.files())
        await cursor_on(pilot, screen, 1)
        await pilot.press("left")
        await still(pilot, screen)
        assert texts(screen)[-1] == "a1"
        assert screen.core.session.read_only
        assert len(desk.files()) == files


@pytest.mark.parametrize("editor", ["vim '", " ", "/nonexistent/editor"])
async def test_an_editor_that_cant_be_run_is_a_sentence(desk: Desk, monkeypatch, editor: str):
    from contextlib import nullcontext

    monkeypatch.setenv("EDITOR", editor)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        monkeypatch.setattr(pilot.app, "suspend", nullcontext)
        await cursor_on(pilot, screen, 0)
        await pilot.press("E")
        await until(pilot, lambda: "could not be run" in shown(pilot))
        assert texts(screen) == ["question", "answer"]


async def test_what_an_editor_wrote_before_it_was_killed_is_kept(desk: Desk, monkeypatch, tmp_path):
    from contextlib import nullcontext

    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "long thought" > "$1"\nkill -9 $$\n')
    editor.chmod(0o700)
    monkeypatch.setenv("EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        monkeypatch.setattr(pilot.app, "suspend", nullcontext)
        screen.do("composer.edit_outside")
        await until(pilot, lambda: "What you wrote is in" in told(pilot))
        assert [path.read_text() for path in tmp_path.glob("chat-tui-*.md")] == ["long thought\n"]


async def test_a_continued_reply_counts_both_parts(desk: Desk):
    replies = [["one two three", StopReason.LENGTH], " four five"]
    async with talking(desk, replies) as (pilot, screen, _):
        await cursor_on(pilot, screen, 1)
        await pilot.press("c")
        await until(pilot, lambda: texts(screen)[-1] == "one two three four five")
        generation = screen.conversation.path[-1].generation
        assert generation is not None
        assert generation.stats.new_tokens == 5
        assert generation.continued


async def test_reproduce_begins_with_the_same_first_words(desk: Desk):
    async with talking(desk, ["x", "go on", "go on"]) as (pilot, screen, engine):
        screen.core.replies.begin(
            ReplyOrder(screen.conversation.id, screen.conversation.path[0].id, start_text="Well, ")
        )
        await until(pilot, lambda: screen.reply is None and texts(screen)[-1] == "Well, go on")
        await cursor_on(pilot, screen, 1)
        await pilot.press("=")
        await until(pilot, lambda: len(engine.requests) == 3 and screen.reply is None)
        assert engine.requests[1].messages == engine.requests[2].messages
        assert engine.requests[2].continue_last


async def test_choosing_a_quantization_without_a_model_loads_nothing(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("model.unload")
        await until(pilot, lambda: screen.model.info is None and not screen.model.loading)
        screen.query_one("#quantization").value = "4bit"
        await still(pilot, screen)
        assert len(engine.load_requests) == 1


async def test_what_is_typed_during_a_reply_is_counted_when_it_has_ended(desk: Desk):
    held = threading.Event()
    async with desk.app(ScriptedEngine(["a b"], hold=held)).run_test(size=(160, 40)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await until(pilot, lambda: screen.reply is not None)
        await pilot.press(*"one", "space", *"two")
        held.set()
        await answered(pilot, screen, 2)
        words, around = len(["x", "a", "b", "one", "two"]), 4
        await until(pilot, lambda: screen.core.counting.draft_tokens == words + 3 * around)


async def test_the_meter_counts_a_draft_as_the_prompt_that_it_would_make(desk: Desk):
    async with desk.app(ScriptedEngine(["a b"])).run_test(size=(160, 40)) as pilot:
        screen = await ready(pilot)
        screen.core.settings.system_prompt = "Be brief"
        await pilot.press(*"one", "space", *"two")
        await until(pilot, lambda: " 12/" in shown(pilot))
        await pilot.press("enter")
        await answered(pilot, screen, 2)
        assert screen.conversation.path[-1].generation.stats.prompt_tokens == 12
        assert screen.core.counting.draft_tokens is None


async def test_the_prompt_of_a_reply_with_given_first_words_ends_with_them(desk: Desk):
    async with desk.app(ScriptedEngine(["a b"])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        screen.core.replies.begin(
            ReplyOrder(screen.conversation.id, screen.conversation.path[0].id, start_text="Well, ")
        )
        await answered(pilot, screen, 2)
        screen.do("turn.details")
        await until(pilot, lambda: isinstance(pilot.app.screen, TurnDetails))
        await until(pilot, lambda: pilot.app.screen._prompt.endswith("<|assistant|>Well, "))


async def test_a_message_with_a_doubled_sign_that_waited_is_taken_back_as_it_was_typed(desk: Desk):
    async with half_written(desk) as (pilot, screen, hold):
        await pilot.press(*"//quit", "enter")
        await until(pilot, lambda: screen.core.sender.outbox.waiting is not None)
        await pilot.press("escape")
        await until(pilot, lambda: screen.reply is None)
        assert screen.composer.text == "//quit"
        hold.set()
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.conversation.path) == 4 and screen.reply is None)
        assert pilot.app.is_running
        assert screen.conversation.path[2].text == "/quit"


async def test_a_message_that_waited_is_taken_back_with_what_goes_with_it(desk: Desk, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("alpha\nbeta")
    async with half_written(desk) as (pilot, screen, _hold):
        screen.composer.set_text(f"look @{file}")
        await pilot.press("enter")
        await until(pilot, lambda: screen.core.sender.outbox.waiting is not None)
        await pilot.press("up")
        await until(pilot, lambda: screen.composer.text == f"look @{file}")
        assert [one.text for one in screen.view.area.attachments] == ["alpha\nbeta"]


@pytest.fixture
def slow_reading(monkeypatch):
    """Files that are attached are read when the event is set."""
    read, may_go = attaching.text_of, threading.Event()

    def slow(path):
        assert may_go.wait(10)
        return read(path)

    monkeypatch.setattr(attaching, "text_of", slow)
    yield may_go
    may_go.set()


async def test_a_message_whose_file_is_still_read_is_not_sent_in_another_chat(
    desk: Desk, tmp_path, slow_reading
):
    file = tmp_path / "notes.txt"
    file.write_text("alpha")
    async with talking(desk, ["answer"]) as (pilot, screen, _):
        first = screen.conversation.id
        screen.composer.set_text(f"for the first @{file}")
        await pilot.press("enter", "ctrl+n")
        await until(pilot, lambda: screen.conversation.id != first)
        slow_reading.set()
        await until(pilot, lambda: screen.core.drafts.of(first) is not None)
        assert not screen.conversation.path
        assert screen.composer.text == ""
        screen.handlers.chats.open(await load(screen, first))
        await until(pilot, lambda: screen.composer.text == f"for the first @{file}")
        assert [one.text for one in screen.view.area.attachments] == ["alpha"]
        assert len(screen.conversation.path) == 2


async def test_what_is_sent_while_a_file_is_read_goes_behind_it(desk: Desk, tmp_path, slow_reading):
    file = tmp_path / "notes.txt"
    file.write_text("alpha")
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        screen.composer.set_text(f"first @{file}")
        await pilot.press("enter", *"second", "enter")
        slow_reading.set()
        await until(pilot, lambda: len(screen.conversation.path) == 4 and screen.reply is None)
        users = [turn.text for turn in screen.conversation.path if turn.role == "user"]
        assert users[0].startswith("first")
        assert users[1] == "second"
