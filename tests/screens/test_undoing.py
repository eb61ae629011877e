"""Undo of what was changed beside the chat."""

from __future__ import annotations

import pytest
from textual.widgets import Select

from tests.screens.conftest import WIDE, Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.conversation.context import OverflowPolicy
from tui.engine.base import ModelLoadError
from tui.screens.picker import Picker
from tui.screens.settings_screen import SettingsScreen
from tui.settings.presets import Preset


async def test_undo_takes_back_what_was_changed_in_the_settings_and_no_reply(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        settings = screen.core.settings
        await pilot.press("f2", *["up"] * 3)
        await until(pilot, lambda: settings.parameters.get("temperature"))
        await pilot.press("f8")
        await until(pilot, lambda: "Undone: temperature" in shown(pilot))
        assert settings.parameters.get("temperature") is None
        assert screen.query_one("#parameter-temperature Input").value == ""
        assert len(screen.conversation.path) == 2
        await pilot.press("f9")
        await until(pilot, lambda: settings.parameters.get("temperature"))


@pytest.mark.parametrize("policy", [OverflowPolicy.SUMMARIZE])
async def test_undo_takes_back_a_choice_and_the_typed_prompt(desk: Desk, policy):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        settings = screen.core.settings
        select = screen.query_one("#overflow", Select)
        before = settings.overflow
        select.value = policy.value
        await until(pilot, lambda: settings.overflow is policy)
        screen.do("system.edit")
        await pilot.press(*"abc")
        await until(pilot, lambda: settings.system_prompt == "abc")
        await pilot.press("f8")
        await until(pilot, lambda: settings.system_prompt == "")
        assert screen.query_one("#system-prompt").text == ""
        await pilot.press("f8")
        await until(pilot, lambda: settings.overflow is before)
        await until(pilot, lambda: select.value == before.value)
        assert len(screen.conversation.path) == 2


async def test_a_prompt_that_was_typed_is_kept_and_the_notice_says_so(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        settings = screen.core.settings
        settings.set_prompt("Be brief")
        screen.do("system.edit")
        await pilot.press("x", "escape")
        await until(pilot, lambda: "The system prompt applies from the next reply." in shown(pilot))
        assert settings.system_prompt == "Be briefx"
        assert screen.focused is screen.composer


async def test_another_quantization_is_undone_by_loading_the_model_as_before(desk: Desk):
    engine = ScriptedEngine(["one"])
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        select, settings = screen.query_one("#quantization", Select), screen.core.settings
        select.value = "int8"
        await until(pilot, lambda: screen.model.ready and screen.model.quantization == "int8")
        await pilot.press("f8")
        await until(pilot, lambda: "Undone: quantization. The model is loading" in shown(pilot))
        await until(pilot, lambda: screen.model.ready and screen.model.info.quantization == "none")
        assert (select.value, settings.quantization) == ("none", "none")
        assert len(screen.conversation.path) == 2
        await pilot.press("f9")
        await until(pilot, lambda: screen.model.ready and screen.model.info.quantization == "int8")
        assert select.value == "int8"
        loads = [one.quantization for one in engine.load_requests]
        assert loads == ["none", "int8", "none", "int8"]


async def test_a_quantization_that_could_not_be_loaded_is_no_step(desk: Desk):
    engine = ScriptedEngine(["one"])
    async with desk.app(engine).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        engine.load_error = ModelLoadError("It is broken.")
        screen.query_one("#quantization", Select).value = "int8"
        await until(pilot, lambda: "It is broken." in shown(pilot))
        assert screen.core.settings.quantization == "none"
        await pilot.press("f8")
        await until(pilot, lambda: "Undone: reply" in shown(pilot))
        assert len(engine.load_requests) == 2


async def test_the_undo_of_an_undo_is_named_in_words(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("f8")
        await until(pilot, lambda: "Undone: reply" in shown(pilot))
        screen.core.session.rename("Other")
        await pilot.press("f8")
        await until(pilot, lambda: "Undone: rename" in shown(pilot))
        await pilot.press("f8")
        await until(pilot, lambda: "Undone: the undo of “Reply”" in shown(pilot))
        assert [turn.text for turn in screen.conversation.path] == ["hi", "one"]


async def test_what_is_changed_in_the_list_of_all_settings_is_undone(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        settings, before = screen.core.settings, screen.core.settings.overflow
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
        await pilot.press(*"context is full", "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press("down", "enter")
        await until(pilot, lambda: settings.overflow is not before)
        await pilot.press("escape", "f8")
        await until(pilot, lambda: settings.overflow is before)


async def test_a_preset_with_another_quantization_of_the_same_model_is_one_step(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        settings = screen.core.settings
        preset = Preset("small", screen.model.model, "int8", None, {"temperature": 0.2}, {})
        screen.handlers.library.apply(preset)
        await until(pilot, lambda: screen.model.ready and screen.model.info.quantization == "int8")
        await pilot.press("f8")
        await until(pilot, lambda: screen.model.ready and screen.model.info.quantization == "none")
        assert settings.parameters.get("temperature") is None
        assert not screen.core.undoing.can_undo
