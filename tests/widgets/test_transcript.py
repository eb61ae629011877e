"""The chat as one reads it: following, scrolling, cursor, folding, search, selection, safety."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from threading import Event

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Offset
from textual.pilot import Pilot
from textual.screen import Screen
from textual.selection import Selection

from tui.conversation import Status
from tui.highlighting.lexers import Lexers
from tui.widgets import transcript, turn_hits
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.other_parts import ShownPart
from tui.widgets.transcript import ShownTurn, Transcript
from tui.widgets.turn_view import TurnView


class TranscriptApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[object] = []

    def compose(self) -> ComposeResult:
        yield Transcript(empty=lambda _size: Content("Nothing said yet"))

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    def on_transcript_follow_changed(self, event: Transcript.FollowChanged) -> None:
        self.messages.append(event)

    def on_transcript_variant_paged(self, event: Transcript.VariantPaged) -> None:
        self.messages.append(event)

    def on_transcript_link_clicked(self, event: Transcript.LinkClicked) -> None:
        self.messages.append(event)

    def on_transcript_turn_clicked(self, event: Transcript.TurnClicked) -> None:
        self.messages.append(event)

    def on_transcript_hits_counted(self, event: Transcript.HitsCounted) -> None:
        self.messages.append(event)


def chat(count: int, words: int = 30) -> list[ShownTurn]:
    return [
        ShownTurn(
            f"t{number}",
            "assistant" if number % 2 else "user",
            f"Turn {number}.\n\n" + "some words of it " * (number * 7 % words),
        )
        for number in range(count)
    ]


async def settle(pilot: Pilot[None]) -> None:
    for _ in range(4):
        await pilot.pause()


async def quiet(pilot: Pilot[None]) -> None:
    """Let everything happen that is due by now, every frame of it, without waiting for time to pass."""
    transcript = pilot.app.query_one(Transcript)
    rounds = 0
    while rounds < 3 or transcript._fill_planned:
        await pilot._wait_for_screen()
        pilot.app.screen._on_timer_update()
        rounds += 1
        assert rounds < 200, "The views don't come to rest"


def screen_rows(app: App[None]) -> list[str]:
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    rows = ["".join(segment.text for segment in strip) for strip in strips[:height]]
    return [row[: width - 1].rstrip() for row in rows]  # without the scrollbar


def screen_text(app: App[None]) -> str:
    return "\n".join(screen_rows(app))


def row_of(app: App[None], text: str) -> int:
    return next(number for number, row in enumerate(screen_rows(app)) if text in row)


def mounted(app: TranscriptApp) -> Sequence[TurnView]:
    return list(app.query(TurnView))


async def test_an_empty_chat_shows_its_text_and_loses_it_with_the_first_turn() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        assert "Nothing said yet" in screen_text(app)
        app.transcript.append(ShownTurn("a", "user", "Hello"))
        await settle(pilot)
        assert "Nothing said yet" not in screen_text(app)
        assert "Hello" in screen_text(app)
        app.transcript.show([])
        await settle(pilot)
        assert "Nothing said yet" in screen_text(app)


async def test_a_long_chat_opens_at_its_end_with_few_widgets() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(chat(2_000))
        await settle(pilot)
        assert "Turn 1999." in screen_text(app)
        assert len(mounted(app)) <= 24
        assert len(app.transcript.turns) == 2_000


async def test_views_are_capped_and_every_turn_can_be_reached() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        turns = chat(120)
        app.transcript.show(turns)
        await settle(pilot)
        seen: set[str] = set()
        for _ in range(400):
            app.transcript.scroll_to(y=app.transcript.scroll_y - 11, animate=False)
            await quiet(pilot)
            seen |= {row.strip() for row in screen_rows(app)}
            assert len(mounted(app)) <= 52
            if app.transcript.scroll_y == 0 and "Turn 0." in screen_text(app):
                break
        assert {f"Turn {number}." for number in range(100)} <= {
            row.removeprefix("│ ") for row in seen
        }


class FramesApp(TranscriptApp):
    """Keeps the rows of every frame that would have been painted."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[list[str]] = []

    def _display(self, screen: Screen, renderable: object) -> None:
        super()._display(screen, renderable)
        if self.is_running and self.query(Transcript):
            self.frames.append(screen_rows(self))


def is_shifted(old: list[str], new: list[str], by: int) -> bool:
    return new[max(0, -by) : len(new) - max(0, by)] == old[max(0, by) : len(old) - max(0, -by)]


async def test_nothing_jumps_while_one_scrolls_and_a_reply_streams() -> None:
    app = FramesApp()
    async with app.run_test(size=(60, 24)) as pilot:
        turns = [
            ShownTurn(
                f"t{n}",
                "assistant" if n % 2 else "user",
                "\n\n".join(f"turn {n} row {k}" for k in range(1 + n % 9)),
            )
            for n in range(300)
        ]
        app.transcript.show([*turns, ShownTurn("live", "assistant", "", status=Status.STREAMING)])
        await settle(pilot)
        app.transcript.scroll_to(y=app.transcript.scroll_y - 30, animate=False)
        await settle(pilot)
        for step in range(500):
            move = (-3, -2, -4)[step % 3] if step < 250 else (3, 2, 4)[step % 3]
            before = screen_rows(app)
            app.frames.clear()
            app.transcript.scroll_to(y=app.transcript.scroll_y + move, animate=False)
            app.transcript.stream("live", f"word {step}\n\n")
            await quiet(pilot)
            if not app.transcript.following:
                assert all(
                    rows == before or is_shifted(before, rows, move) for rows in app.frames
                ), f"step {step}"
                assert is_shifted(before, app.frames[-1], move)


async def test_the_view_follows_a_reply_until_one_scrolls_up_and_again_from_the_end() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show([*chat(6), ShownTurn("live", "assistant", "", status=Status.STREAMING)])
        await settle(pilot)
        for number in range(40):
            app.transcript.stream("live", f"line {number}\n\n")
            await pilot.pause()
        await settle(pilot)
        assert app.transcript.following
        assert "line 39" in screen_text(app)

        app.transcript.scroll_up(animate=False)
        await settle(pilot)
        assert not app.transcript.following
        top = screen_rows(app)[0]
        app.transcript.stream("live", "more\n\n" * 30)
        await settle(pilot)
        assert screen_rows(app)[0] == top
        assert app.messages[-1] == Transcript.FollowChanged(following=False, unseen=True)

        app.transcript.follow()
        await settle(pilot)
        assert app.transcript.following
        assert "more" in screen_rows(app)[-2]
        assert app.messages[-1] == Transcript.FollowChanged(following=True, unseen=False)


async def test_scrolling_down_to_the_end_follows_again() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(chat(20))
        await settle(pilot)
        app.transcript.scroll_to(y=app.transcript.scroll_y - 6, animate=False)
        await settle(pilot)
        assert not app.transcript.following
        app.transcript.scroll_to(y=app.transcript.scroll_y + 5, animate=False)
        await settle(pilot)
        assert app.transcript.following


async def test_a_streamed_reply_ends_up_as_if_it_had_been_shown_at_once() -> None:
    text = "# Head\n\nSee [x][1].\n\n```python\ndef f():\n    return 1\n```\n\n[1]: https://a.example\n"
    app = TranscriptApp()
    async with app.run_test(size=(80, 30)) as pilot:
        app.transcript.append(ShownTurn("r", "assistant", "", status=Status.STREAMING))
        for start in range(0, len(text), 3):
            app.transcript.stream("r", text[start : start + 3])
            await pilot.pause()
        app.transcript.update(ShownTurn("r", "assistant", text, caption="done"))
        await settle(pilot)
        streamed = screen_rows(app)
        app.transcript.show([])
        await settle(pilot)
        app.transcript.show([ShownTurn("r", "assistant", text, caption="done")])
        await settle(pilot)
        assert screen_rows(app) == streamed
        assert "x (https://a.example)" in screen_text(app)


@pytest.mark.parametrize("before", [2, 40])
async def test_a_line_that_a_reply_grows_by_lays_the_screen_out_once(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with TranscriptApp().run_test(size=(60, 20)) as pilot:
        shown = pilot.app.transcript
        shown.show([*chat(before), ShownTurn("r", "assistant", "", Status.STREAMING)])
        await quiet(pilot)
        laid_out: list[None] = []
        real = Screen._refresh_layout

        def counted(screen: Screen[object], *given: object, **named: object) -> None:
            laid_out.append(None)
            real(screen, *given, **named)

        monkeypatch.setattr(Screen, "_refresh_layout", counted)
        for number in range(30):
            shown.stream("r", f"line {number}  \n")
            await quiet(pilot)
            assert f"line {number}" in screen_text(pilot.app)
        # A few more are for the scrollbar, when it comes.
        assert len(laid_out) <= 34


async def test_a_turn_without_a_view_keeps_what_streams_into_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(
            [*chat(200), ShownTurn("live", "assistant", "a", status=Status.STREAMING)]
        )
        await settle(pilot)
        app.transcript.cursor_first()
        await settle(pilot)
        assert all(view.turn.id != "live" for view in mounted(app))
        app.transcript.stream("live", "bc", reasoning="why")
        assert app.transcript.turns[-1].text == "abc"
        app.transcript.follow()
        await settle(pilot)
        assert "abc" in screen_text(app)


async def test_show_keeps_the_widgets_of_leading_turns_that_stay() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 40)) as pilot:
        turns = chat(6, words=3)
        app.transcript.show(turns)
        await settle(pilot)
        before = {view.turn.id: view for view in mounted(app)}
        other = ShownTurn("other", "assistant", "Another reply")
        app.transcript.show([*turns[:5], other])
        await settle(pilot)
        after = {view.turn.id: view for view in mounted(app)}
        assert all(after[turn.id] is before[turn.id] for turn in turns[:5])
        assert "t5" not in after
        assert "Another reply" in screen_text(app)


async def test_the_cursor_moves_over_turns_and_is_seen_without_color() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(chat(30))
        await settle(pilot)
        app.transcript.move_cursor(0)
        await settle(pilot)
        assert screen_rows(app)[row_of(app, "Turn 29.")].startswith("▌")
        app.transcript.move_cursor(-1)
        await settle(pilot)
        assert app.transcript.cursor == "t28"
        assert not screen_rows(app)[row_of(app, "Turn 29.")].startswith("▌")
        app.transcript.move_cursor_user(-1)
        assert app.transcript.cursor == "t26"
        app.transcript.cursor_first()
        await settle(pilot)
        assert "Turn 0." in screen_text(app)
        app.transcript.move_cursor(-5)
        assert app.transcript.cursor == "t0"


async def test_the_way_to_a_message_of_the_user_begins_at_what_is_in_view() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(chat(60))
        await settle(pilot)
        app.transcript.scroll_home(animate=False)
        for _ in range(20):
            await settle(pilot)
            app.transcript.scroll_to(y=app.transcript.scroll_y - 30, animate=False)
        seen = [n for n in range(0, 60, 2) if f"Turn {n}." in screen_text(app)]
        app.transcript.move_cursor_user(-1)
        assert app.transcript.cursor == f"t{seen[-1]}"
        app.transcript.cursor = None
        app.transcript.move_cursor_user(1)
        assert app.transcript.cursor == f"t{seen[0]}"


async def test_the_cursor_leaves_with_its_turn() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(chat(4))
        await settle(pilot)
        app.transcript.move_cursor(0)
        app.transcript.show(chat(2))
        await settle(pilot)
        assert app.transcript.cursor is None


async def test_reasoning_is_live_then_folds_when_the_answer_begins_and_unfolds_on_demand() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.append(ShownTurn("r", "assistant", "", status=Status.STREAMING))
        app.transcript.stream("r", reasoning="First I look.")
        await settle(pilot)
        assert "▾ Thinking…" in screen_text(app)
        assert "First I look." in screen_text(app)
        app.transcript.stream("r", text="The answer.")
        await settle(pilot)
        assert "First I look." not in screen_text(app)
        app.transcript.update(
            ShownTurn(
                "r",
                "assistant",
                "The answer.",
                "First I look.",
                reasoning_caption="thought for 3 s",
            )
        )
        await settle(pilot)
        assert "▸ Thought for 3 s" in screen_text(app)
        app.transcript.toggle_reasoning()
        await settle(pilot)
        assert "▾ Thought for 3 s" in screen_text(app)
        assert "First I look." in screen_text(app)


async def test_an_answer_that_was_reasoning_changes_sides_and_the_text_goes_on() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.append(ShownTurn("r", "assistant", "", status=Status.STREAMING))
        app.transcript.stream("r", text="First I look.")
        app.transcript.retell("r", text="", reasoning="First I look.")
        await settle(pilot)
        assert "▾ Thinking…" in screen_text(app)
        assert screen_text(app).count("First I look.") == 1
        app.transcript.stream("r", text="The answer.")
        await settle(pilot)
        assert "The answer." in screen_text(app)
        assert "First I look." not in screen_text(app)
        assert app.transcript.turns[-1].reasoning == "First I look."


async def test_a_click_on_the_reasoning_line_unfolds_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.append(ShownTurn("r", "assistant", "Answer", "Inner thought"))
        await settle(pilot)
        await pilot.click(offset=(6, row_of(app, "▸ Thought")))
        await settle(pilot)
        assert "Inner thought" in screen_text(app)


NOTES = ShownPart("notes.txt · 2 lines", "first note\nsecond note")


async def test_a_click_on_the_line_of_a_file_unfolds_and_folds_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        more = ShownPart("more.txt · 1 line", "third note")
        app.transcript.append(ShownTurn("u", "user", "Look", parts=(NOTES, more)))
        await settle(pilot)
        assert "first note" not in screen_text(app)
        await pilot.click(offset=(6, row_of(app, "▸ notes.txt")))
        await settle(pilot)
        assert "second note" in screen_text(app)
        assert "third note" not in screen_text(app)
        await pilot.click(offset=(6, row_of(app, "▾ notes.txt")))
        await settle(pilot)
        assert "first note" not in screen_text(app)
        assert not any(isinstance(one, Transcript.TurnClicked) for one in app.messages)


async def test_the_key_that_folds_reasoning_folds_the_files_of_a_turn_too() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        parts = (ShownPart("image: cat.png"), NOTES)
        app.transcript.append(ShownTurn("u", "user", "Look", parts=parts))
        app.transcript.append(ShownTurn("r", "assistant", "Nothing to fold"))
        app.transcript.toggle_reasoning()
        await settle(pilot)
        assert "second note" in screen_text(app)
        app.transcript.toggle_reasoning("u")
        await settle(pilot)
        assert "first note" not in screen_text(app)


async def test_a_turn_with_reasoning_and_a_file_folds_and_unfolds_both() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.append(ShownTurn("r", "assistant", "Answer", "Thought of", parts=(NOTES,)))
        for is_open in (True, False):
            app.transcript.toggle_reasoning("r")
            await settle(pilot)
            assert ("Thought of" in screen_text(app)) is is_open
            assert ("first note" in screen_text(app)) is is_open


async def test_folding_keeps_what_is_above_where_it_is() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        turns = chat(40)
        turns[35] = ShownTurn("t35", "assistant", "Answer 35", "a thought\n\n" * 20)
        app.transcript.show(turns)
        await settle(pilot)
        app.transcript.scroll_to(y=app.transcript.scroll_y - 12, animate=False)
        await settle(pilot)
        top = screen_rows(app)[:3]
        app.transcript.toggle_reasoning("t35")
        await settle(pilot)
        app.transcript.toggle_reasoning("t35")
        await settle(pilot)
        assert screen_rows(app)[:3] == top


async def test_the_raw_view_shows_the_source() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.append(ShownTurn("r", "assistant", "**bold** \x1b[31m"))
        await settle(pilot)
        assert "**" not in screen_text(app)
        app.transcript.toggle_raw()
        await settle(pilot)
        assert "**bold** ␛[31m" in screen_text(app)


async def test_search_counts_marks_and_walks_through_the_whole_chat() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        turns = chat(100)
        turns[3] = ShownTurn("t3", "assistant", "the Needle is here, a needle")
        turns[50] = ShownTurn("t50", "user", "NEEDLE")
        app.transcript.show(turns)
        await settle(pilot)
        assert app.transcript.find("needle") == 3
        await settle(pilot)
        assert app.transcript.found == (3, 3)
        assert "NEEDLE" in screen_text(app)
        app.transcript.find_next(-1)
        await settle(pilot)
        assert app.transcript.found == (2, 3)
        assert "the Needle is here" in screen_text(app)
        app.transcript.find_next(-1)
        app.transcript.find_next(-1)
        await settle(pilot)
        assert app.transcript.found == (3, 3)
        app.transcript.clear_find()
        assert app.transcript.found == (0, 0)
        assert app.transcript.find("no such thing") == 0


async def test_hits_stand_out_and_the_current_one_most() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "needle and needle")])
        await settle(pilot)
        app.transcript.find("needle")
        await settle(pilot)
        strip = app.screen._compositor.render_strips()[row_of(app, "needle")]
        looks = {(s.text, s.style.color, s.style.bgcolor) for s in strip if s.text == "needle"}
        plain = next(s.style.bgcolor for s in strip if "and" in s.text)
        assert len(looks) == 2
        assert all(color != ground and ground != plain for _, color, ground in looks)


async def test_search_unfolds_the_reasoning_that_it_finds_something_in() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show([ShownTurn("r", "assistant", "Answer", "a hidden needle")])
        await settle(pilot)
        assert app.transcript.find("needle") == 1
        await settle(pilot)
        assert "a hidden needle" in screen_text(app)


async def test_clicks_say_what_was_clicked() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(
            [ShownTurn("a", "assistant", "see https://a.example now", variant=2, variants=3)]
        )
        await settle(pilot)
        row = screen_rows(app)[0]
        await pilot.click(offset=(row.index("‹"), 0))
        await pilot.click(offset=(row.index("›"), 0))
        text_row = row_of(app, "https://")
        await pilot.click(offset=(screen_rows(app)[text_row].index("https") + 2, text_row))
        await pilot.click(offset=(screen_rows(app)[text_row].index("see"), text_row))
        await settle(pilot)
        assert app.messages == [
            Transcript.VariantPaged("a", -1),
            Transcript.VariantPaged("a", 1),
            Transcript.LinkClicked("https://a.example"),
            Transcript.TurnClicked("a"),
        ]


async def test_the_mouse_selects_over_turns_and_copies_what_was_written() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 30)) as pilot:
        long = "one two three four five six seven eight nine ten eleven twelve"
        app.transcript.show(
            [
                ShownTurn("a", "assistant", f"{long}\n\n```\ncode();\n```"),
                ShownTurn("b", "user", "Thanks"),
            ]
        )
        await settle(pilot)
        start = row_of(app, "one two")
        await pilot.mouse_down(offset=(screen_rows(app)[start].index("two"), start))
        end = row_of(app, "Thanks")
        await pilot.hover(offset=(screen_rows(app)[end].index("Thanks") + 3, end))
        await pilot.mouse_up(offset=(screen_rows(app)[end].index("Thanks") + 3, end))
        await settle(pilot)
        selected = app.screen.get_selected_text()
        assert selected is not None
        assert selected.startswith(long[4:] + "\n\n")
        assert "\ncode();\n" in selected
        assert selected.endswith("You\nTha")


async def test_a_whole_turn_is_copied_without_its_layout() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(40, 30)) as pilot:
        app.transcript.show(
            [ShownTurn("a", "assistant", "> a quote\n\n- item\n  - inner", caption="14:00")]
        )
        await settle(pilot)
        (view,) = mounted(app)
        assert view.get_selection(Selection(None, None)) == (
            "Assistant\na quote\n\n• item\n  ◦ inner\n", "\n",
        )  # fmt: skip
        assert view.get_selection(Selection(Offset(2, 1), Offset(7, 1))) == ("a quo", "\n")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)])
async def test_every_size_shows_the_end_of_the_chat(size: tuple[int, int]) -> None:
    app = TranscriptApp()
    async with app.run_test(size=size) as pilot:
        app.transcript.show(chat(30))
        await settle(pilot)
        assert "Turn 29." in screen_text(app)
        assert all(len(row.strip("▌│ ")) <= 100 for row in screen_rows(app))


async def test_a_resize_in_mid_stream_keeps_the_place_and_the_text() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.show(
            [*chat(30), ShownTurn("live", "assistant", "", status=Status.STREAMING)]
        )
        await settle(pilot)
        for width, height in ((200, 60), (80, 24), (60, 20)):
            app.transcript.stream("live", f"at {width}\n\n")
            await pilot.resize_terminal(width, height)
            await settle(pilot)
            assert app.transcript.following
            assert f"at {width}" in screen_text(app)
        app.transcript.cursor = "t20"
        app.transcript.move_cursor(0)
        await settle(pilot)
        first = next(row for row in screen_rows(app) if "Turn" in row).strip("▌│ ")
        await pilot.resize_terminal(100, 24)
        await settle(pilot)
        assert first in screen_text(app)


async def test_a_theme_switch_repaints_in_the_new_colors() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "# Head")])
        await settle(pilot)

        def color() -> object:
            strip = app.screen._compositor.render_strips()[row_of(app, "Head")]
            return next(segment.style.color for segment in strip if "Head" in segment.text)

        before = color()
        app.theme = "textual-light"
        await settle(pilot)
        assert color() != before


def colors_of(app: TranscriptApp, needle: str) -> set[object]:
    strip = app.screen._compositor.render_strips()[row_of(app, needle)]
    plain = " ▏"
    words = (segment for segment in strip if segment.text.strip(plain) and segment.text in needle)
    return {segment.style.color for segment in words if segment.style}


async def test_code_gets_its_colors_when_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    go = Event()
    rows = Lexers.rows
    monkeypatch.setattr(Lexers, "rows", lambda *given: go.wait(30) and rows(*given))
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        code = "```ruby\nclass Thing\n```"
        app.transcript.show([ShownTurn("a", "assistant", code), *chat(1)], follow=True)
        await settle(pilot)
        assert len(colors_of(app, "class Thing")) == 1
        height = app.transcript.virtual_size.height
        go.set()
        for _ in range(500):
            if len(colors_of(app, "class Thing")) > 1:
                break
            await pilot.pause(0.02)
        assert len(colors_of(app, "class Thing")) > 1
        assert app.transcript.virtual_size.height == height
        thread = app.transcript._colors._highlighter._thread
    thread.join(30)
    assert not thread.is_alive()


async def test_settled_code_gets_its_colors_while_the_reply_goes_on() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        reply = ShownTurn(
            "a", "assistant", "```ruby\nclass Thing\n```\n\n", status=Status.STREAMING
        )
        app.transcript.show([reply])
        for _ in range(500):
            app.transcript.stream("a", "w ")
            await pilot.pause(0.02)
            if len(colors_of(app, "class Thing")) > 1:
                break
        assert len(colors_of(app, "class Thing")) > 1


async def test_code_that_is_written_gets_its_colors_when_the_reply_pauses() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "", status=Status.STREAMING)])
        app.transcript.stream("a", "```ruby\nclass Thing")
        for _ in range(500):
            await pilot.pause(0.02)
            if len(colors_of(app, "class Thing")) > 1:
                break
        assert len(colors_of(app, "class Thing")) > 1


async def test_no_process_is_started_before_there_is_code(monkeypatch: pytest.MonkeyPatch) -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.show(chat(5))
        await settle(pilot)
        highlighter = app.transcript._colors._highlighter
        assert highlighter._thread is None
        code = ShownTurn("code", "assistant", "```python\nclass Thing: ...\n```")
        app.transcript.show([*chat(5), code])
        async with asyncio.timeout(30):
            while highlighter._thread is None:
                await pilot.pause(0.02)


async def test_hostile_text_reaches_no_part_of_the_screen_raw() -> None:
    payload = "\x1b]52;c;eA==\x07\x9b31m\u202eabc[bold red]x[/]"
    app = TranscriptApp()
    async with app.run_test(size=(100, 40)) as pilot:
        app.transcript.show(
            [
                ShownTurn(
                    "a",
                    payload,
                    f"{payload}\n\n`{payload}`\n\n```{payload}\n{payload}\n```\n\n# {payload}\n\n[{payload}](http://a/{payload})\n\n"
                    f"| {payload} |\n|---|\n| &#27;[31m |\n\n- {payload}",
                    reasoning=payload,
                    status=Status.FAILED,
                    error=payload,
                    caption=payload,
                    reasoning_caption=payload,
                )
            ]
        )
        app.transcript.toggle_reasoning("a")
        await settle(pilot)
        text = screen_text(app)
        assert not set("\x1b\x07\x9b\u202e") & set(text)
        assert "[bold red]x[/]" in text


async def test_a_huge_turn_is_laid_out_over_many_frames_and_ends_complete() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "- item\n" * 5_000 + "\nThe end.")])
        for _ in range(500):
            await pilot.pause(0.01)
            if "The end." in screen_text(app):
                break
        assert "The end." in screen_text(app)
        assert app.transcript.following


async def test_line_numbers_are_for_the_whole_pane_and_for_turns_to_come() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "```\nfirst()\n```")])
        await settle(pilot)
        app.transcript.toggle_line_numbers()
        app.transcript.append(ShownTurn("b", "user", "```\nsecond()\n```"))
        await settle(pilot)
        assert "▏   1 first()" in screen_text(app)
        assert "▏   1 second()" in screen_text(app)
        app.transcript.toggle_line_numbers()
        await settle(pilot)
        assert not app.transcript.line_numbers
        assert "▏ first()" in screen_text(app)


async def test_a_phrase_is_found_across_markup_where_it_is_read() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        turns = chat(60)
        turns[7] = ShownTurn(
            "t7",
            "assistant",
            "A [link](http://needle.example)\n\nvery **bold** words, `co`de",
            "**why** not",
        )
        app.transcript.show(turns)
        await settle(pilot)
        for query in ("very bold words", "code", "why not"):
            assert app.transcript.find(query) == 1
            await settle(pilot)
            assert app.transcript.found == (1, 1)
            strip = app.screen._compositor.render_strips()[row_of(app, query)]
            marked = "".join(s.text for s in strip if s.style.underline and s.style.bold)
            assert marked == query
        assert app.transcript.find("**bold**") == 0


async def test_numbers_of_lines_and_edges_of_code_are_not_found() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "```\ncode()\n```\n\n> said")])
        app.transcript.toggle_line_numbers()
        await settle(pilot)
        assert app.transcript.find("1") == 0
        assert app.transcript.find("▏") == 0
        assert app.transcript.find("said") == 1


async def test_a_long_chat_is_counted_in_idle_moments_and_the_count_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transcript, "_FIND_S", 0.0)
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        app.transcript.show(
            [*chat(300), ShownTurn("x", "assistant", "[some](http://some.example)")]
        )
        await settle(pilot)
        app.transcript.find("some")
        for _ in range(500):
            await pilot.pause(0.01)
            if app.messages and isinstance(app.messages[-1], Transcript.HitsCounted):
                break
        shown = sum(turn.text.count("some") for turn in app.transcript.turns[:-1])
        assert app.messages[-1] == Transcript.HitsCounted(shown + 2)
        assert app.transcript.found == (shown + 2, shown + 2)


async def test_a_hit_far_down_in_a_huge_turn_is_gone_to_when_it_is_come_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turn_hits, "_SLICE_S", 0.0)
    app = TranscriptApp()
    async with app.run_test(size=(80, 24)) as pilot:
        text = "- item\n" * 300 + "\nneedle\n\n" + "- item\n" * 300
        app.transcript.show([ShownTurn("a", "assistant", text)])
        await quiet(pilot)
        assert app.transcript.find("needle") == 1
        for _ in range(200):
            await pilot.pause(0.01)
            if "needle" in screen_text(app):
                break
        assert "needle" in screen_text(app)


async def test_the_beginning_of_a_huge_turn_is_shown_while_the_rest_is_laid_out() -> None:
    live = LiveDocument("- item\n" * 20_000)
    first = live.lines(60, budget_s=0.03)
    assert live.is_waiting
    assert first[0].text == "• item"


async def test_arrows_read_through_a_tall_turn_before_they_leave_it() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(60, 20)) as pilot:
        tall = "\n\n".join(f"tall {number}" for number in range(30))
        app.transcript.show(
            [
                *chat(3, words=1),
                ShownTurn("tall", "assistant", tall),
                ShownTurn("z", "user", "Last"),
            ]
        )
        await settle(pilot)
        app.transcript.move_cursor(0)
        await settle(pilot)
        app.transcript.scroll_or_move(-1)
        await settle(pilot)
        assert app.transcript.cursor == "tall"
        assert "tall 29" in screen_text(app)
        seen: list[str] = []
        for _ in range(40):
            seen.extend(row.strip("▌ ") for row in screen_rows(app))
            app.transcript.scroll_or_move(-1)
            await settle(pilot)
            if app.transcript.cursor != "tall":
                break
        assert app.transcript.cursor == "t2"
        assert {f"tall {number}" for number in range(30)} <= set(seen)
        app.transcript.scroll_or_move(1)
        await settle(pilot)
        assert app.transcript.cursor == "tall"
        steps = 0
        while app.transcript.cursor == "tall" and steps < 40:
            app.transcript.scroll_or_move(1)
            await settle(pilot)
            steps += 1
        assert app.transcript.cursor == "z"
        assert steps > 10


async def test_many_short_turns_fill_a_large_screen_and_come_to_rest() -> None:
    app = TranscriptApp()
    async with app.run_test(size=(200, 60)) as pilot:
        app.transcript.show(chat(400, words=1))
        await quiet(pilot)
        for move in (-100, -100, 50, -50, 150):
            app.transcript.scroll_to(y=app.transcript.scroll_y + move, animate=False)
            await quiet(pilot)
            assert sum(1 for row in screen_rows(app) if "Turn" in row) >= 15


@pytest.mark.parametrize(("look", "end"), [("", "▍"), ("-ascii", "_"), ("-still", "")])
async def test_the_caret_fits_the_terminal_and_is_not_there_where_nothing_moves(
    look: str, end: str
) -> None:
    app = TranscriptApp()
    app.set_class(bool(look), look or "-none")
    async with app.run_test(size=(60, 20)) as pilot:
        app.transcript.show([ShownTurn("a", "assistant", "said", status=Status.STREAMING)])
        await settle(pilot)
        row = app.screen._compositor.render_strips()[row_of(app, "said")]
        assert row.text.rstrip() == f"   said{end}"
