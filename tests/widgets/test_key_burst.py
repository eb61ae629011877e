"""Letters on a turn: which are commands, and which are prose."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.widgets.key_burst import Decision, KeyBurst, KeyKind, Verdict

RUN, HOLD = Decision(Verdict.RUN), Decision(Verdict.HOLD)
KINDS = {"e": KeyKind.ACTS, "r": KeyKind.ACTS, "u": KeyKind.REPEATS, "j": KeyKind.MOVES}


def typed(text: str) -> Decision:
    return Decision(Verdict.TYPE, text)


def press(burst: KeyBurst, letters: str, every_s: float) -> list[Decision]:
    return [
        burst.press(letter, KINDS.get(letter, KeyKind.NONE), number * every_s)
        for number, letter in enumerate(letters)
    ]


def test_a_letter_alone_is_held_and_then_a_command():
    assert press(KeyBurst(0.2), "er", 0.3) == [HOLD, HOLD]


def test_two_letters_in_quick_succession_are_prose():
    assert press(KeyBurst(0.2), "ere", 0.1) == [HOLD, typed("er"), typed("e")]


def test_a_letter_that_means_nothing_is_prose_and_so_is_all_that_follows():
    assert press(KeyBurst(0.2), "xer", 0.3) == [typed("x"), typed("e"), typed("r")]


def test_what_only_moves_acts_at_once_and_still_belongs_to_the_prose_that_follows():
    assert press(KeyBurst(0.2), "jxe", 0.1) == [RUN, typed("jx"), typed("e")]


def test_keys_that_move_or_undo_can_be_pressed_in_a_row():
    assert press(KeyBurst(0.2), "jjj", 0.1) == [RUN, RUN, RUN]
    assert press(KeyBurst(0.2), "uuu", 0.1) == [HOLD, RUN, RUN]


def test_prose_ends_when_the_keys_go_elsewhere():
    burst = KeyBurst(0.2)
    press(burst, "x", 0.1)
    burst.end()
    assert press(burst, "e", 0.1) == [HOLD]


def test_without_a_pace_every_letter_is_a_command():
    assert press(KeyBurst(0), "eru", 0.01) == [RUN, RUN, RUN]


@given(st.text(alphabet="eruj xD", min_size=2, max_size=12))
def test_no_letter_of_a_burst_is_lost_or_acts(letters):
    decisions = press(KeyBurst(0.2), letters, 0.1)
    said = "".join(one.text for one in decisions)
    if said:
        assert said == letters
    else:
        # One key that may be pressed in a row, and was.
        assert set(letters) in ({"j"}, {"u"})
