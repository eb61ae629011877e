"""No Markdown stops the screen: what is done in one frame is bounded, whatever a model or file writes, and no word is lost."""

from __future__ import annotations

import cProfile
import itertools
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from textual.style import Style

from tests.widgets.hostile_markdown import KINDS, mixtures
from tui.widgets.markdown import document, inline, parser, pieces, search
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.formulas import readable
from tui.widgets.markdown.lines import Line, Span
from tui.widgets.markdown.painting import Mark, _pieces
from tui.widgets.markdown.search import LineHits
from tui.widgets.markdown.weight import reach

_SIZE = 9_000
_FRAMES = 25
"""Frames of one text that are looked at."""
_MOST_CALLS = 250_000
"""Calls of functions in one frame, those of the interpreter included: a call takes about 0.1 µs."""


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    inline._parsed_without_references.cache_clear()
    readable.cache_clear()
    pieces.code_texts.cache_clear()


@pytest.fixture
def ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a frame end after a few looks at the clock, however fast the machine is."""
    clock = SimpleNamespace(perf_counter=itertools.count().__next__)
    monkeypatch.setattr(document, "time", clock)
    monkeypatch.setattr(search, "time", clock)


def calls_of(job: Callable[[], object]) -> int:
    """Return how many functions `job` calls, those of the interpreter included."""
    profile = cProfile.Profile()
    profile.runcall(job)
    return sum(entry.callcount for entry in profile.getstats())


def frames(live: LiveDocument, width: int) -> int:
    """Lay all of a document out; return the calls of the frame that took the most."""
    most = calls_of(lambda: live.lines(width, budget_s=6))
    for _ in range(_FRAMES):
        if not live.is_waiting:
            break
        most = max(most, calls_of(lambda: live.lines(width, budget_s=6)))
    return most


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_markdown_costs_much_in_one_frame(kind: str) -> None:
    text = KINDS[kind](_SIZE)
    growing = LiveDocument(finished=False)
    for start in range(0, len(text), 4_500):
        growing.append(text[start : start + 4_500])
        assert frames(growing, 80) < _MOST_CALLS


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("seed", range(8))
def test_no_mixture_costs_much_in_one_frame(seed: int) -> None:
    for text in mixtures(seed, 1, _SIZE):
        assert frames(LiveDocument(text), 40) < _MOST_CALLS


@pytest.mark.parametrize("seed", range(5))
def test_what_is_too_heavy_is_plain_at_the_same_place_however_it_came(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "LIMIT", 800)
    monkeypatch.setattr(document, "_WINDOW", 200)
    monkeypatch.setattr(parser, "_MOST_INLINE", 900)
    monkeypatch.setattr(document, "_MOST_DEFINITIONS", 3)
    for number, text in enumerate(mixtures(100 + seed, 2, 1_800)):
        live = LiveDocument(finished=False)
        step = 1 + (seed * 37 + number * 211) % 500
        for start in range(0, len(text), step):
            live.append(text[start : start + step])
            live.lines(40)
        live.finish()
        assert list(live.lines(40)) == list(LiveDocument(text).lines(40))


_LINES = st.lists(
    st.sampled_from(["> ", ">", "- ", "-", "1. ", "1", ".", "|", "|-|-|", "a", " ", "    ", "\t", "\n", "\n\n", "[^1]: "]),
    max_size=40,
).map("".join)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(_LINES, st.integers(1, 400), st.integers(0, 60))
def test_a_weight_never_falls_as_a_text_grows(text: str, limit: int, cut: int) -> None:
    start = text[:cut]
    if reach(start, limit) < len(start):
        assert reach(text, limit) == reach(start, limit)


@pytest.mark.parametrize("kind", ["quotes, lazy", "paragraph, lines", "list, items"])
def test_every_line_of_a_text_that_is_too_heavy_is_there(kind: str) -> None:
    text = KINDS[kind](_SIZE)
    page = "".join(line.text for line in LiveDocument(text).lines(76))
    for letter in "abx":
        assert page.count(letter) >= text.count(letter)


def test_short_rows_do_not_multiply_the_cells_of_a_table() -> None:
    text = "|a" * 200 + "|\n" + "|-" * 200 + "|\n" + "|b|\n" * 60
    lines = LiveDocument(text).lines(60)
    assert len(lines) < 3_000
    assert sum("b" in line.text for line in lines) == 60


def test_a_long_name_of_a_column_is_not_repeated_in_each_record() -> None:
    name = "name" * 500
    text = f"|{name}|" + "b|" * 40 + "\n|" + "-|" * 41 + "\n" + "|c|\n" * 100
    page = "".join(line.text for line in LiveDocument(text).lines(40))
    assert 500 <= page.count("name") < 4_000
    assert page.count("c") == 100


def test_of_thousands_of_definitions_only_some_are_resolved_and_all_are_shown() -> None:
    text = "".join(f"[label {number}]: https://a.example/{number}\n\n" for number in range(2_000))
    lines = LiveDocument(text + "[label 1] and [label 1999]").lines(80)
    assert "https://a.example/1)" in lines[-1].text.replace("\n", "")
    assert "[label 1999]" in lines[-1].text
    assert sum("https://a.example/" in line.text for line in lines) == 2_001


def test_many_addresses_in_one_paragraph_are_searched_for_once_at_most() -> None:
    once, twice = (calls_of(lambda n=n: LiveDocument("a://" * n).lines(80)) for n in (200, 400))
    assert twice < 2.5 * once


def test_the_hits_on_one_long_wrapped_line_are_found_over_several_frames(ticking: None) -> None:
    text = "a" * 200_000
    lines = [Line((Span(text[n : n + 80]),), joint="") for n in range(0, len(text), 80)]
    hits, updates = LineHits("a"), 1
    while not hits.update(lines, deadline=0):
        updates += 1
    assert updates > 10
    assert len(hits.rows) == 200_000


def test_a_phrase_is_found_across_any_number_of_wrapped_lines() -> None:
    text = "abcdefghij" * 30
    lines = [Line((Span(text[n : n + 7]),), joint="") for n in range(0, len(text), 7)]
    hits = LineHits("JABCDEFGHIJA".lower())
    hits.update(lines)
    assert len(hits.rows) == 14
    assert hits.marks[1][0] == (2, 7, 0)


def test_a_row_with_thousands_of_marks_is_cut_in_one_pass() -> None:
    style = Style(bold=True)
    line = Line(tuple(Span("a\u0301") for _ in range(2_000)))
    marks = [Mark(2 * n, 2 * n + 1, style) for n in range(2_000)]
    assert calls_of(lambda: [list(spans) for spans, _ in _pieces(line, marks)]) < 100_000


def test_code_is_found_in_a_text_that_is_too_heavy_for_markdown() -> None:
    text = "word\n" * 20_000 + "\n> ```py\n> x = 1\n>\n> y = 2\n> ```\n\n~~~\nz\n"
    found = pieces.code_texts(text)
    assert [(code.text, code.language) for code in found] == [
        ("x = 1\n\ny = 2\n", "py"),
        ("z\n", ""),
    ]


def test_a_text_that_is_too_heavy_is_one_block() -> None:
    assert (
        pieces.pieces("> " * 20 + "a\n" + "b\n" * 20_000, 80, verbatim=False, numbers=False) == ()
    )
