"""Of any exception there is a short sentence, and a note in the log, whatever its own code does."""

from __future__ import annotations

import logging
import threading

import pytest

from tui.engine import failures


class Raises(Exception):  # noqa: N818
    def __str__(self):
        raise ValueError("no words")

    __repr__ = __str__


class Leaves(Raises):
    def __str__(self):
        raise SystemExit


class IsNoText(Raises):
    def __str__(self):
        return 7


class Text(str):
    __slots__ = ()

    def split(self, *_args):
        raise ValueError

    __getitem__ = __len__ = __iter__ = translate = replace = split


class IsTextByName(Raises):
    def __str__(self):
        return Text("by name")


class IsLong(Raises):
    def __str__(self):
        return "x" * 100_000_000


class NeverEnds(Raises):
    def __str__(self):
        while True:
            pass


class LooksLikeAnother(Raises):
    @property
    def __class__(self):
        raise ValueError

    def __getattribute__(self, name):
        raise ValueError(name)

    def __eq__(self, other):
        raise ValueError

    def __bool__(self):
        raise ValueError

    __hash__ = None


class Nameless(type):
    @property
    def __name__(cls):
        raise ValueError

    @property
    def __mro__(cls):
        raise ValueError


class OfNoName(Raises, metaclass=Nameless):
    pass


class Holder:
    def __repr__(self):
        raise KeyboardInterrupt

    __str__ = __repr__


HOSTILE = [
    Raises(), Leaves(), IsNoText(), IsTextByName(), IsLong(), NeverEnds(), LooksLikeAnother(), OfNoName(),
    ValueError(Holder()), KeyError(Holder()), OSError(2, "no", Holder()), ExceptionGroup("many", [Raises()] * 1000),
    SystemExit(Holder()), BaseExceptionGroup("x" * 10**7, [KeyboardInterrupt()]), UnicodeDecodeError("x", b"", 0, 1, "\x1b[2J"),
    SyntaxError("bad", (Text("name"), 1, 1, "text")), RuntimeError("\x1b]0;title\x07" * 99_999), Exception(),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_any_exception_has_a_short_safe_line(number):
    said = failures.words(HOSTILE[number])
    assert type(said) is str
    assert 0 < len(said) <= 300
    assert said.isprintable()


def test_ordinary_exceptions_say_what_they_say():
    assert failures.words(ValueError("a\n b")) == "a b"
    assert (
        failures.words(FileNotFoundError(2, "No such file", "x")) == "[Errno 2] No such file: 'x'"
    )
    assert failures.words(KeyError("k")) == "'k'"
    assert failures.words(ValueError()) == "ValueError"
    assert failures.words(IsTextByName()) == "by name"
    assert failures.words(ModuleNotFoundError("No module named 'x'")) == "No module named 'x'"
    assert failures.words(ValueError("x" * 500), 10) == "x" * 9 + "…"


def test_causes_that_go_round_in_a_circle_come_once():
    one, two, three = ValueError("1"), ValueError("2"), LooksLikeAnother()
    one.__cause__, two.__context__ = two, three
    BaseException.__dict__["__cause__"].__set__(three, one)
    assert [id(error) for error in failures.causes(one)] == [id(one), id(two), id(three)]
    assert sum(1 for _ in failures.causes(chained(10_000))) < 100


def chained(count):
    error = None
    for _ in range(count):
        following = ValueError("x")
        following.__cause__ = error
        error = following
    return error


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_any_exception_is_logged_in_a_few_lines_and_nothing_goes_to_the_screen(
    number, caplog, capfd
):
    logger = logging.getLogger("hostile")
    try:
        raise HOSTILE[number]
    except BaseException as caught:  # noqa: BLE001 - any of them
        failures.log(logger, logging.WARNING, "it failed", caught)
    assert caplog.records[0].message.startswith("it failed\n")
    assert "test_failures.py" in caplog.records[0].message
    assert len(caplog.records[0].message) < 20_000
    assert capfd.readouterr() == ("", "")


def test_no_thread_is_left_of_words_that_never_end():
    failures.words(NeverEnds())
    for thread in threading.enumerate():
        if thread.name == "attempt":
            thread.join(20)
            assert not thread.is_alive()
