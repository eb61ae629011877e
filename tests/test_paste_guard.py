from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events

from tui.paste_guard import GuardedParser, PasteGuard

START, END = "\x1b[200~", "\x1b[201~"
TEXT = st.text(st.sampled_from("ab\n\x1b[2013~m;"), max_size=40).filter(
    lambda text: END not in text
)


def chunks(text: str, sizes: list[int]) -> list[str]:
    pieces, place = [], 0
    for size in sizes:
        pieces.append(text[place : place + size])
        place += size
    return [piece for piece in (*pieces, text[place:]) if piece]


def parsed(pieces: list[str]) -> list[object]:
    parser = GuardedParser()
    return [event for piece in pieces for event in parser.feed(piece)]


@given(TEXT, st.lists(st.integers(1, 9), max_size=20))
def test_a_paste_is_one_paste_however_it_comes_in(text, sizes):
    found = parsed(chunks(f"{START}{text}{END}x", sizes))
    assert [type(event) for event in found] == [events.Paste, events.Key]
    assert found[0].text == text.replace("\x1b", "␛")
    assert found[1].key == "x"


@given(st.text(st.sampled_from("ab\x1b[20~AOP"), max_size=30), st.lists(st.integers(1, 5)))
def test_what_is_no_paste_passes_unchanged(text, sizes):
    if START in text:
        return
    guard = PasteGuard()
    assert "".join(guard.filtered(piece) for piece in chunks(text, sizes)) == text


@pytest.mark.parametrize("inside", ["\x1b[A", "\x1b\n", "\x1b]52;c;aGk=\x07", "\x1b[200~", "\x1b"])
def test_no_key_comes_out_of_a_paste(inside):
    found = parsed([f"{START}one {inside}two\nthree{END}"])
    assert [type(event) for event in found] == [events.Paste]


@pytest.mark.parametrize("digit", "0123456789")
def test_alt_with_a_digit_is_that_key_where_the_terminal_sends_escape_and_the_digit(digit):
    (found,) = parsed([f"\x1b{digit}"])
    assert (found.key, found.character) == (f"alt+{digit}", None)


@pytest.mark.parametrize("sign", "¡™£¢∞§¶•ªº–≠")
def test_a_sign_that_is_typed_stays_that_sign(sign):
    (found,) = parsed([sign])
    assert found.character == sign
