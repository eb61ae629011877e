"""What one turn looks like: its head, its ending, its width."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.geometry import Region

from tui.conversation import Status
from tui.widgets.markdown.palette import COMPONENT_CLASSES, Palette, component_css
from tui.widgets.other_parts import ShownPart
from tui.widgets.shown_turn import MEASURE, ShownTurn, ViewState
from tui.widgets.turn_view import TurnView


class Holder(VerticalScroll):
    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENT_CLASSES)
    DEFAULT_CSS = component_css("Holder")


class OneTurnApp(App[None]):
    def __init__(self, turn: ShownTurn, state: ViewState | None = None) -> None:
        super().__init__()
        self.turn = turn
        self.state = state or ViewState()

    def compose(self) -> ComposeResult:
        holder = Holder()
        with holder:
            yield TurnView(self.turn, Palette(holder), self.state)


def screen_row(app: OneTurnApp, y: int) -> str:
    strip = app.screen._compositor.render_strips()[y]
    return "".join(segment.text for segment in strip).rstrip()


async def rows_of(turn: ShownTurn, width: int = 60, state: ViewState | None = None) -> list[str]:
    app = OneTurnApp(turn, state)
    async with app.run_test(size=(width, 12)) as pilot:
        await pilot.pause()
        strips = app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


async def test_speakers_are_told_apart_without_color() -> None:
    assert (await rows_of(ShownTurn("a", "user", "Hi")))[:2] == [" ❯ You", " │ Hi"]
    assert (await rows_of(ShownTurn("a", "assistant", "Hi")))[:2] == [" ● Assistant", "   Hi"]
    assert (await rows_of(ShownTurn("a", "system", "Be kind")))[0] == " ◆ System"


async def test_the_caption_stands_at_the_right_edge() -> None:
    head = (await rows_of(ShownTurn("a", "assistant", "Hi", caption="SmolLM2 · 14:02")))[0]
    assert head.startswith(" ● Assistant")
    assert head.endswith("SmolLM2 · 14:02")
    assert len(head) == 59


async def test_a_caption_that_does_not_fit_is_cut() -> None:
    head = (await rows_of(ShownTurn("a", "assistant", "Hi", caption="word " * 20), width=40))[0]
    assert head.endswith("…")


async def test_variants_are_counted_in_the_head() -> None:
    head = (await rows_of(ShownTurn("a", "assistant", "Hi", variant=2, variants=3)))[0]
    assert "‹ 2/3 ›" in head


async def test_a_turn_out_of_the_context_says_so() -> None:
    head = (await rows_of(ShownTurn("a", "user", "Hi", in_context=False)))[0]
    assert "left out of the context" in head


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.STOPPED, "■ Stopped"),
        (Status.TRUNCATED, "… Cut off"),
        (Status.INTERRUPTED, "⚠ Interrupted"),
        (Status.FAILED, "✕ Failed: no memory"),
    ],
)
async def test_a_reply_that_did_not_end_well_says_how_it_ended(status: Status, words: str) -> None:
    rows = await rows_of(ShownTurn("a", "assistant", "Hi", status=status, error="no memory"))
    assert rows[1] == "   Hi"
    assert rows[2].strip().startswith(words)


async def test_a_reply_that_ended_inside_its_reasoning_shows_it() -> None:
    rows = await rows_of(ShownTurn("a", "assistant", "", "Hmm", status=Status.STOPPED))
    assert rows[1:3] == ["   ▾ Thought", "   ┊ Hmm"]


@pytest.mark.parametrize(("text", "is_kept"), [("", False), ("Hi", True)])
async def test_a_reply_that_was_stopped_says_what_is_kept_only_where_something_is(
    text: str, is_kept: bool
) -> None:
    for error in ("", "you quit."):
        turn = ShownTurn("a", "assistant", text, status=Status.STOPPED, error=error)
        rows = [row.strip() for row in await rows_of(turn)]
        said = f"■ Stopped: {error}" if error else "■ Stopped by you."
        assert said + " What was written is kept." * is_kept in rows


async def test_text_is_never_wider_than_one_can_read() -> None:
    rows = await rows_of(ShownTurn("a", "assistant", "word " * 200), width=200)
    assert max(len(row.strip()) for row in rows[1:]) <= MEASURE


async def test_what_the_user_typed_keeps_its_spaces_and_signs() -> None:
    rows = await rows_of(ShownTurn("a", "user", "# not a heading\n    indented *stars*"))
    assert rows[1:3] == [" │ # not a heading", " │     indented *stars*"]


async def test_what_was_said_is_copied_without_name_reasoning_and_drawn_lines() -> None:
    text = "| h |\n|---|\n| a |\n\n---\n\n> said\n\n```py\n\tcode\n```"
    app = OneTurnApp(ShownTurn("a", "assistant", text, reasoning="because"))
    async with app.run_test(size=(60, 30)) as pilot:
        await pilot.pause()
        shown = app.query_one(TurnView).shown_answer
        assert shown == "h\na\n\n\nsaid\n\n\tcode"


async def test_a_turn_that_is_too_long_for_markdown_says_so_in_its_head() -> None:
    turn = ShownTurn("a", "assistant", "word " * 5_000)
    assert "⚠ partly unformatted" in (await rows_of(turn, 80))[0]


CAT = ShownPart("image: cat.png")
NOTES = ShownPart("notes.py · 2 lines", "one = 1\n```\n", "py")


async def test_an_image_is_a_quiet_line_below_the_text() -> None:
    rows = await rows_of(ShownTurn("a", "user", "Look", parts=(CAT,)))
    assert rows[:4] == [" ❯ You", " │ Look", " │ image: cat.png", ""]


async def test_what_came_before_the_text_stands_above_it() -> None:
    call = ShownPart("tool call: search(cats)", is_above=True)
    rows = await rows_of(ShownTurn("a", "assistant", "Found", reasoning="Hm", parts=(call,)))
    assert rows[1:4] == ["   ▸ Thought", "   tool call: search(cats)", "   Found"]


async def test_a_turn_of_nothing_but_a_file_is_its_line() -> None:
    rows = await rows_of(ShownTurn("a", "user", "", parts=(NOTES,)))
    assert rows[:3] == [" ❯ You", " │ ▸ notes.py · 2 lines", ""]


async def test_a_file_unfolds_to_its_text_as_code() -> None:
    state = ViewState(open_files=frozenset([0]))
    rows = await rows_of(ShownTurn("a", "user", "Look", parts=(NOTES, CAT)), state=state)
    assert rows[1:3] == [" │ Look", " │ ▾ notes.py · 2 lines"]
    assert rows[3].split() == ["│", "▏", "one", "=", "1", "py"]
    assert rows[4].split() == ["│", "▏", "```"]
    assert rows[5] == " │ image: cat.png"


async def test_the_line_of_a_part_is_one_line_and_harmless() -> None:
    part = ShownPart("image: \x1b]0;owned\x07\nline " + "x" * 500)
    rows = await rows_of(ShownTurn("a", "user", "Look", parts=(part, CAT)), 60)
    assert rows[2].startswith(" │ image:")
    assert rows[2].endswith("…")
    assert "\x1b" not in rows[2]
    assert rows[3] == " │ image: cat.png"


async def test_other_parts_that_come_later_are_shown() -> None:
    app = OneTurnApp(ShownTurn("a", "user", "Look", parts=(NOTES,)))
    async with app.run_test(size=(60, 12)) as pilot:
        view = app.query_one(TurnView)
        app.state.open_files = frozenset([0])
        view.state_changed()
        view.update_turn(ShownTurn("a", "user", "Look", parts=(ShownPart("b", "two"), CAT)))
        await pilot.pause()
        texts = [line.text for part in view._parts for line in part.lines]
        assert "two" in " ".join(texts)
        assert "one = 1" not in " ".join(texts)


async def test_the_text_of_a_file_is_harmless() -> None:
    part = ShownPart("a.txt · 1 line", "safe \x1b]0;owned\x07\u202e words", "py")
    rows = await rows_of(
        ShownTurn("a", "user", "", parts=(part,)), state=ViewState(open_files=frozenset([0]))
    )
    said = "".join(rows)
    assert "safe" in said
    assert not any(sign in said for sign in "\x1b\x07\u202e")


WRITTEN = ShownTurn("a", "assistant", "Some words", status=Status.STREAMING)


async def test_a_caret_stands_at_the_end_of_a_text_until_it_is_written() -> None:
    app = OneTurnApp(WRITTEN)
    async with app.run_test(size=(60, 12)) as pilot:
        view = app.query_one(TurnView)
        view.show_caret("▍")
        await pilot.pause()
        view.stream(" more", "")
        await pilot.pause()
        assert screen_row(app, 1) == "   Some words more▍"
        view.update_turn(replace(WRITTEN, text="Some words more", status=Status.COMPLETE))
        await pilot.pause()
        assert screen_row(app, 1) == "   Some words more"


async def test_the_caret_has_room_behind_a_full_line_and_moves_on_with_the_text() -> None:
    app = OneTurnApp(replace(WRITTEN, text="x" * 56))
    async with app.run_test(size=(60, 12)) as pilot:
        view = app.query_one(TurnView)
        view.show_caret("▍")
        await pilot.pause()
        assert screen_row(app, 1) == f"   {'x' * 56}▍"
        view.stream("yy", "")
        await pilot.pause()
        assert screen_row(app, 1) == f"   {'x' * 56}"
        assert screen_row(app, 2) == "   yy▍"


async def test_figures_of_a_reply_repaint_the_head_alone_and_lay_nothing_out() -> None:
    app = OneTurnApp(WRITTEN)
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        view = app.query_one(TurnView)
        asked: list[tuple[object, object]] = []
        refresh = view.refresh
        view.refresh = lambda *regions, **how: (
            asked.append((regions, how)) or refresh(*regions, **how)
        )  # type: ignore[method-assign]
        view.show_figures("2 tokens · 18 tok/s")
        await pilot.pause()
        assert asked == [((Region(0, 0, view.size.width, 1),), {})]
        assert screen_row(app, 0).endswith("2 tokens · 18 tok/s")
        view.update_turn(replace(WRITTEN, status=Status.COMPLETE, caption="14:02"))
        await pilot.pause()
        assert screen_row(app, 0).endswith(" 14:02")


async def test_the_ground_of_a_message_goes_one_cell_beyond_its_text() -> None:
    app = OneTurnApp(ShownTurn("a", "user", "Hi", caption="14:02"))
    async with app.run_test(size=(60, 12)) as pilot:
        await pilot.pause()
        assert screen_row(app, 0)[-5:] == "14:02"
        strip = app.screen._compositor.render_strips()[0]
        assert len({segment.style.bgcolor for segment in strip if segment.text}) == 1
