"""How tokens are drafted, as a user chooses it and sees what it was worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine import tiny
from tests.screens.conftest import Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.engine.base import Finished, Speculation
from tui.screens.ask import Ask
from tui.screens.models.picker import ModelPicker
from tui.settings.state import AppState
from tui.widgets.drafting_group import DraftingGroup

WIDE = (140, 60)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("shelf") / "tiny-llama")


class Drafting(ScriptedEngine):
    def generate(self, request, emit, cancelled):
        done = super().generate(request, emit, cancelled)
        stats = replace(done.stats, drafted_tokens=20, accepted_tokens=15)
        return Finished(stats, done.reason)


async def test_the_choice_holds_for_the_next_reply_and_is_remembered(desk: Desk):
    engine = Drafting()
    async with desk.app(engine).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        screen.query_one(DraftingGroup).collapsed = False
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        assert engine.requests[-1].speculation is Speculation.AUTO
        screen.query_one("#speculation").value = "lookup"
        await until(pilot, lambda: desk.states and desk.states[-1].speculation == "lookup")
        await say(pilot, "two")
        await answered(pilot, screen, 4)
        assert engine.requests[-1].speculation is Speculation.LOOKUP
        note = screen.query_one(DraftingGroup).explanation
        assert "15 of 20 drafted tokens were accepted (75%)" in note


async def test_what_was_chosen_before_holds_from_the_start(desk: Desk):
    async with desk.app(state=AppState(speculation="off")).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        assert screen.query_one("#speculation").value == "off"
        assert screen.core.settings.speculation is Speculation.OFF


async def test_an_assistant_model_is_picked_loaded_with_the_model_and_taken_off(desk: Desk, model):
    engine = Drafting()
    state = AppState(model_folders=(str(model.parent),))
    async with desk.app(engine, state=state).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        screen.do("model.assistant")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
        await until(pilot, lambda: "27k · float32" in shown(pilot))
        await pilot.press("t", "i", "n", "y", "enter")
        await until(pilot, lambda: len(engine.load_requests) == 2 and screen.model.ready)
        assert engine.load_requests[-1].assistant == str(model)
        assert engine.load_requests[-1].model == "scripted"
        await until(pilot, lambda: "tiny-llama" in str(screen.query_one("#assistant").label))
        screen.do("model.assistant")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("n")
        await until(pilot, lambda: len(engine.load_requests) == 3 and screen.model.ready)
        assert engine.load_requests[-1].assistant == ""


async def test_the_command_names_an_assistant_model_or_none(desk: Desk):
    engine = Drafting()
    async with desk.app(engine).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "/assistant small")
        await until(pilot, lambda: len(engine.load_requests) == 2 and screen.model.ready)
        assert engine.load_requests[-1].assistant == "small"
        await say(pilot, "/assistant none")
        await until(pilot, lambda: len(engine.load_requests) == 3 and screen.model.ready)
        assert engine.load_requests[-1].assistant == ""


async def test_a_mixture_of_experts_gets_a_word_about_it(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        screen.model.info = replace(screen.model.info, is_mixture=True)
        screen._painter._show_drafting()
        await pilot.pause()
        assert "mixture of experts" in screen.query_one(DraftingGroup).explanation
