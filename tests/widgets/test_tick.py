"""A tick can be read without color."""

from textual.app import App

from tests.screens.host import screen_text
from tui.widgets.tick import Tick


class Ticks(App[None]):
    def compose(self):
        yield Tick("one", True, id="one")
        yield Tick("other", id="other")


async def test_on_and_off_look_different_without_color():
    async with Ticks().run_test(size=(40, 6)) as pilot:
        before = screen_text(pilot).splitlines()
        assert "✓" in before[0]
        assert "✓" not in before[1]
        pilot.app.query_one("#other", Tick).focus()
        await pilot.press("space")
        await pilot.pause()
        assert "✓" in screen_text(pilot).splitlines()[1]
