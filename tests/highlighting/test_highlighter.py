"""Nobody waits for highlighted code: it is there, or it comes."""

from __future__ import annotations

from contextlib import closing
from threading import Event

import pytest

from tui.highlighting.highlighter import Answer, Highlighter, Stretch


class HeldLexers:
    """Lexers that answer when they are let go, with the number of lines."""

    def __init__(self):
        self.go = Event()
        self.began = Event()
        self.asked = []
        self.is_closed = False

    def leaves_plain(self, lines, language):
        return self.is_closed or language == "plain"

    def rows(self, lines, language):
        self.asked.append("".join(lines))
        self.began.set()
        assert self.go.wait(30)
        return None if language == "fails" else lines

    def stop(self):
        self.is_closed = True
        self.go.set()

    def close(self):
        self.stop()


@pytest.fixture
def lexers():
    return HeldLexers()


@pytest.fixture
def highlighter(lexers):
    with closing(Highlighter(lambda _, rows: "|".join(rows), lexers=lexers)) as made:
        yield made


def code(*lines: str, language: str = "python") -> Stretch:
    return Stretch(lines, language)


def test_an_answer_can_be_fetched_once_it_is_there(lexers):
    answered = Event()
    with closing(
        Highlighter(lambda _, rows: "|".join(rows), when_answered=answered.set, lexers=lexers)
    ) as made:
        assert made.ask(code("a", "b")) is None
        lexers.go.set()
        assert answered.wait(30)
        assert made.ask(code("a", "b")) == Answer("a|b")
        assert lexers.asked == ["ab"]


def test_nothing_is_started_for_code_that_stays_plain(highlighter):
    assert highlighter.ask(code("a", language="plain")) == Answer(None)
    assert highlighter._thread is None


def test_code_that_fails_is_not_tried_again(highlighter, lexers):
    lexers.go.set()
    assert highlighter.ask(code("a", language="fails")) is None
    assert highlighter.wait(30)
    assert highlighter.ask(code("a", language="fails")) == Answer(None)
    assert lexers.asked == ["a"]


def test_what_is_asked_for_last_is_done_first(highlighter, lexers):
    highlighter.ask(code("first"))
    assert lexers.began.wait(30)
    for text in ("x", "y", "z", "x"):
        highlighter.ask(code(text))
    lexers.go.set()
    assert highlighter.wait(30)
    assert lexers.asked == ["first", "x", "z", "y"]


def test_code_that_grows_is_done_once_and_not_at_each_of_its_lengths(highlighter, lexers):
    highlighter.ask(code("first"))
    assert lexers.began.wait(30)
    for lines in (["de"], ["def"], ["def", ""], ["def", "x"]):
        highlighter.ask(code(*lines))
    lexers.go.set()
    assert highlighter.wait(30)
    assert lexers.asked == ["first", "defx"]


def test_of_recent_answers_the_one_with_most_in_common_is_the_nearest(highlighter, lexers):
    lexers.go.set()
    for lines in (["a"], ["a", "b"], ["a", "b", "cd"], ["x"]):
        highlighter.ask(code(*lines))
        assert highlighter.wait(30)
    assert highlighter.nearest(code("a", "b", "cde", "f")) == (code("a", "b", "cd"), "a|b|cd")
    assert highlighter.nearest(code("a", "x")) == (code("a", "b", "cd"), "a|b|cd")
    assert highlighter.nearest(code("q")) is None
    assert highlighter.nearest(code("a", "b", language="ruby")) is None


def test_answers_and_wishes_take_bounded_room(highlighter, lexers):
    highlighter.ask(code("first"))
    assert lexers.began.wait(30)
    for number in range(1_000):
        highlighter.ask(code(f"{number}-"))
    assert len(highlighter._wanted) <= 256
    lexers.go.set()
    assert highlighter.wait(30)
    for number in range(60):
        highlighter.ask(code(str(number) * 500, "x" * 20_000))
        assert highlighter.wait(30)
    assert len(highlighter._answers) < 25


def test_after_its_end_code_stays_plain_and_the_thread_ends(highlighter, lexers):
    highlighter.ask(code("a"))
    thread = highlighter._thread
    highlighter.close()
    thread.join(30)
    assert not thread.is_alive()
    assert highlighter.ask(code("a")) == Answer(None)
