"""Untrusted text on its way to the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.sanitize import sanitize, sanitize_line

ANY = st.text(st.characters() | st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"]))
BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_unsafe(character: str) -> bool:
    code = ord(character)
    return (
        (unicodedata.category(character) == "Cc" and character not in "\n\t")
        or unicodedata.category(character) in ("Cs", "Zl", "Zp")
        or unicodedata.bidirectional(character) in BIDI
        or character in "\u061c\u200e\u200f"
        or 0xE0000 <= code <= 0xE007F
        or 0xFFF9 <= code <= 0xFFFB
    )


@given(ANY)
def test_no_unsafe_character_survives(text):
    assert not any(is_unsafe(character) for character in sanitize(text))


def test_no_character_of_all_of_unicode_survives_that_is_unsafe():
    for start in range(0, 0x110000, 0x1000):
        clean = sanitize("".join(map(chr, range(start, start + 0x1000))))
        assert not any(is_unsafe(character) for character in clean)


@given(ANY)
def test_it_is_idempotent(text):
    clean = sanitize(text)
    assert sanitize(clean) is clean


@given(ANY)
def test_text_with_nothing_to_change_comes_back_as_the_same_object(text):
    if not any(is_unsafe(character) for character in text):
        assert sanitize(text) is text


@given(ANY)
def test_what_is_shown_can_be_encoded(text):
    sanitize(text).encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", "a␛[31mb"),
        ("\x1b]52;c;eA==\x07", "␛]52;c;eA==␇"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\u2028b\u0085c", "a\nb\nc"),
        ("x\u202ey", "x⟪RLO⟫y"),
        ("\x7f\x9b", "␡\ufffd"),
        ("\ud83d", "\ufffd"),
        ("\U000e0041", "\ufffd"),
        ("tab\tand\nnewline 👩‍👩‍👧", "tab\tand\nnewline 👩‍👩‍👧"),
    ],
)
def test_what_was_there_stays_visible(text, shown):
    assert sanitize(text) == shown


@given(ANY, st.integers(1, 30))
def test_a_line_is_one_line_within_its_limit(text, limit):
    line = sanitize_line(text, limit)
    assert "\n" not in line
    assert "\t" not in line
    assert len(line) <= limit
    assert sanitize_line(line, limit) == line


def test_a_line_without_a_limit_is_whole():
    assert sanitize_line("  a\n b\x1b ") == "a b␛"
    assert sanitize_line("word " * 100, 10) == "word word…"
