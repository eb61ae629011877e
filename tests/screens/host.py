"""An app that shows one dialog and remembers what it returned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Label

from tui.screens.dialog import Finder

OPEN = object()
"""Stands for the result of a dialog that has not been closed."""


class Host(App[None]):
    def __init__(self, dialog: Screen[Any]) -> None:
        super().__init__()
        self.dialog = dialog
        self.result: Any = OPEN

    def compose(self) -> ComposeResult:
        yield Label("below")

    def on_mount(self) -> None:
        self.push_screen(self.dialog, self._returned)

    async def on_event(self, event: events.Event) -> None:
        """Have what is typed in a list go into the field beside it, as the real app does."""
        shown = self.screen_stack[-1] if self.screen_stack else None
        if isinstance(shown, Finder) and isinstance(event, events.Key | events.Paste):
            shown.take_typing(event)
        await super().on_event(event)

    def _returned(self, result: Any) -> None:
        self.result = result

    @property
    def said(self) -> list[str]:
        """What was shown as notifications."""
        return [notification.message for notification in self._notifications]


async def until(pilot: Pilot[Any], condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Let the app work until `condition` holds."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the app did not get there"
        await asyncio.sleep(0.01)


async def type_text(pilot: Pilot[Any], text: str) -> None:
    names = {" ": "space", "#": "number_sign", ",": "comma", ".": "full_stop", "/": "slash"}
    for character in text:
        await pilot.press(names.get(character, character))


def screen_text(pilot: Pilot[Any]) -> str:
    """The text on the screen, as a user sees it."""
    width, height = pilot.app.size
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join(line.text[:width] for line in lines[:height])
