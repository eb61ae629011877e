"""A cancel does not wait for work that can't be ended, and such work never runs beside other such work."""

import threading

import pytest

from tui.engine.base import Cancelled
from tui.engine.local import interruptible


def never():
    return False


def test_what_the_work_returns_or_raises_comes_through():
    assert interruptible.run(lambda: 7, never) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible.run(lambda: 1 // 0, never)


def test_a_cancel_leaves_the_work_to_itself_and_drops_its_result():
    begun, may_end = threading.Event(), threading.Event()

    def work():
        begun.set()
        may_end.wait()
        return "too late"

    # The work can't end before the cancel has come through: it waits for what is set afterwards.
    with pytest.raises(Cancelled):
        interruptible.run(work, begun.is_set)
    may_end.set()
    assert interruptible.run(lambda: "next", never) == "next"


def test_the_next_work_waits_for_what_was_left_to_itself():
    begun, may_end, order = threading.Event(), threading.Event(), []

    def work():
        begun.set()
        may_end.wait()
        order.append("abandoned")

    with pytest.raises(Cancelled):
        interruptible.run(work, begun.is_set)
    waited = iter([False, False, True])

    def cancelled():
        return next(waited)

    with pytest.raises(Cancelled), interruptible.alone(cancelled):
        order.append("never")
    may_end.set()
    with interruptible.alone(never):
        order.append("after")
    assert order == ["abandoned", "after"]


def test_work_that_has_not_begun_when_it_is_cancelled_never_does():
    holding, ran = threading.Event(), []
    with interruptible.alone(never):
        with pytest.raises(Cancelled):
            interruptible.run(lambda: ran.append(1), lambda: True)
        holding.set()
    interruptible.run(lambda: None, never)
    assert ran == []


def test_work_that_takes_more_memory_than_it_was_given_is_ended():
    held, ended = [], threading.Event()

    def work():
        try:
            while True:
                held.append(bytearray(1 << 22))
        finally:
            held.clear()
            ended.set()

    with pytest.raises(interruptible.GreedyError, match="memory"):
        interruptible.run(work, never, most_bytes=1 << 28)
    assert ended.is_set()
    assert interruptible.run(lambda: "next", never, most_bytes=1 << 28) == "next"


def test_work_that_was_left_to_itself_is_not_given_more_memory():
    begun, held, ended = threading.Event(), [], threading.Event()

    def work():
        begun.set()
        try:
            while True:
                held.append(bytearray(1 << 22))
        finally:
            held.clear()
            ended.set()

    with pytest.raises(Cancelled):
        interruptible.run(work, begun.is_set, most_bytes=1 << 28)
    assert ended.wait(60)
