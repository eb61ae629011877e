from __future__ import annotations

import re

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.geometry import Offset
from textual.selection import Selection

from tui.widgets.long_text import LongText, fold


def folded(text: str, width: int) -> list[str]:
    return [text[start:end] for start, end in fold(text, width)]


def test_lines_are_broken_after_a_space_or_anywhere():
    assert folded("one two three\n\nabcdefghij", 8) == ["one two ", "three", "", "abcdefgh", "ij"]


@pytest.mark.parametrize(
    "text", ["", "\n", "日本語のとても長い文です", "a" * 50, " " * 30, "é日 " * 20]
)
@pytest.mark.parametrize("width", [1, 2, 7])
def test_folding_loses_nothing_and_fits(text, width):
    rows = folded(text, width)
    assert "".join(rows) == text.replace("\n", "")
    assert all(cell_len(row) <= max(width, 2) for row in rows)


class Host(App[None]):
    def __init__(self, text: str, mark: re.Pattern[str] | None = None) -> None:
        super().__init__()
        self.view = LongText(text, mark)

    def compose(self) -> ComposeResult:
        yield self.view

    def rows(self) -> list[str]:
        return [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]


async def test_control_characters_become_visible():
    app = Host("a\x1b[2Jb\tc")
    async with app.run_test(size=(40, 5)):
        assert app.rows()[0] == "a␛[2Jb    c"


async def test_what_matches_stands_out_also_where_a_row_breaks():
    app = Host("one <mark-me> two", re.compile("<[^>]*>"))
    async with app.run_test(size=(10, 5)):
        bold = ""
        for y in range(4):
            bold += "".join(part.text for part in app.view.render_line(y) if part.style.bold)
        assert bold == "<mark-me>"


async def test_the_text_folds_again_when_the_screen_changes():
    app = Host("one two three")
    async with app.run_test(size=(9, 5)) as pilot:
        assert app.rows()[:2] == ["one two", "three"]
        await pilot.resize_terminal(40, 5)
        await pilot.pause()
        assert app.rows()[0] == "one two three"


async def test_a_selection_has_no_breaks_of_the_folding():
    app = Host("one two three\nfour")
    async with app.run_test(size=(9, 5)):
        chosen = app.view.get_selection(Selection(Offset(4, 0), Offset(2, 2)))
        assert chosen == ("two three\nfo", "\n")
        assert app.view.get_selection(Selection(None, None)) == ("one two three\nfour", "\n")


async def test_a_mouse_selection_is_copied_as_it_stands():
    app = Host("one two three")
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.mouse_down(LongText, offset=(4, 0))
        await pilot.hover(LongText, offset=(6, 0))
        await pilot.mouse_up(LongText, offset=(6, 0))
        await pilot.pause()
        assert app.screen.get_selected_text() == "two"


async def test_a_text_given_later_is_shown():
    app = Host("before")
    async with app.run_test(size=(40, 5)) as pilot:
        app.view.set_text("after")
        await pilot.pause()
        assert app.rows()[0] == "after"


async def test_no_row_is_hidden_behind_the_scrollbar():
    app = Host("word " * 300)
    async with app.run_test(size=(40, 5)) as pilot:
        await pilot.pause()
        assert app.view.show_vertical_scrollbar
        assert app.view.scrollable_content_region.width == 39
        assert app.view.render_line(0).text == ("word " * 7).ljust(39)


PIECES = ("two", " words", "\n", "more")


def grounds(app: Host, y: int) -> dict[str, str]:
    """What stands on each ground of a row."""
    found: dict[str, str] = {}
    for segment in app.view.render_line(y):
        name = str(segment.style.bgcolor and segment.style.bgcolor.triplet)
        found[name] = found.get(name, "") + segment.text
    return found


async def test_pieces_stand_on_two_grounds_by_turns():
    app = Host("")
    async with app.run_test(size=(20, 5)) as pilot:
        app.view.set_pieces(PIECES)
        await pilot.pause()
        assert app.rows()[:2] == ["two words⏎", "more"]
        two, words, *_ = grounds(app, 0).values()
        assert (two, words) == ("two⏎", " words")
        assert "more" in grounds(app, 1).values()


@pytest.mark.parametrize("look", ["-plain", "no color"])
async def test_the_edges_of_pieces_are_drawn_where_there_is_no_color(look):
    app = Host("")
    async with app.run_test(size=(20, 5)) as pilot:
        app.set_class(look == "-plain", "-plain")
        app.no_color = look == "no color"
        app.view.set_pieces(PIECES)
        await pilot.pause()
        assert app.rows()[:2] == ["two| words|⏎", "|more"]
