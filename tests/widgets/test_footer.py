"""The line of keys: what it lists, what a click on it does, what does not fit."""

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType

from tui.widgets.footer import Footer


class Host(App[None]):
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "first", "First", tooltip="What comes first."),
        Binding("f2,f3", "second", "Second"),
        Binding("f4", "hidden", "Hidden", show=False),
        Binding("f5", "off", "Off", id="off"),
    ]
    can_second: bool = True

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.bells = 0

    def compose(self) -> ComposeResult:
        yield Footer(first=("off", "nothing"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "off":
            return None
        return action != "second" or self.can_second

    def action_first(self) -> None:
        self.done.append("first")

    def action_second(self) -> None:
        self.done.append("second")

    def bell(self) -> None:
        self.bells += 1


def line(app: App[None]) -> str:
    return app.query_one(Footer).render().plain


async def test_shown_bindings_are_listed_once_and_hidden_ones_not():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        assert line(pilot.app) == " f1 First  f2 Second  f5 Off "


async def test_what_can_be_done_no_longer_goes():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        pilot.app.can_second = False
        pilot.app.screen.refresh_bindings()
        await pilot.pause()
        await pilot.pause()
        assert line(pilot.app) == " f1 First  f5 Off "


async def test_a_click_presses_the_key_and_what_is_off_rings():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        for x in (2, 12, 24, 70):
            await pilot.click(Footer, offset=(x, 0))
        await pilot.pause()
        assert (pilot.app.done, pilot.app.bells) == (["first", "second"], 1)


async def test_the_entry_under_the_mouse_says_what_it_does():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        footer = pilot.app.query_one(Footer)
        await pilot.hover(Footer, offset=(2, 0))
        assert str(footer.tooltip) == "What comes first."
        await pilot.hover(Footer, offset=(12, 0))
        assert footer.tooltip is None


async def test_what_has_no_room_is_left_out_whole():
    for width, expected in (
        (29, " f1 First  f2 Second  f5 Off "),
        (28, " f1 First  f5 Off "),
        (8, " f5 Off "),
        (7, ""),
    ):
        async with Host().run_test(size=(width, 3)) as pilot:
            await pilot.pause()
            assert line(pilot.app) == expected
