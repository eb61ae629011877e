"""An answer ends before the first stop text, however the text is cut into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.engine.base import ReasoningDelta, ReasoningFound, TextDelta
from tui.engine.stop_texts import StopTexts

FEW = st.text("ab#", max_size=12)


def said(texts, pieces):
    events = []
    stops = StopTexts(texts, events.append)
    for piece in pieces:
        stops.take(TextDelta(piece))
    stops.finish()
    return "".join(event.text for event in events), stops.found


@given(st.lists(FEW, max_size=8), st.lists(st.text("ab#", min_size=1, max_size=3), max_size=3))
def test_what_comes_through_is_the_text_before_the_first_stop_text(pieces, texts):
    whole = "".join(pieces)
    shown, found = said(texts, pieces)
    assert found == any(text in whole for text in texts)
    if not found:
        assert shown == whole
    else:
        assert whole.startswith(shown)
        assert not any(text in shown for text in texts)


def test_nothing_is_held_back_longer_than_it_may_begin_a_stop_text():
    events = []
    stops = StopTexts(["##END"], events.append)
    for piece in ("one #", "# two ", "##"):
        stops.take(TextDelta(piece))
    assert [event.text for event in events] == ["one ", "## two "]


def test_reasoning_is_not_looked_at():
    events = []
    stops = StopTexts(["x"], events.append)
    stops.take(ReasoningDelta("x"))
    assert events == [ReasoningDelta("x")]
    assert not stops.found


def test_marks_of_roles_end_reasoning_too():
    events = []
    stops = StopTexts(["x"], events.append, ["<|user|>"])
    for event in (
        TextDelta("a<|"),
        ReasoningDelta("x <|us"),
        ReasoningDelta("er|> y"),
        TextDelta("b"),
    ):
        stops.take(event)
    stops.finish()
    assert events == [TextDelta("a"), TextDelta("<|", 0), ReasoningDelta("x ")]
    assert stops.found


def test_what_is_held_back_is_not_told_twice_when_it_was_reasoning():
    events = []
    stops = StopTexts(["##END"], events.append)
    found = ReasoningFound("one ##", "</think>")
    for event in (TextDelta("one ##"), found, TextDelta("two")):
        stops.take(event)
    stops.finish()
    assert events == [TextDelta("one "), found, TextDelta("two")]
