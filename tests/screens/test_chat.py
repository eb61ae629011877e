"""What a user sees and finds on disk when talking."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path

from textual.widgets import Static

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, shown, still, until
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.conversation import Status
from tui.engine.base import (
    FailureCause,
    GenerationError,
    LoadRequest,
    ModelLoadError,
    PromptDescribed,
    PromptReady,
    ReasoningFound,
    StopReason,
    TextDelta,
)
from tui.screens.ask import Ask, AskText
from tui.screens.chat import ChatScreen
from tui.screens.models.picker import ModelPicker
from tui.screens.session_list import SessionList
from tui.widgets.status_bar import StatusBar


async def test_a_message_is_answered_and_both_turns_are_on_disk(desk: Desk) -> None:
    app = desk.app(ScriptedEngine(["The sky is **blue**."]))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "why")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "blue" in shown(pilot))
        assert "why" in shown(pilot)
        assert "**" not in shown(pilot)
    app.close()
    (file,) = desk.files()
    assert file["chat_history"] == [
        {"role": "user", "content": "why"},
        {"role": "assistant", "content": "The sky is **blue**."},
    ]


async def test_the_user_turn_is_on_disk_before_the_engine_is_asked(desk: Desk) -> None:
    seen: list[list[dict[str, str]]] = []
    engine = ScriptedEngine(
        on_generate=lambda _request: seen.append(desk.files()[0]["chat_history"])
    )
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first")
        await answered(pilot, screen, 2)
    assert seen == [[{"role": "user", "content": "first"}]]


async def test_the_whole_chat_and_the_system_prompt_are_sent(desk: Desk) -> None:
    engine = ScriptedEngine(["one", "two"])
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.query_one("#system-prompt").focus()
        await pilot.press(*"Brief")
        await say(pilot, "a")
        await answered(pilot, screen, 2)
        await say(pilot, "b")
        await answered(pilot, screen, 4)
    sent = [(message.role, message.content) for message in engine.requests[-1].messages]
    assert sent == [("system", "Brief"), ("user", "a"), ("assistant", "one"), ("user", "b")]


async def test_text_streams_before_the_reply_ends(desk: Desk) -> None:
    hold = threading.Event()
    async with desk.app(ScriptedEngine(["early words late"], hold=hold)).run_test(
        size=ROOMY
    ) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await until(pilot, lambda: "early words" in shown(pilot))
        assert "late" not in shown(pilot)
        hold.set()
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "late" in shown(pilot))


async def test_escape_stops_the_reply_and_keeps_what_was_said(desk: Desk) -> None:
    app = desk.app(ScriptedEngine(["kept words never"], hold=threading.Event()))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await until(pilot, lambda: "kept words" in shown(pilot))
        await pilot.press("escape")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "Stopped" in shown(pilot))
    app.close()
    turn = desk.files()[0]["tree"]["turns"][-1]
    assert turn["status"] == "stopped"
    assert turn["content"].strip() == "kept words"


async def test_a_failed_reply_keeps_its_text_and_says_why(desk: Desk) -> None:
    engine = ScriptedEngine(
        [["half of it ", GenerationError("The device is gone.", "Load it again.")]]
    )
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await answered(pilot, screen, 2)
        leaf = screen.conversation.leaf
        assert leaf is not None
        assert (leaf.status, leaf.text.strip()) == (Status.FAILED, "half of it")
        await until(pilot, lambda: "The device is gone." in shown(pilot))
        assert "half of it" in shown(pilot)
        await say(pilot, "again")
        await answered(pilot, screen, 4)


async def test_what_turned_out_to_be_reasoning_is_folded_and_kept_as_such(desk: Desk) -> None:
    found = ReasoningFound("I look at it.", "</think>")
    engine = ScriptedEngine([[TextDelta("I look "), TextDelta("at it."), found, TextDelta("Yes.")]])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await answered(pilot, screen, 2)
        turn = screen.conversation.path[-1]
        assert (turn.text, turn.reasoning) == ("Yes.", "I look at it.")
        await until(pilot, lambda: "Yes." in shown(pilot) and "I look" not in shown(pilot))


async def test_a_reply_cut_at_its_token_limit_says_so(desk: Desk) -> None:
    engine = ScriptedEngine([["some text ", StopReason.LENGTH]])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await answered(pilot, screen, 2)
        assert screen.conversation.path[-1].status is Status.TRUNCATED


async def test_a_changed_parameter_holds_for_the_next_reply_and_is_remembered(desk: Desk) -> None:
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.query_one("#parameter-temperature Input").focus()
        await pilot.press(*"0.3")
        await say(pilot, "x")
        await answered(pilot, screen, 2)
    assert engine.requests[0].parameters == {"temperature": 0.3}
    assert desk.states[-1].parameters == {"temperature": 0.3}


async def test_an_invalid_parameter_is_refused_in_place_with_the_reason(desk: Desk) -> None:
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.query_one("#parameter-top_p Input").focus()
        await pilot.press(*"7")
        await pilot.pause()
        assert "Must be from 0 to 1, not 7." in " ".join(shown(pilot).split())
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        # It stays, with what was typed, until it is mended.
        assert "Must be from 0 to 1, not 7." in " ".join(shown(pilot).split())
    assert engine.requests[0].parameters == {}


async def test_arrow_keys_step_a_parameter_from_its_default(desk: Desk) -> None:
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        field = screen.query_one("#parameter-temperature Input")
        field.focus()
        await pilot.press("down", "down")
        assert field.value == "0.5"


async def test_a_message_sent_while_the_model_loads_is_answered_when_it_is_there(
    desk: Desk,
) -> None:
    hold = threading.Event()
    async with desk.app(ScriptedEngine(["late answer"], load_hold=hold)).run_test(
        size=ROOMY
    ) as pilot:
        screen = pilot.app.screen
        await say(pilot, "early")
        await until(pilot, lambda: bool(desk.files()))
        assert "early" in shown(pilot)
        hold.set()
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "late answer" in shown(pilot))


async def test_a_failed_load_says_why_and_another_model_can_be_picked(
    desk: Desk, tmp_path: Path
) -> None:
    engine = ScriptedEngine(
        load_error=ModelLoadError("There is no model 'x/y'.", "Check the name.")
    )
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = pilot.app.screen
        await until(pilot, lambda: not screen.model.loading)
        await until(pilot, lambda: "There is no model 'x/y'." in shown(pilot))
        assert "no model" in shown(pilot)
        engine.load_error = None
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
        folder = tmp_path / "good"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        pilot.app.screen.query_one("Input").value = str(folder)
        await pilot.press("enter")
        await until(pilot, lambda: screen.model.ready)
        assert engine.load_requests[-1].model == str(folder)


async def test_a_failed_load_keeps_the_model_that_was_there(desk: Desk) -> None:
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        engine.load_error = ModelLoadError("There is no model 'x/y'.")
        screen.core.loader.load(LoadRequest("x/y"))
        await until(pilot, lambda: not screen.model.loading)
        await until(pilot, lambda: "There is no model 'x/y'." in shown(pilot))
        assert screen.model.ready
        assert screen.model.model == "scripted"
        await say(pilot, "still there")
        await answered(pilot, screen, 2)


@dataclass
class Replacing(ScriptedEngine):
    """Frees its model before it loads another one, as llama.cpp does."""

    cause: FailureCause = FailureCause.OTHER

    def load(self, request, emit, cancelled):
        self._loaded = None
        if request.model == "x/broken":
            raise ModelLoadError("It is broken.", "Use another file.", cause=self.cause)
        return super().load(request, emit, cancelled)


async def test_a_failed_load_that_has_cost_the_model_brings_it_back(desk: Desk) -> None:
    async with desk.app(Replacing()).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.core.loader.load(LoadRequest("x/broken"))
        await until(pilot, lambda: "It is broken." in shown(pilot))
        await until(pilot, lambda: screen.model.ready)
        assert screen.model.model == "scripted"
        await say(pilot, "still there")
        await answered(pilot, screen, 2)


async def test_without_enough_memory_the_model_comes_back_if_nothing_is_chosen(desk: Desk) -> None:
    engine = Replacing(cause=FailureCause.MEMORY)
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.core.loader.load(LoadRequest("x/broken"))
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert not screen.model.ready
        await pilot.press("escape")
        await until(pilot, lambda: screen.model.ready)
        assert screen.model.model == "scripted"


async def test_another_quantization_loads_the_model_again(desk: Desk) -> None:
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.query_one("#quantization").value = "4bit"
        await until(pilot, lambda: len(engine.load_requests) == 2 and screen.model.ready)
        assert engine.load_requests[-1].quantization == "4bit"
        assert "Quantization  4-bit nf4" in shown(pilot)


async def test_escape_cancels_a_load(desk: Desk) -> None:
    engine = ScriptedEngine(load_hold=threading.Event())
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = pilot.app.screen
        await until(pilot, lambda: engine.load_requests)
        await pilot.press("escape")
        assert screen.model.loading
        await until(pilot, lambda: "Press Esc again to stop loading" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not screen.model.loading)
        assert screen.model.info is None
        assert "no model" in shown(pilot)


async def test_escape_closes_what_is_open_and_leaves_a_load_alone(desk: Desk) -> None:
    engine = ScriptedEngine(load_hold=threading.Event())
    async with desk.app(engine).run_test(size=(80, 24), notifications=True) as pilot:
        screen = pilot.app.screen
        await until(pilot, lambda: engine.load_requests)
        await pilot.press("f2")
        assert screen.has_class("-sidebar")
        await pilot.press("escape")
        assert not screen.has_class("-sidebar")
        await pilot.press("ctrl+f", "escape")
        await until(pilot, lambda: screen.focused is screen.composer)
        assert screen.model.loading
        assert not screen.model._is_stopping


async def test_the_list_of_chats_opens_during_a_reply_and_leaving_keeps_what_was_said(
    desk: Desk,
) -> None:
    engine = ScriptedEngine(["alpha", "kept words never"])
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+n")
        engine.hold = threading.Event()
        await say(pilot, "two")
        await until(pilot, lambda: "kept words" in shown(pilot))
        left = screen.conversation.id
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SessionList))
        assert screen.reply is not None
        await pilot.press(*"one", "enter")
        await until(pilot, lambda: pilot.app.screen is screen and "alpha" in shown(pilot))
        await until(pilot, lambda: "was stopped" in shown(pilot))
        kept = desk.store.load(left, lock=False).conversation.path[-1]
        assert (kept.text.strip(), kept.status) == ("kept words", Status.STOPPED)


async def test_the_open_chat_is_renamed_in_the_list_while_its_reply_is_written(desk: Desk) -> None:
    engine = ScriptedEngine(["kept words and more"], hold=threading.Event())
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "question")
        await until(pilot, lambda: "kept words and" in shown(pilot))
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SessionList))
        await until(pilot, lambda: "question" in shown(pilot))
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await pilot.press("ctrl+u", *"Named", "enter")
        await until(pilot, lambda: screen.conversation.title == "Named")
        assert screen.reply is not None
        engine.hold.set()
        await pilot.press("escape")
        await answered(pilot, screen, 2)
        assert "Named" in shown(pilot)
        assert "kept words and more" in shown(pilot)
        said = ["question", "kept words and more"]
        chat_id = screen.conversation.id

        def texts() -> list[str]:
            path = desk.store.load(chat_id, lock=False).conversation.path
            return [turn.text.strip() for turn in path]

        await until(pilot, lambda: texts() == said)
        kept = desk.store.load(chat_id, lock=False).conversation
        assert kept.title == "Named"
        assert kept.path[-1].status is Status.COMPLETE


async def test_a_newer_error_of_the_same_origin_takes_the_place_of_the_older(desk: Desk) -> None:
    async with desk.app().run_test(size=(80, 24), notifications=True) as pilot:
        screen = await ready(pilot)
        screen.ui.tell("first failure", title="The model was not loaded", severity="error")
        await until(pilot, lambda: "first failure" in shown(pilot))
        screen.ui.tell("something else", title="The chat was not saved", severity="error")
        screen.ui.tell("a warning", severity="warning")
        screen.ui.tell("second failure", title="The model was not loaded", severity="error")
        await until(pilot, lambda: "second failure" in shown(pilot))
        await until(pilot, lambda: "first failure" not in shown(pilot), 3)
        await until(pilot, lambda: "something else" in shown(pilot) and "a warning" in shown(pilot))


async def test_a_saved_chat_is_reopened_from_the_list(desk: Desk) -> None:
    app = desk.app(ScriptedEngine(["alpha", "beta"]))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+n")
        assert "alpha" not in shown(pilot)
        await say(pilot, "two")
        await answered(pilot, screen, 2)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SessionList))
        await pilot.press(*"one", "enter")
        await until(pilot, lambda: pilot.app.screen is screen and "alpha" in shown(pilot))
        assert "beta" not in shown(pilot)
        await say(pilot, "more")
        await answered(pilot, screen, 4)
    app.close()
    assert sorted(len(file["chat_history"]) for file in desk.files()) == [2, 4]


async def test_the_newest_chat_goes_on_after_a_restart(desk: Desk) -> None:
    first = desk.app(ScriptedEngine(["alpha"]))
    async with first.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
    first.close()
    newest = desk.store.newest()
    assert newest is not None
    engine = ScriptedEngine(["beta"])
    start = Start(desk.store.load(newest), LoadRequest("scripted"))
    async with desk.app(engine, start=start).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "alpha" in shown(pilot))
        await say(pilot, "two")
        await answered(pilot, screen, 4)
    assert [message.content for message in engine.requests[0].messages] == ["one", "alpha", "two"]


async def test_quitting_in_the_middle_of_a_reply_keeps_what_was_said(desk: Desk) -> None:
    app = desk.app(ScriptedEngine(["kept words never"], hold=threading.Event()))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        await ready(pilot)
        await say(pilot, "go")
        await until(pilot, lambda: "kept words" in shown(pilot))
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    app.close()
    turn = desk.files()[0]["tree"]["turns"][-1]
    assert turn["status"] == "stopped"
    assert turn["content"].strip() == "kept words"


async def test_a_stop_that_takes_its_time_is_shown(desk: Desk) -> None:
    engine = ScriptedEngine(["one two three"], word_s=2.0)
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "Count.")
        await until(pilot, lambda: engine.requests)
        await pilot.press("escape")
        await until(pilot, lambda: "stopping" in shown(pilot))
        await until(pilot, lambda: screen.reply is None)
        assert "stopping" not in shown(pilot)


async def test_ctrl_c_stops_the_reply_and_quits_only_when_pressed_twice(desk: Desk) -> None:
    app = desk.app(ScriptedEngine(["said never"], hold=threading.Event()))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        await pilot.press("ctrl+c")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "again to quit" in shown(pilot))
        assert app.is_running
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running)


async def test_model_text_never_reaches_the_screen_raw(desk: Desk) -> None:
    evil = "a \x1b]52;c;aGk=\x07 b \x9b31m c \u202e d [bold]e[/bold] [/] f"
    async with desk.app(ScriptedEngine([evil])).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "[bold]e[/bold] [/] f" in shown(pilot))
        assert not set(shown(pilot)) & set("\x1b\x07\x9b\u202e")


async def test_a_message_sent_during_a_reply_waits_visibly_and_goes_when_it_has_ended(
    desk: Desk,
) -> None:
    hold = threading.Event()
    engine = ScriptedEngine(["a b", "second answer"], hold=hold)
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await until(pilot, lambda: screen.reply is not None)
        await say(pilot, "two")
        await until(pilot, lambda: "next: two" in shown(pilot))
        assert screen.composer.text == ""
        assert len(screen.conversation.path) == 2
        hold.set()
        await answered(pilot, screen, 4)
        assert [turn.text for turn in screen.conversation.path][2:] == ["two", "second answer"]
        assert "next: two" not in shown(pilot)


async def test_a_waiting_message_is_taken_back_with_up_and_comes_back_when_the_reply_is_stopped(
    desk: Desk,
) -> None:
    engine = ScriptedEngine(["a b"], hold=threading.Event())
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        await say(pilot, "two")
        await pilot.press("up")
        await until(pilot, lambda: screen.composer.text == "two")
        assert "next:" not in shown(pilot)
        await pilot.press(*" x", "enter")
        await until(pilot, lambda: "next: two x" in shown(pilot))
        await pilot.press("escape")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: screen.composer.text == "two x")


async def test_the_status_bar_shows_memory_context_and_speed(desk: Desk) -> None:
    async with desk.app().run_test(size=(160, 40)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: " 11/2k" in shown(pilot))
        line = str(screen.query_one(StatusBar).render())
        assert "RAM 8.0/24.0 GB" in line
        assert "tok/s" in line
        assert "first token 0.1 s" in line


async def test_what_the_chat_took_before_a_reply_is_not_shown_as_what_it_takes_after(
    desk: Desk, monkeypatch
):
    """A count that was asked for before the reply can be there only when the reply is over."""
    async with desk.app().run_test(size=(160, 40)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: " 11/2k" in shown(pilot))
        is_late, asked = asyncio.Event(), []

        async def late(request):
            asked.append(request)
            await is_late.wait()
            return PromptDescribed("", 11 if request is asked[0] else 18)

        monkeypatch.setattr(screen.core.side, "describe", late)
        screen.core.counting.chat_tokens = None
        screen.core.counting.touch()
        await until(pilot, lambda: asked)
        await say(pilot, "y")
        await answered(pilot, screen, 4)
        is_late.set()
        await pilot.pause()
        screen._painter.show_status()
        await pilot.pause()
        assert " 18/2k" in shown(pilot)


async def test_the_screen_is_not_laid_out_anew_while_nothing_changes(desk: Desk, monkeypatch):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await still(pilot, screen)
        laid_out: list[object] = []
        monkeypatch.setattr(screen, "_refresh_layout", lambda *given, **_: laid_out.append(given))
        for _ in range(3):
            screen._painter.read_memory()
            await pilot.pause()
        assert not laid_out
        screen.query_one("#title", Static).update("another")
        await until(pilot, lambda: laid_out)


async def test_the_sidebar_hides_on_a_narrow_screen_and_opens_over_the_chat(desk: Desk) -> None:
    async with desk.app().run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        assert "Temperature" not in shown(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: "Temperature" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Temperature" not in shown(pilot))


async def test_the_key_of_the_sidebar_hides_it_though_its_settings_are_still_being_made(desk: Desk):
    async with desk.app().run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        assert not screen.view.sidebar.is_filled
        await pilot.press("f2", "f2")
        await until(pilot, lambda: not screen.has_class("-sidebar"))
        await until(pilot, lambda: screen.view.sidebar.is_filled)
        assert screen.composer.has_focus


async def test_a_tiny_terminal_still_takes_a_message_and_shows_the_answer(desk: Desk) -> None:
    async with desk.app(ScriptedEngine(["tiny answer"])).run_test(size=(40, 10)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "tiny answer" in shown(pilot))


async def test_pasting_never_sends(desk: Desk) -> None:
    from textual import events

    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.composer.post_message(events.Paste("one\ntwo\n\x1b[31m"))
        await pilot.pause()
        assert screen.composer.text == "one\ntwo\n␛[31m"
        assert not screen.conversation.path
        await pilot.press("enter")
        await answered(pilot, screen, 2)
        assert screen.conversation.path[0].text == "one\ntwo\n␛[31m"


async def test_without_any_model_the_app_asks_for_one(desk: Desk) -> None:
    async with desk.app(start=Start()).run_test(size=ROOMY, notifications=True) as pilot:
        await until(pilot, lambda: "Choose a model" in shown(pilot))
        assert isinstance(pilot.app.screen, ModelPicker)


async def test_what_was_done_with_a_chat_for_the_model_s_sake_is_said_once(desk: Desk) -> None:
    noted = [PromptReady(5, notes=("A tool turn is sent as text.",)), TextDelta("Yes")]
    more = [PromptReady(5, notes=(*noted[0].notes, "One is left out.")), TextDelta("No")]
    app = desk.app(ScriptedEngine([noted, noted, more]))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        told: list[str] = []
        tell = screen.ui.tell
        screen.ui.tell = lambda text, **how: (told.append(text), tell(text, **how))  # type: ignore[method-assign,assignment]
        for turns in (2, 4, 6):
            await say(pilot, "a")
            await answered(pilot, screen, turns)
        assert told == ["A tool turn is sent as text.", "One is left out."]


def test_a_screen_that_is_not_shown_yet_knows_its_state(desk: Desk) -> None:
    app = desk.app()
    screen = app.get_default_screen()
    assert isinstance(screen, ChatScreen)
    assert not screen.can_do("reply.stop")
    assert not screen.core.sender.must_wait
    assert screen.core.replies.stats == []
    assert screen.core.side.label == ""


async def test_the_model_is_named_once_whether_the_settings_are_shown_or_not(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "Scripted-1B ▾" in shown(pilot))
        await until(pilot, lambda: shown(pilot).count("Scripted-1B") == 1)
        assert "● ready" in shown(pilot)
        for width, named in ((80, "● Scripted-1B"), (120, "Scripted-1B ▾"), (200, "Scripted-1B ▾")):
            await pilot.resize_terminal(width, 40)
            await until(pilot, lambda named=named: named in shown(pilot))
            await until(pilot, lambda: shown(pilot).count("Scripted-1B") == 1)
        screen.do("sidebar.toggle")
        screen.do("sidebar.toggle")
        await until(pilot, lambda: "● Scripted-1B" in shown(pilot))
        assert shown(pilot).count("Scripted-1B") == 1
