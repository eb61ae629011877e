"""A text that streams in looks, in the end, exactly as if it had been there from the start, and loses nothing."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.widgets.markdown_examples import EXAMPLES
from tui.highlighting import stretches
from tui.highlighting.lexers import kinds
from tui.sanitize import sanitize
from tui.widgets.markdown import document, highlight, raw, table_layout
from tui.widgets.markdown import lines as lines_module
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.highlight import CodeColors
from tui.widgets.markdown.layout import lay_out
from tui.widgets.markdown.lines import Line, Span, copied_text, wrap
from tui.widgets.markdown.parser import BlockParse, references
from tui.widgets.markdown.pieces import code_texts, pieces
from tui.widgets.markdown.search import LineHits, shown_text

_FRAGMENTS = (
    "- ", "* ", "+ ", "1. ", "2) ", "10. z\n", "> ", "    ", "  ", "\t", "\n", "\n\n", "  - n\n", "   1. q\n",
    "```\n", "```py\n", "````\n", "~~~\n", "def f(x):\n", '"""doc\n', "# ", "## ", "---\n", "***\n", "===\n", "- [x] t\n",
    "| a | b |\n", "|---|---|\n", "|--", "| c | d | e |\n", "|", "word", "foo bar", "`code`", "**b**", "*e*", "~~s~~",
    "[x](http://u)", "[r]", "[r]: http://ref\n", "[r]: http://other\n", "[R]: /third\n\n", "a\tb", "![i](s)", "<b>", "a<b>c", "&amp;", "&#27;", "\\(x_1\\)", "$$\n", "$$",
    "\\[\n", "\\]\n", "$x_1$", "$$\\frac{a}{b}$$", "[^1]", "[^1]: n\n", "[^n]:", "\\(\\le\\)", "$5", "[ ] ", "x", "1", "-", "=", "日本語", "👩‍👩‍👧", "\r\n", "\r", "\x1b[31m", "http://a.example/x",
)  # fmt: skip
_TEXTS = st.lists(st.sampled_from(_FRAGMENTS), max_size=40).map("".join)
_CUTS = st.lists(st.integers(1, 9), max_size=60)
_WIDTHS = st.sampled_from([12, 30, 76])
_SLOW = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def seen(line: Line) -> str:
    """What a row says: the text, and what stands at its right end."""
    return line.text if line.note is None else f"{line.text}  {line.note.text}"


def texts_of(lines: Sequence[Line]) -> list[str]:
    return [seen(line).rstrip() for line in lines]


def streamed(text: str, cuts: list[int], width: int, *, numbers: bool = False) -> list[Line]:
    live = LiveDocument(finished=False)
    position = 0
    for cut in cuts:
        live.append(text[position : position + cut])
        live.lines(width, numbers=numbers)
        position += cut
    live.append(text[position:])
    live.lines(width, numbers=numbers)
    live.finish()
    return list(live.lines(width, numbers=numbers))


def parsed_as_a_whole(text: str, width: int) -> list[Line]:
    """Lay a text out from one parse of all of it, with no regard to what can settle when."""
    text = sanitize(text.replace("\r\n", "\n").replace("\r", "\n"))
    parse = BlockParse(text, verbatim=False, env={})
    blocks = parse.build(parse.units, None)
    if parse.definitions:
        parse = BlockParse(text, verbatim=False, env=references(parse.definitions))
        blocks = parse.build(parse.units, None)
    return lay_out(blocks, width)


@_SLOW
@given(_TEXTS, _CUTS, _WIDTHS)
def test_streamed_text_ends_up_as_one_shot_text(text: str, cuts: list[int], width: int) -> None:
    assert streamed(text, cuts, width) == list(LiveDocument(text).lines(width))


@_SLOW
@given(_TEXTS, _WIDTHS)
def test_settling_block_by_block_changes_nothing(text: str, width: int) -> None:
    assert texts_of(LiveDocument(text).lines(width)) == texts_of(parsed_as_a_whole(text, width))


@_SLOW
@given(_TEXTS, _WIDTHS)
def test_no_line_is_wider_than_the_page(text: str, width: int) -> None:
    assert all(cell_len(line.text) <= width for line in LiveDocument(text).lines(width))


@_SLOW
@given(_TEXTS)
def test_no_control_character_comes_through(text: str) -> None:
    shown = "".join(seen(line) for line in LiveDocument(text).lines(60))
    assert shown == sanitize(shown)
    assert "\t" not in shown


@_SLOW
@given(_TEXTS, _CUTS, _WIDTHS)
def test_limits_are_met_at_the_same_place_however_the_text_came(
    text: str, cuts: list[int], width: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "LIMIT", 60)
        patch.setattr(document, "_WINDOW", 20)
        patch.setattr(document, "_PLAIN_PIECE", 25)
        patch.setattr(stretches, "SOFT_END", 4)
        patch.setattr(stretches, "HARD_END", 6)
        patch.setattr(table_layout, "MEASURED_ROWS", 2)
        assert streamed(text * 2, cuts, width) == list(LiveDocument(text * 2).lines(width))


_WORDS = st.lists(
    st.sampled_from(
        [
            "alpha", "**bold**", "*em*", "`a<b>c`", "<tag>", "x<y", "snake_case_name", "5 * 3 * 2", "$5", "\n", "\n\n",
            "\n- item", "\n1. first", "\n> said", "\n# Head", "\n```\ncode();\n```\n", "\n| a | b |\n|---|---|\n| c | d | e |\n",
            "日本語", "naïve", "[text](http://to.example/x)", "![alt](pic.png)", "http://bare.example", "\\(x\\)", "&lt;",
        ]
    ),
    max_size=30,
)  # fmt: skip


@_SLOW
@given(_WORDS)
def test_every_word_of_the_source_is_on_the_page(words: list[str]) -> None:
    source = " ".join(words)
    page = re.sub(r"\s", "", "".join(seen(line) for line in LiveDocument(source).lines(200)))
    source = source.replace("&lt;", "<")
    for word in re.findall(r"[^\W_]+", source):
        assert word in page


@_SLOW
@given(_TEXTS)
def test_user_text_is_shown_as_it_was_typed(text: str) -> None:
    page = "".join(seen(line) for line in LiveDocument(text, verbatim=True).lines(200))
    for word in re.findall(r"\w+", sanitize(text.replace("```py", ""))):
        assert word in page


_EVERY_EXAMPLE = [(section, text) for section, texts in EXAMPLES.items() for text in texts]


@pytest.mark.parametrize("section", EXAMPLES)
def test_every_example_streams_into_what_it_is_at_once(section: str) -> None:
    for text in EXAMPLES[section]:
        for width in (12, 76):
            whole = list(LiveDocument(text).lines(width))
            for size in (1, 2, 3, 7):
                cuts = [size] * (len(text) // size)
                assert streamed(text, cuts, width) == whole, text
            assert texts_of(whole) == texts_of(parsed_as_a_whole(text, width)), text


@pytest.mark.parametrize("section", EXAMPLES)
def test_no_word_of_an_example_is_lost(section: str) -> None:
    for text in EXAMPLES[section]:
        page = "".join(seen(line) for line in LiveDocument(text).lines(200))
        source = re.sub(r"&#?\w+;|\\[a-zA-Z]+|- \[[xX]\]", " ", sanitize(text))
        for word in re.findall(r"[^\W\d_]+", source):
            assert word.casefold() in page.casefold(), text


@_SLOW
@given(st.lists(st.sampled_from([text for _, text in _EVERY_EXAMPLE]), max_size=6), _CUTS, _WIDTHS)
def test_examples_one_after_the_other_stream_as_well(
    texts: list[str], cuts: list[int], width: int
) -> None:
    for glue in ("\n", "\n\n"):
        text = glue.join(texts)
        assert streamed(text, cuts, width) == list(LiveDocument(text).lines(width))
        assert texts_of(LiveDocument(text).lines(width)) == texts_of(parsed_as_a_whole(text, width))


def test_html_and_angle_brackets_stay_text() -> None:
    lines = LiveDocument("<think>a<b>c</think>\n\n<div>\nx\n</div>").lines(60)
    assert texts_of(lines) == ["<think>a<b>c</think>", "", "<div>", "x", "</div>"]


def test_single_newlines_are_kept() -> None:
    assert texts_of(LiveDocument("one\ntwo\\\nthree").lines(60)) == ["one", "two", "three"]


def test_formulas_read_as_unicode_and_prices_stay() -> None:
    source = "so \\(a_1 * b_1 * c\\) and $x_i$, not $5 or $6\n\n$$\na\n= b\n- c\n$$\n\n\\[ \\frac{y}{2} \\]."
    assert texts_of(LiveDocument(source).lines(80)) == [
        "so a₁ * b₁ * c and xᵢ, not $5 or $6", "", "a = b - c", "", "y/2.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "from $5 to $6 or $7.50", "it costs $5, not $10 (US$20)", "echo $HOME/bin:$PATH", "a $ b $ c", "$5-$6",
        "$5 (USD), or 6$", "**$5**/**$6**", "$1,000/$2,000", "between $100k and $200k, plus $50", "paid $20 for it and $30 for that one", "\\(\\unknown{x}\\)",
        "$\\frac{a$", "\\( \\frac{a}{b \\)",
    ],
)  # fmt: skip
def test_what_is_no_formula_stays_as_it_was_written(text: str) -> None:
    assert texts_of(LiveDocument(text).lines(80)) == [text.replace("**", "")]


@pytest.mark.parametrize(
    ("formula", "shown"),
    [
        (r"x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x = (-b ± √(b² - 4ac))/(2a)"),
        (r"\sum_{i=1}^{n} i^2", "∑ᵢ₌₁ⁿ i²"),
        (r"e^{i\pi} + 1 = 0", "e^(iπ) + 1 = 0"),
        (r"\frac12 mv^2", "½ mv²"),
        (r"x\frac{a}{b}y", "x(a/b)y"),
        (r"x_{max} \to X_{AB}", "xₘₐₓ → X_AB"),
        (r"\left\{ x \in \mathbb{R} \mid x \ge 0 \right\}", "{ x ∈ ℝ | x ≥ 0 }"),
        (r"2\sin\theta\cos\theta", "2 sin θ cos θ"),
        (r"\left. \frac{dy}{dx} \right|_{x=0}", "dy/dx |ₓ₌₀"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "(a b; c d)"),
        (r"\text{if } x \ne 0, \hat{y} \cdot \|z\|_2", "if x ≠ 0, ŷ · ‖z‖₂"),
        (r"\sqrt[3]{8} \implies 90^\circ", "³√8 ⟹ 90°"),
    ],
)
def test_a_formula_means_the_same_in_unicode(formula: str, shown: str) -> None:
    expected = unicodedata.normalize("NFC", shown)
    for opening, closing in (("$", "$"), ("$$", "$$"), ("\\(", "\\)"), ("\\[", "\\]")):
        text = "\n".join(texts_of(LiveDocument(f"{opening}{formula}{closing}").lines(80)))
        assert unicodedata.normalize("NFC", text) == expected


def test_the_rows_of_an_aligned_formula_stand_below_each_other() -> None:
    source = "\\[\n\\begin{aligned}\na &= b \\\\\n c &= d\n\\end{aligned}\n\\]"
    assert texts_of(LiveDocument(source).lines(80)) == ["a = b", "c = d"]


def test_formulas_in_code_stay_as_they_were_written() -> None:
    source = "`$x_1$` and $a `x_1$` b$\n\n```\n$$\\frac{a}{b}$$\n```\n\n    \\[ x_1 \\]\n"
    assert texts_of(LiveDocument(source).lines(80)) == [
        "$x_1$ and $a x_1$ b$", "", "▏ $$\\frac{a}{b}$$", "", "▏ \\[ x_1 \\]",
    ]  # fmt: skip


def test_a_displayed_formula_is_shown_as_written_until_it_is_closed() -> None:
    live = LiveDocument("\\[\n\\frac{a}{b}\n", finished=False)
    assert texts_of(live.lines(60)) == ["\\[", "\\frac{a}{b}"]
    live.append("\\]\n")
    assert texts_of(live.lines(60)) == ["a/b"]


def test_footnotes_are_numbered_where_they_are_named_and_where_they_stand() -> None:
    source = "One.[^1] Two.[^why]\n\n[^1]: The first\n    goes on.\n\n    And on.\n[^why]: *Because*.\n\nAfter."
    expected = [
        "One.¹ Two.[^why]", "", "¹ The first", "  goes on.", "", "  And on.", "[^why] Because.", "", "After.",
    ]  # fmt: skip
    assert texts_of(LiveDocument(source).lines(60)) == expected
    live = LiveDocument(finished=False)
    for sign in source:
        live.append(sign)
        live.lines(60)
    assert texts_of(live.lines(60)) == expected


def test_lines_of_code_are_numbered_on_demand_and_the_numbers_are_not_copied() -> None:
    source = "```python\n" + "x = 1\n" * 200 + "```\n\n- a\n  ```\n  " + "y" * 30 + "\n  ```"
    document = LiveDocument(source)
    assert texts_of(document.lines(30))[1] == "▏ x = 1"
    lines = document.lines(30, numbers=True)
    assert texts_of(lines)[:3] == ["▏   1 x = 1  python", "▏   2 x = 1", "▏   3 x = 1"]
    assert texts_of(lines)[199] == "▏ 200 x = 1"
    assert texts_of(lines)[-2:] == ["  ▏   1 " + "y" * 22, "  ▏     " + "y" * 8]
    assert copied_text(lines, 0, 1, 0, None) == "x = 1\nx = 1"
    assert copied_text(lines, len(lines) - 2, len(lines) - 1, 0, None) == "y" * 30


@_SLOW
@given(_TEXTS, _CUTS, _WIDTHS)
def test_numbered_code_is_the_same_however_it_came(text: str, cuts: list[int], width: int) -> None:
    text = f"```py\n{text}"
    assert streamed(text, cuts, width, numbers=True) == list(
        LiveDocument(text).lines(width, numbers=True)
    )


def test_a_link_shows_its_target_and_carries_it() -> None:
    (line,) = LiveDocument("see [docs](https://a.example/b)").lines(60)
    assert line.text == "see docs (https://a.example/b)"
    assert {span.link for span in line.spans} == {"", "https://a.example/b"}


def test_a_bare_address_is_a_link_and_a_file_name_is_not() -> None:
    (line,) = LiveDocument("README.md at https://a.example").lines(60)
    assert [span.text for span in line.spans if span.link] == ["https://a.example"]


def test_the_title_of_a_link_or_image_is_shown_with_its_target() -> None:
    lines = LiveDocument('[docs](https://a.example "All") ![pic](p.png "Sea")').lines(80)
    assert texts_of(lines) == ['docs (https://a.example "All") [image: pic] (p.png "Sea")']


def test_a_script_address_is_no_link() -> None:
    (line,) = LiveDocument("[x](javascript:alert)").lines(60)
    assert line.text == "[x](javascript:alert)"
    assert not any(span.link for span in line.spans)


def test_a_reference_that_comes_last_is_resolved_when_the_reply_ends() -> None:
    live = LiveDocument("see [docs][1]\n\nmore\n\n[1]: https://a.example\n", finished=False)
    assert texts_of(live.lines(60))[0] == "see [docs][1]"
    live.finish()
    assert texts_of(live.lines(60)) == [
        "see docs (https://a.example)", "", "more", "", "[1]: https://a.example",
    ]  # fmt: skip


def test_escape_sequences_are_shown_and_not_sent() -> None:
    page = "".join(
        line.text for line in LiveDocument("\x1b]52;c;eA==\x07 &#27;[31m \u202e").lines(60)
    )
    assert page == "␛]52;c;eA==␇ \ufffd[31m ⟪RLO⟫"


def test_lists_keep_their_nesting_numbers_and_tasks() -> None:
    source = "3. c\n4. d\n   - x\n     - y\n- [ ] open\n- [x] done\n\n- loose"
    assert texts_of(LiveDocument(source).lines(60)) == [
        "3. c", "4. d", "   ◦ x", "     ▪ y", "", "☐ open", "☑ done", "", "• loose",
    ]  # fmt: skip


def test_numbers_go_on_when_items_settle_one_by_one() -> None:
    live = LiveDocument(finished=False)
    for number in range(1, 30):
        live.append(f"1. item {number}\n")
        live.lines(60)
    assert texts_of(live.lines(60))[-1] == "29. item 29"


def test_a_table_fits_the_page_and_keeps_cells_without_a_column() -> None:
    source = "| name | text |\n|---|--:|\n| a | 1 |\n| b | 2 | surplus |\n"
    assert texts_of(LiveDocument(source).lines(60)) == [
        "name │        text", "─────┼────────────", "a    │           1", "b    │ 2 | surplus",
    ]  # fmt: skip


def test_a_wide_table_wraps_its_cells() -> None:
    source = "| k | v |\n|---|---|\n| a | " + "word " * 20 + "|\n| b | c |\n"
    lines = texts_of(LiveDocument(source).lines(40))
    assert max(map(len, lines)) <= 40
    assert lines[2].startswith("a │ word word")
    assert lines[3].startswith("  │ word")


def test_a_table_too_wide_for_columns_becomes_records() -> None:
    source = (
        "|"
        + "|".join(f"h{n}" for n in range(30))
        + "|\n|"
        + "---|" * 30
        + "\n|"
        + "|".join(f"value{n}" for n in range(30))
        + "|\n"
    )
    lines = texts_of(LiveDocument(source).lines(60))
    assert lines[0] == "h0: value0"
    assert lines[29] == "h29: value29"


def test_a_column_grows_wider_in_rows_that_were_settled_before() -> None:
    live = LiveDocument("| k | v |\n|---|---|\n| a | b |\n", finished=False)
    live.lines(60)
    live.append("| longer | x |\n")
    live.finish()
    assert texts_of(live.lines(60))[2:] == ["a      │ b", "longer │ x"]


def test_code_names_its_language_and_keeps_its_indent() -> None:
    lines = LiveDocument("```python\nif x:\n    y = 1\n```").lines(60)
    assert texts_of(lines) == ["▏ if x:  python", "▏     y = 1"]


def test_a_language_beside_which_the_code_has_no_room_stands_above_it() -> None:
    lines = LiveDocument("```python\n" + "x" * 50 + "\n```").lines(56)
    assert texts_of(lines) == ["▏ python", "▏ " + "x" * 50]


def test_a_language_is_neither_copied_nor_found() -> None:
    lines = LiveDocument("```python\nx = 1\n```").lines(60)
    assert copied_text(lines, 0, 0, 0, None) == "x = 1"
    assert shown_text(lines) == "x = 1"


def test_an_unknown_language_is_plain_code() -> None:
    lines = LiveDocument("```no-such-language\nx = 1\n```").lines(60)
    assert texts_of(lines) == ["▏ x = 1  no-such-language"]


def test_wide_characters_are_counted_by_cells_and_do_not_begin_a_line_with_a_full_stop() -> None:
    lines = texts_of(LiveDocument("日本語の文章です。" * 3).lines(18))
    assert all(cell_len(line) <= 18 for line in lines)
    assert not any(line.startswith("。") for line in lines)


def test_an_emoji_family_is_never_torn_apart() -> None:
    family = "👩‍👩‍👧‍👦"
    lines = LiveDocument(family * 20).lines(9)
    assert all(set(line.text.split(family)) == {""} for line in lines)


def test_a_resize_lays_the_same_text_out_again() -> None:
    live = LiveDocument("word " * 40)
    assert len(live.lines(20)) > len(live.lines(80))
    assert texts_of(live.lines(20)) == texts_of(LiveDocument("word " * 40).lines(20))


def test_a_finished_text_can_go_on() -> None:
    live = LiveDocument("one\n\n```\nco")
    live.lines(60)
    live.append("de\n```\n")
    live.finish()
    assert list(live.lines(60)) == list(LiveDocument("one\n\n```\ncode\n```\n").lines(60))


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000, "word " * 40_000, "line\n" * 40_000, "[" * 10_000, "[" * 10_000 + "]" * 10_000, "![" * 5_000,
        ">" * 10_000 + " end", "- " * 5_000, "*a **b " * 4_000, "\\(" * 6_000, "$a" * 6_000, "`" * 9_999 + " x",
        "|" + "a|" * 500 + "\n|" + "-|" * 500 + "\n" + ("|" + "b|" * 500 + "\n") * 3,
        "".join(" " * (2 * n) + "- x\n" for n in range(150)),
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_hostile_text_costs_a_bounded_number_of_steps_and_is_all_there(text: str) -> None:
    page = "".join(seen(line) for line in LiveDocument(text).lines(76))
    for letter in "xwl[b":
        assert page.count(letter) >= text.count(letter)


def test_text_that_is_too_long_for_markdown_says_so_and_ends_at_a_blank_line() -> None:
    lines = texts_of(LiveDocument("word\n" * 10_000 + "\n## Head\n").lines(76))
    assert lines[0].startswith("⚠ Too long for Markdown")
    assert lines[-1] == "Head"


def test_layout_can_be_spread_over_frames() -> None:
    live = LiveDocument("- item\n" * 3_000)
    slices = 1
    while len(live.lines(60, budget_s=0.001)) and live.is_waiting:
        slices += 1
    assert slices > 1
    assert list(live.lines(60)) == list(LiveDocument("- item\n" * 3_000).lines(60))


class _Counted(BlockParse):
    parsed = 0

    def __init__(self, source: str, *, verbatim: bool, env: dict) -> None:
        type(self).parsed += len(source)
        super().__init__(source, verbatim=verbatim, env=env)


@pytest.mark.parametrize(
    "unit",
    [
        "A paragraph of some words.\n\n",
        "- an item of a list\n",
        "| a | some cell |\n",
        "code = 1\n",
    ],
)
def test_what_is_parsed_for_a_token_does_not_grow_with_the_reply(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(document, "BlockParse", _Counted)
    start = {"| a": "| h | i |\n|---|---|\n", "cod": "```python\n"}.get(unit[:3], "")
    live = LiveDocument(start, finished=False)
    costs = []
    for _ in range(4):
        _Counted.parsed = 0
        for _ in range(100):
            live.append(unit)
            live.lines(60)
        costs.append(_Counted.parsed)
    assert costs[-1] <= costs[1] * 1.5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb", "a   b"),
        ("# a\tb", "a   b"),
        ("> abcd\te", "▎ abcd    e"),
        ("- a\tb", "• a   b"),
        ("`a\tb`", "a   b"),
        ("**a\tb**", "a   b"),
        ("[a\tb](/u)", "a   b (/u)"),
        ("one\nab\tc", "one ab  c"),
        ("[^1]: a\tb", "¹ a   b"),
        ("```\n\ta\n```", "▏     a"),
    ],
)
def test_a_tab_reaches_to_its_column_and_is_copied_as_a_tab(text: str, shown: str) -> None:
    lines = LiveDocument(text).lines(60)
    assert " ".join(texts_of(lines)) == shown
    assert "\t" in copied_text(lines, 0, len(lines) - 1, 0, None)


def test_a_table_is_as_wide_with_tabs_as_it_looks_and_copied_without_its_lines() -> None:
    lines = LiveDocument("| h | i |\n|---|---|\n| a\tb | c |").lines(60)
    assert texts_of(lines) == ["h     │ i", "──────┼──", "a   b │ c"]
    assert copied_text(lines, 0, 2, 0, None) == "h       i\na\tb   c"


def test_of_two_definitions_with_one_label_the_first_holds_however_the_text_came() -> None:
    text = "[r]: http://one.example\n\nwords\n\n[r]: http://two.example\n\n[r]"
    assert "r (http://one.example)" in texts_of(streamed(text, [3] * 40, 60))
    assert streamed(text, [3] * 40, 60) == list(LiveDocument(text).lines(60))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[https://mybank.example/?next=e.co](https://e.co)", "https://mybank.example/?next=e.co (https://e.co)"),
        ("[e.co](https://e.co/)", "e.co"),
        ("<https://e.co/a%20b>", "https://e.co/a b"),
        ("[me@e.co](mailto:me@e.co)", "me@e.co"),
        ("![alpha ![beta](/u)](/v)", "[image: alpha [image: beta] (/u)] (/v)"),
    ],
)  # fmt: skip
def test_a_link_shows_where_it_leads_unless_its_text_is_that_address(text: str, shown: str) -> None:
    assert texts_of(LiveDocument(text).lines(90)) == [shown]


@pytest.mark.parametrize(
    "text",
    [
        '<a href="__init__.py">*', "vector<int*> *p and list<int*> *q", "<b>x</c*d*e>", '<a b="*" c="*">',
        "Map<String,List<T*>> *x", "</x_y_z>", "<a\nb=_x_ />",
    ],
)  # fmt: skip
def test_nothing_between_the_signs_of_a_tag_is_markup(text: str) -> None:
    assert "\n".join(texts_of(LiveDocument(text).lines(60))) == text


def test_a_comparison_is_no_tag_and_an_address_in_brackets_a_link() -> None:
    assert texts_of(LiveDocument("x <y and **z** > w").lines(60)) == ["x <y and z > w"]
    assert LiveDocument("<https://e.co>").lines(60)[0].spans[0].link == "https://e.co"


@_SLOW
@given(_TEXTS, _WIDTHS)
def test_the_blocks_of_a_text_take_all_of_its_rows(text: str, width: int) -> None:
    lines = list(LiveDocument(text).lines(width))
    found = pieces(text, width, verbatim=False, numbers=False)
    rows = [row for piece in found for row in range(piece.first_row, piece.end_row)]
    assert rows == sorted(set(rows))
    assert (found[-1].end_row if found else 0) == len(lines)
    assert all(not lines[row].text for row in set(range(len(lines))) - set(rows))


def test_code_is_found_in_lists_and_quotes() -> None:
    text = (
        "- a\n\n  ```py\n  x\n  ```\n\n> ~~~~ sh\n> y\n>\n> z\n> ~~~~\n\n    indented\n\n```c\nopen"
    )
    assert [(one.text, one.language) for one in code_texts(text)] == [
        ("x\n", "py"), ("y\n\nz\n", "sh"), ("indented\n", ""), ("open", "c"),
    ]  # fmt: skip


def test_tasks_of_a_numbered_list_have_their_boxes() -> None:
    lines = texts_of(LiveDocument("1. [ ] one\n2. [x] two").lines(60))
    assert lines == ["1. ☐ one", "2. ☑ two"]


def test_wrapping_looks_at_each_of_many_tabs_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    original = lines_module.slice_spans

    def counted(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
        nonlocal looked
        looked += len(spans)
        return original(spans, start, end)

    monkeypatch.setattr(lines_module, "slice_spans", counted)
    assert len(wrap([Span("a\t" * 4_000)], 40)) == 400
    assert looked < 4 * 8_000


@_SLOW
@given(_TEXTS, _CUTS, _WIDTHS)
def test_hits_are_found_in_growing_lines_as_in_those_that_are_there_at_once(
    text: str, cuts: list[int], width: int
) -> None:
    live, hits = LiveDocument(finished=False), LineHits("o")
    position = 0
    for cut in cuts:
        live.append(text[position : position + cut])
        position += cut
        hits.update(live.lines(width), 0.0)
    live.append(text[position:])
    live.finish()
    assert hits.update(live.lines(width))
    once = LineHits("o")
    once.update(list(LiveDocument(text).lines(width)))
    assert (hits.marks, hits.rows) == (once.marks, once.rows)


@_SLOW
@given(
    st.lists(st.sampled_from(["word ", "\n", "\r\n", "\r", "\t", "x" * 30]), max_size=60).map(
        "".join
    ),
    _CUTS,
)
def test_the_raw_view_is_the_same_in_pieces_and_loses_nothing(text: str, cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "_PIECE", 50)
        growing = raw.RawText()
        for end in cuts:
            growing.lines(text[:end], 20, budget_s=0.0)
        while (lines := growing.lines(text, 20, budget_s=0.0)) and growing.is_waiting:
            pass
        assert list(lines) == list(raw.RawText().lines(text, 20))
        copied = copied_text(lines, 0, len(lines) - 1, 0, None)
        # Spaces at which a line that is full ends are nowhere to be seen, and not copied.
        ends = [row.rstrip() for row in sanitize(text).split("\n")]
        assert [row.rstrip() for row in copied.split("\n")] == ends


@pytest.fixture
def colors() -> Iterator[CodeColors]:
    """The colors of a screen that is drawn again when it is told to."""
    made = CodeColors(lambda: None)
    yield made
    made.close()


def colored(live: LiveDocument, colors: CodeColors, width: int = 60) -> list[Line]:
    """Return the lines of a document when all of its colors are there."""
    while True:
        lines = list(live.lines(width))
        if not live.awaits_colors:
            return lines
        assert colors.wait(60)
        live.color()


def keywords(lines: Sequence[Line]) -> list[str]:
    return [
        span.text for line in lines for span in line.spans if span.style.endswith("tok-keyword")
    ]


_PYTHON = [
    "```python\nif x:\n```\n\nend\n",
    "> - ```python\n>   if x:\n>   ```\n",
    "```python\nif x:\n",
    "    if x:\n\n- a\n\n  ```python\n  if x:\n",
]


@pytest.mark.parametrize("text", _PYTHON)
@pytest.mark.parametrize("finished", [True, False])
def test_code_is_plain_until_its_colors_are_there(
    colors: CodeColors, text: str, finished: bool
) -> None:
    live = LiveDocument(text, finished=finished, colors=colors)
    plain = list(live.lines(60))
    assert not keywords(plain)
    now = colored(live, colors)
    assert keywords(now) == ["if"]
    assert [line.text for line in now] == [line.text for line in plain]
    live.finish()
    at_once = LiveDocument(text, colors=colors)
    assert colored(live, colors) == colored(at_once, colors)
    assert texts_of(now) == texts_of(LiveDocument(text, finished=finished).lines(60))


@settings(max_examples=25, deadline=None)
@given(_TEXTS, _CUTS)
def test_a_streamed_text_has_the_colors_of_one_that_was_there_at_once(
    text: str, cuts: list[int]
) -> None:
    with contextlib.closing(CodeColors(lambda: None)) as colors:
        text = f"```py\n{text}"
        live = LiveDocument(finished=False, colors=colors)
        position = 0
        for cut in cuts:
            live.append(text[position : position + cut])
            position += cut
            live.lines(60)
            live.color()
        live.append(text[position:])
        live.finish()
        assert colored(live, colors) == colored(LiveDocument(text, colors=colors), colors)
        assert texts_of(live.lines(60)) == texts_of(LiveDocument(text).lines(60))


@pytest.mark.parametrize("before", ["```python\n", "- item\n\n  ```python\n  "])
def test_code_that_is_being_written_keeps_its_colors(colors: CodeColors, before: str) -> None:
    live = LiveDocument(f"{before}if x: retur", finished=False, colors=colors)
    assert keywords(colored(live, colors)) == ["if"]
    live.append("n")
    assert keywords(live.lines(60)) == ["if"]
    assert keywords(colored(live, colors)) == ["if", "return"]


def test_a_long_stretch_keeps_its_colors_while_it_is_written_and_when_it_ends(
    colors: CodeColors,
) -> None:
    live = LiveDocument("```python\n", finished=False, colors=colors)
    for number in range(100):
        live.append("if x:\n")
        known = len(keywords(live.lines(60)))
        # The line that has just come has none yet.
        assert known >= number
        assert len(keywords(colored(live, colors))) == number + 1
    live.append("```\n")
    live.finish()
    assert len(keywords(live.lines(60))) == 100
    assert len(keywords(colored(live, colors))) == 100


def test_only_code_that_waited_is_laid_out_again(colors: CodeColors) -> None:
    text = "words\n\n" * 5 + "```python\nif x:\n```\n\n" + "words\n\n" * 5
    live = LiveDocument(text, colors=colors)
    plain = list(live.lines(60))
    first = texts_of(plain).index("▏ if x:  python")
    assert live.color() == range(0)
    assert colors.wait(60)
    assert live.color() == range(first - 1, first + 1)
    now = live.lines(60)
    assert all(old is new for old, new in zip(plain[: first - 1], now, strict=False))
    assert all(old is new for old, new in zip(plain[first + 1 :], now[first + 1 :], strict=True))
    assert not live.awaits_colors


def test_where_time_runs_out_every_block_has_its_turn(colors: CodeColors) -> None:
    live = LiveDocument(
        "".join(f"```python\nif x{number}:\n```\n\n" for number in range(30)), colors=colors
    )
    live.lines(60)
    assert colors.wait(60)
    rounds = 0
    while live.awaits_colors:
        live.color(deadline=0.0)
        rounds += 1
    assert rounds == 30
    assert len(keywords(live.lines(60))) == 30


def test_a_language_whose_lexer_never_ends_is_plain_and_takes_no_other_with_it(
    colors: CodeColors,
) -> None:
    text = "```mcschema\n<!--<!--\n```\n\n```python\nif x:\n```\n"
    live = LiveDocument(text, colors=colors)
    lines = colored(live, colors)
    assert keywords(lines) == ["if"]
    assert texts_of(lines) == texts_of(LiveDocument(text).lines(60))


def test_what_is_only_read_is_not_colored() -> None:
    live = LiveDocument("```python\nif x:\n```\n")
    assert not keywords(live.lines(60))
    assert not live.awaits_colors


def test_every_kind_of_token_has_a_style_or_none() -> None:
    known = {f"tok-{name}" for name in ["comment", "keyword", "string", "number", "function", "type", "builtin", "attribute", "operator", "inserted", "deleted", "heading"]}  # fmt: skip
    assert set(highlight._styles()) == kinds()
    assert set(highlight._styles().values()) == {"", *known}
    assert highlight._styles()["kd"] == "tok-keyword"
    assert highlight._styles()["nf"] == "tok-function"
    assert highlight._styles()["n"] == ""


@pytest.mark.parametrize(
    "text",
    ["\x1b" * 300_000, "\u202e" * 300_000, "a\r\n" * 100_000, "words and words\n\n" * 20_000],
    ids=["escapes", "bidi", "line ends", "paragraphs"],
)
def test_a_text_of_any_length_is_taken_in_piece_by_piece(text, monkeypatch):
    longest = []
    monkeypatch.setattr(
        document, "sanitize", lambda piece: longest.append(len(piece)) or sanitize(piece)
    )
    made = LiveDocument(text)
    assert longest == []
    made.lines(80)
    assert max(longest) <= document._READ + 1
    assert sum(longest) >= len(text)


@pytest.mark.parametrize("size", [15_999, 16_000, 16_001, 200_000])
@pytest.mark.parametrize("step", [7_000, 16_001, 10**9])
def test_a_line_of_code_of_any_length_is_there_and_the_code_goes_on(size, step):
    text = f"```python\nif a:\n{'x' * size}\nelse\n```\n\nafter\n"
    grown = LiveDocument(finished=False)
    for start in range(0, len(text), step):
        grown.append(text[start : start + step])
        grown.lines(80)
    grown.finish()
    shown = [line.text for line in grown.lines(80)]
    assert shown == [line.text for line in LiveDocument(text).lines(80)]
    assert "".join(shown).count("x") == size
    assert any("else" in line for line in shown)
    assert shown[-1].strip() == "after"
    assert grown.is_degraded == (size > 16_000)


def test_code_of_long_lines_is_laid_out_in_short_stretches():
    code = "```\n" + ("y" * 3_000 + "\n") * 100 + "```\n"
    made = LiveDocument(code)
    made.lines(80)
    blocks = [placed.block for placed in made._blocks]
    assert max(sum(map(len, block.lines)) for block in blocks) <= 16_000 + 3_000


@pytest.mark.parametrize("line", ["\t" * 30_000, "a\t" * 20_000, "\t" * 2_100, "日" * 50_000])
def test_no_stretch_of_code_has_more_to_draw_than_one_piece_of_work(line):
    made = LiveDocument(f"```\n{line}\n{line}\n```\n\nafter")
    shown = made.lines(80)
    blocks = [placed.block for placed in made._blocks]
    code = [block for block in blocks if hasattr(block, "lines")]
    assert max(sum(map(stretches.weight, block.lines)) for block in code) <= 2 * stretches.FULL
    assert shown[-1].text.strip() == "after"
    grown = LiveDocument(finished=False)
    for start in range(0, len(made.source), 5_000):
        grown.append(made.source[start : start + 5_000])
        grown.lines(80)
    grown.finish()
    assert [one.text for one in grown.lines(80)] == [one.text for one in shown]
