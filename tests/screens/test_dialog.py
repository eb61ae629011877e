"""What the dialogs share."""

from __future__ import annotations

from tests.screens.host import Host
from tui.screens.ask import AskText


async def test_keys_typed_in_a_burst_close_a_dialog_once() -> None:
    host = Host(AskText("A name", "x"))
    async with host.run_test() as pilot:
        await pilot.pause()
        await pilot.press("enter", "escape", "escape")
        await pilot.pause()
        assert host.result in ("x", None)
        assert len(host.screen_stack) == 1


async def test_a_dialog_below_another_one_stays() -> None:
    below, above = AskText("A name", "x"), AskText("Another")
    host = Host(below)
    async with host.run_test() as pilot:
        await pilot.pause()
        await host.push_screen(above)
        below.dismiss("too early")
        await pilot.pause()
        assert host.screen is above
