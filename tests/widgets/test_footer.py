"""The line of keys: what it lists, what a click on it does, what does not fit."""

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType

from tui.actions import Action, action
from tui.keymap import Keymap, keymap
from tui.widgets.bindings import binding_for
from tui.widgets.footer import EVERYWHERE, HERE, Footer


class Host(App[None]):
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        binding_for(action("app.help"), does="first"),
        binding_for(action("chat.open"), does="second"),
        binding_for(action("chat.undo"), does="hidden"),
        binding_for(action("turn.older"), does="off"),
        binding_for(action("turn.newer"), does="off"),
        binding_for(action("composer.focus"), does="away"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.bells = 0
        self.can_second = True
        self.keymap_in_force: Keymap = keymap()
        self.is_ascii = False
        self.left_out: list[str] = ["message.command"]

    def word(self, one: Action) -> str:
        return one.footer if one.bound and one.id not in self.left_out else ""

    def compose(self) -> ComposeResult:
        yield Footer(self.word)

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


WHOLE = " ← → Variants  Esc Write  F3 Chats  F1 Help "


async def test_what_is_possible_is_listed_in_the_order_of_use_with_keys_as_people_write_them():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        assert line(pilot.app) == WHOLE


async def test_a_screen_without_arrows_names_them():
    app = Host()
    app.is_ascii = True
    async with app.run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        assert line(app).startswith(" Left/Right Variants  Esc")


async def test_what_can_be_done_no_longer_goes():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        pilot.app.can_second = False
        pilot.app.screen.refresh_bindings()
        await pilot.pause()
        await pilot.pause()
        assert line(pilot.app) == WHOLE.replace(" F3 Chats ", "")


async def test_what_has_no_word_now_is_left_out():
    app = Host()
    app.left_out = ["turn.older", "app.help"]
    async with app.run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        assert line(app) == " Esc Write  F3 Chats "


async def test_a_key_that_something_else_has_here_is_not_offered_under_another_name():
    app = Host()
    # Chats have F1 and Ctrl+O, but what has F1 here is help.
    app.keymap_in_force = Keymap({**keymap().keys, "chat.open": ("f1", "ctrl+o")})
    async with app.run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        assert "Chats" not in line(app)


async def test_a_click_presses_the_key_and_what_is_off_rings():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        for text in ("F1", "F3", "←"):
            await pilot.click(Footer, offset=(WHOLE.index(text), 0))
        await pilot.click(Footer, offset=(70, 0))
        await pilot.pause()
        assert (pilot.app.done, pilot.app.bells) == (["first", "second"], 1)


async def test_the_entry_under_the_mouse_says_what_it_does():
    async with Host().run_test(size=(80, 3)) as pilot:
        await pilot.pause()
        footer = pilot.app.query_one(Footer)
        await pilot.hover(Footer, offset=(WHOLE.index("F1"), 0))
        assert str(footer.tooltip) == action("app.help").help
        await pilot.hover(Footer, offset=(70, 0))
        assert footer.tooltip is None


async def test_where_there_is_little_room_the_way_out_stays_and_then_what_belongs_to_the_place():
    for width, expected in (
        (len(WHOLE), WHOLE),
        (len(WHOLE) - 1, " ← → Variants  Esc Write  F1 Help "),
        (30, " ← → Variants  Esc Write "),
        (20, " Esc Write "),
        (7, ""),
    ):
        async with Host().run_test(size=(width, 3)) as pilot:
            await pilot.pause()
            assert line(pilot.app) == expected


def test_everything_that_is_listed_has_a_word():
    assert all(any(action(one).footer for one in names) for names in (*HERE, *EVERYWHERE))
    assert len({one for names in (*HERE, *EVERYWHERE) for one in names}) == sum(
        map(len, (*HERE, *EVERYWHERE))
    )
