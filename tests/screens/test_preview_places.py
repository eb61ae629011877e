"""Where dialogs show what the entry under the cursor holds: beside the list, below it on a plain screen, nowhere on a narrow one."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Label, OptionList

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, send, shown, until
from tests.scripted import ScriptedEngine
from tui.screens.help import HelpScreen
from tui.screens.palette import CommandPalette
from tui.screens.picker import Picker
from tui.screens.session_list import SessionList
from tui.screens.tree_view import TreeView
from tui.screens.turn_tree import TurnTree
from tui.widgets.long_text import LongText
from tui.widgets.preview_pane import PreviewPane

PLAIN = {"screen.plain": True}
DIALOGS = [("f3", SessionList), ("f5", Picker), ("f6", TreeView)]
SAID = "The reply that the preview shows"


def panes(dialog: Widget) -> tuple[Widget, Widget]:
    """A dialog's list and its preview."""
    if isinstance(dialog, TreeView):
        return dialog.query_one(TurnTree), dialog.query_one(LongText)
    return dialog.query_one(OptionList), dialog.query_one(PreviewPane)


async def opened(pilot: Pilot[Any], key: str, kind: type[Widget]) -> Widget:
    screen = await ready(pilot)
    send(screen, "a question")
    await answered(pilot, screen, 2)
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    return pilot.app.screen


def engine() -> ScriptedEngine:
    return ScriptedEngine([SAID])


@pytest.mark.parametrize(("key", "kind"), DIALOGS)
async def test_on_a_plain_screen_the_preview_stands_below_the_list(desk: Desk, key, kind):
    async with desk.app(engine(), command_line=PLAIN).run_test(size=(130, 40)) as pilot:
        dialog = await opened(pilot, key, kind)
        rows, preview = panes(dialog)
        await until(pilot, lambda: rows.region.height and preview.region.height)
        await until(pilot, lambda: preview.region.y >= rows.region.bottom)
        assert preview.region.x == rows.region.x
        assert rows.region.width > 120
        assert dialog.query_one("#dialog").region.size == (130, 40)


@pytest.mark.parametrize(("key", "kind"), DIALOGS)
async def test_the_preview_appears_when_there_is_room_for_it(desk: Desk, key, kind):
    said = "a question" if kind is Picker else SAID
    async with desk.app(engine()).run_test(size=ROOMY) as pilot:
        dialog = await opened(pilot, key, kind)
        rows, preview = panes(dialog)
        assert not preview.display
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: preview.region.width and preview.region.x > rows.region.x)
        x, right = preview.region.x, preview.region.right
        await until(pilot, lambda: any(said in row[x:right] for row in shown(pilot).splitlines()))


async def test_help_has_one_column_and_a_title_on_a_plain_screen(desk: Desk):
    async with desk.app(command_line=PLAIN).run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await until(pilot, lambda: "Esc Close" in shown(pilot))
        assert not pilot.app.screen.query_one("#right", Label).display
        assert pilot.app.screen.query_one("#dialog").region.width == WIDE[0]


async def test_keys_stand_behind_their_commands_on_a_plain_screen(desk: Desk):
    async with desk.app(command_line=PLAIN).run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
        await until(pilot, lambda: "New chat  Ctrl+N" in shown(pilot))
