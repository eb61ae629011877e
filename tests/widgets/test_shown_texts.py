"""What can be found in a turn is what one reads there, and finding it never stops the screen."""

from __future__ import annotations

from tui.widgets.shown_texts import Hits, ShownTexts
from tui.widgets.shown_turn import ShownTurn, ViewState

STATE = ViewState()


def test_markup_is_no_part_of_what_is_found() -> None:
    turn = ShownTurn("a", "assistant", "a **bold** word, `co`de", "a *bold* thought")
    texts = ShownTexts()
    assert texts.hits(turn, STATE, 80, "A BOLD") == Hits(reasoning=1, body=1)
    assert texts.hits(turn, STATE, 80, "code") == Hits(0, 1)
    assert texts.hits(turn, STATE, 80, "**") == Hits(0, 0)
    assert texts.hits(turn, ViewState(raw=True), 80, "**") == Hits(0, 2)


def test_what_a_user_typed_is_found_as_it_was_typed() -> None:
    assert ShownTexts().hits(ShownTurn("a", "user", "**bold**"), STATE, 80, "**bold") == Hits(0, 1)


def test_a_phrase_that_was_wrapped_is_found() -> None:
    turn = ShownTurn("a", "assistant", "one two three four five six")
    assert ShownTexts().hits(turn, STATE, 20, "one two three four five six") == Hits(0, 1)


def test_a_turn_that_was_not_laid_out_is_estimated_from_its_source() -> None:
    turn = ShownTurn("a", "assistant", "very **bold** [words](http://bold.example)")
    texts = ShownTexts()
    assert texts.likely_hits(turn, STATE, 80, "very bold words") == 1
    assert texts.learn([(turn, STATE)], 80, 0.0) is False
    assert texts.learn([(turn, STATE)], 80, 10.0) is True
    assert texts.likely_hits(turn, STATE, 80, "bold") == 2


def test_a_text_that_changed_is_looked_at_again() -> None:
    texts = ShownTexts()
    texts.hits(ShownTurn("a", "assistant", "one"), STATE, 80, "one")
    assert texts.hits(ShownTurn("a", "assistant", "one one"), STATE, 80, "one") == Hits(0, 2)
    texts.keep(())
    assert texts.likely_hits(ShownTurn("a", "assistant", "*on*e"), STATE, 80, "one") == 1


def test_a_huge_turn_is_counted_as_it_was_written() -> None:
    turn = ShownTurn("a", "assistant", "**x** " * 20_000)
    assert ShownTexts().hits(turn, STATE, 80, "**x**") == Hits(0, 20_000)


def test_letters_that_grow_when_folded_keep_their_place() -> None:
    turn = ShownTurn("a", "assistant", "Straße and STRASSE, İstanbul")
    assert ShownTexts().hits(turn, STATE, 80, "straße") == Hits(0, 1)
    assert ShownTexts().hits(turn, STATE, 80, "and") == Hits(0, 1)
