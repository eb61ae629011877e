"""Editors: keys in their order, undo in a small box, text that is pasted."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.geometry import Region
from textual.widgets import Input

from tui.screens.dialog import TextField
from tui.widgets.composer import Composer
from tui.widgets.editor import BLINKS, Editor
from tui.widgets.line_input import LineInput
from tui.widgets.system_prompt import SystemPrompt
from tui.widgets.turn_editor import TurnEditor


class _Box(App[None]):
    def __init__(self, editor: Editor) -> None:
        super().__init__()
        self.editor = editor

    def compose(self) -> ComposeResult:
        yield self.editor
        yield Input()

    def on_mount(self) -> None:
        self.editor.focus()

    def burst(self, *keys: str) -> None:
        """Send keys as a terminal does that has them all in one read."""
        for key in keys:
            self.post_message(events.Key(key, key if len(key) == 1 else None))


def _editors() -> list[Editor]:
    return [Composer(), TextField(), SystemPrompt(), TurnEditor("1", "", is_user=True)]


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_undoing_a_paste_of_many_lines_takes_it_back(
    number: int, size: tuple[int, int]
) -> None:
    app = _Box(_editors()[number])
    async with app.run_test(size=size) as pilot:
        for count in (9, 10, 40):
            app.editor.post_message(events.Paste("\n".join(["line"] * count)))
            await pilot.pause()
            await pilot.press("ctrl+z")
            assert app.editor.text == ""
            await pilot.press("ctrl+y")
            await pilot.press("ctrl+z", "ctrl+z")


async def test_the_cursor_rests_when_nothing_is_typed_for_a_while_and_blinks_again_after():
    app = _Box(Composer())
    async with app.run_test() as pilot:
        await pilot.press("a")
        seen = []
        for _ in range(BLINKS + 3):
            app.editor._toggle_cursor_blink_visible()
            seen.append(app.editor._cursor_visible)
        assert seen[:4] == [False, True, False, True]
        assert seen[-4:] == [True] * 4
        assert not app.editor.blink_timer._active.is_set()
        await pilot.press("b")
        assert app.editor.blink_timer._active.is_set()


@pytest.mark.parametrize("field", [Composer, LineInput])
async def test_no_cursor_blinks_where_nothing_is_to_move(field):
    app = _Box(field())
    async with app.run_test() as pilot:
        app.set_class(True, "-still")
        await pilot.press("a")
        seen = []
        for _ in range(4):
            if isinstance(app.editor, Editor):
                app.editor._toggle_cursor_blink_visible()
                seen.append(app.editor._cursor_visible)
            else:
                app.editor._toggle_cursor()
                seen.append(app.editor._cursor_visible)
        assert seen == [True] * 4


_STEPS = st.sampled_from(
    ["a", "word ", "\n", "\n\n\n", "paste", "backspace", "delete", "up", "left", "home", "ctrl+w", "ctrl+u",
     "ctrl+z", "ctrl+z", "ctrl+z", "ctrl+y", "select", "resize"]
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@example(steps=["paste", "ctrl+z"], height=24, number=0)
@example(steps=["\n\n\n"] * 4 + ["ctrl+z"] * 12, height=24, number=0)
@given(steps=st.lists(_STEPS, max_size=40), height=st.integers(5, 24), number=st.integers(0, 3))
def test_no_order_of_edits_and_undos_breaks_an_editor(
    steps: list[str], height: int, number: int
) -> None:
    async def drive() -> None:
        app = _Box(_editors()[number])
        async with app.run_test(size=(30, height)) as pilot:
            editor = app.editor
            for step in steps:
                if step == "paste":
                    editor.post_message(events.Paste("some words that wrap around\n" * 7))
                elif step == "select":
                    editor.select_all()
                elif step == "resize":
                    await pilot.resize_terminal(30, 5 + (height * 7) % 20)
                elif step == "word ":
                    editor.insert(step)
                elif step[0] == "\n":
                    app.burst(*["ctrl+j"] * len(step))
                else:
                    app.burst(step)
                await pilot.pause()
            rows = editor.wrapped_document.height
            lines = editor.text.split("\n")
            assert rows >= len(lines)
            assert editor.selection.end[0] < len(lines)

    asyncio.run(drive())


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        (("a", "ctrl+j", "b"), "a\nb"),
        (("a", "b", "X", "backspace", "c"), "abc"),
        (("a", "left", "b"), "ba"),
        (("a", "b", "home", "delete", "c"), "cb"),
        (("a", "shift+enter", "b", "alt+enter", "c"), "a\nb\nc"),
        (("a", "ctrl+j", "b", "up", "home", "c"), "ca\nb"),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 3])
async def test_keys_of_one_burst_act_in_their_order(
    number: int, keys: tuple[str, ...], text: str
) -> None:
    app = _Box(_editors()[number])
    async with app.run_test() as pilot:
        app.burst(*keys)
        await pilot.pause()
        await pilot.pause()
        assert app.editor.text == text


async def test_a_key_that_the_editor_has_no_use_for_reaches_the_screen() -> None:
    app = _Box(Composer())
    async with app.run_test() as pilot:
        await pilot.press("tab")
        assert isinstance(app.focused, Input)


async def test_keys_of_a_burst_act_in_order_in_a_field_of_one_line() -> None:
    class Fields(App[None]):
        BINDINGS = [Binding("down", "note('down')")]  # noqa: RUF012 - Textual's declaration

        def __init__(self) -> None:
            super().__init__()
            self.noted: list[str] = []

        def compose(self) -> ComposeResult:
            yield LineInput("old")

        def action_note(self, word: str) -> None:
            self.noted.append(word)

        def on_input_submitted(self, event: Input.Submitted) -> None:
            self.noted.append(event.value)

    app = Fields()
    async with app.run_test() as pilot:
        for key in ("home", "ctrl+k", "1", ".", "5", "backspace", "7", "down", "enter"):
            app.post_message(events.Key(key, key if len(key) == 1 else None))
        async with asyncio.timeout(20):
            while len(app.noted) < 2:
                await pilot.pause(0.01)
        assert app.noted == ["down", "1.7"]


async def test_a_field_that_was_just_taken_away_can_still_be_painted() -> None:
    class Fields(App[None]):
        def compose(self) -> ComposeResult:
            yield LineInput("line")
            yield Composer()

    app = Fields()
    async with app.run_test():
        for field in (app.query_one(LineInput), app.query_one(Composer)):
            await field.remove()
            lines = field.render_lines(Region(0, 0, 12, 2))
            assert [line.text for line in lines] == [" " * 12] * 2
