"""Text that is typed where nobody expected it is in the message, and runs nothing."""

from __future__ import annotations

import pytest

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, until
from tests.scripted import ScriptedEngine
from tui.screens.models.memory_view import MemoryView
from tui.screens.tree_view import TreeView
from tui.screens.turn_details import TurnDetails


def keys_of(text: str) -> list[str]:
    return [{" ": "space"}.get(character, character) for character in text]


@pytest.mark.parametrize("text", ["may I ask", "yes stay", "nobody knows"])
@pytest.mark.parametrize(
    ("action", "dialog"),
    [
        ("turn.details", TurnDetails),
        ("turn.tokens", TurnDetails),
        ("chat.tree", TreeView),
        ("model.memory", MemoryView),
    ],
)
async def test_prose_in_a_dialog_goes_to_the_message(
    desk: Desk, typing_pace, monkeypatch, action, dialog, text
):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        copied: list[str] = []
        monkeypatch.setattr(
            type(pilot.app), "copy_to_clipboard", lambda _app, one: copied.append(one)
        )
        screen.do(action)
        await until(pilot, lambda: isinstance(pilot.app.screen, dialog))
        await pilot.press(*keys_of(text))
        await until(pilot, lambda: screen.composer.text == text)
        assert isinstance(pilot.app.screen, dialog)
        assert copied == []


async def test_a_letter_is_a_key_where_nothing_follows(desk: Desk, typing_pace, monkeypatch):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        copied: list[str] = []
        monkeypatch.setattr(
            type(pilot.app), "copy_to_clipboard", lambda _app, one: copied.append(one)
        )
        screen.do("turn.details")
        await until(pilot, lambda: isinstance(pilot.app.screen, TurnDetails))
        await pilot.press("y")
        await until(pilot, lambda: copied)
        assert screen.composer.text == ""


async def test_a_blank_before_a_word_is_not_lost(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await pilot.press(*keys_of("hi @zzz"), "tab", *keys_of(" there"))
        await until(pilot, lambda: screen.composer.text == "hi @zzz there")
        await pilot.press("tab", "space", "shift+tab", "x")
        await until(pilot, lambda: screen.composer.text == "hi @zzz therex")
