"""A helper process answers, or is ended: by a cancel, a deadline, its memory, or with the app."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from tui.engine.base import Cancelled
from tui.engine.local.helper import Helper, HelperError

PROGRAM = """
import os, time

def answer(question):
    if question == "sleep":
        time.sleep(1000)
    if question == "loop in C":
        x = [1]
        for _ in range(99):
            x = [x, x]
        str(x)
    if question == "fill":
        return len(b"x" * 10**10)
    if question == "talk":
        return "x" * 10**7
    if question == "die":
        os._exit(3)
    if question == "fail":
        raise SystemExit
    if question == "write":
        with open(__file__ + ".new", "w") as file:
            file.write("x")
    if question == "pid":
        return os.getpid()
    return question
"""


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture
def helper(program):
    made = Helper(program, memory_bytes=200_000_000, within_s=2, answer_bytes=1_000_000)
    yield made
    made.close()


def test_it_answers_what_json_can_hold_and_stays_for_the_next_question(helper):
    pid = helper.ask("pid")
    assert helper.ask({"a": [1, None, "\ud800\n\0"]}) == {"a": [1, None, "\ud800\n\0"]}
    assert helper.ask("x" * 900_000) == "x" * 900_000
    assert helper.ask("pid") == pid


@pytest.mark.parametrize("question", ["sleep", "loop in C", "fill", "talk", "die", "fail", "write"])
def test_what_goes_wrong_in_it_is_said_and_the_next_question_finds_a_new_one(
    helper, program, question
):
    with pytest.raises(HelperError) as caught:
        helper.ask(question)
    assert str(caught.value) in (
        "it took more than 2 seconds", "it crashed or took too much memory", "it produces too much text", "it took too much memory",
    )  # fmt: skip
    assert helper.ask("next") == "next"
    assert not list(program.parent.glob("*.new")) or not any(
        path.stat().st_size for path in program.parent.glob("*.new")
    )


def test_a_cancel_ends_it(helper):
    with pytest.raises(Cancelled):
        helper.ask("loop in C", lambda: True)
    assert helper.ask("next") == "next"


def test_it_ends_with_what_asked_it(program):
    code = f"""
        from pathlib import Path
        from tui.engine.local.helper import Helper
        made = Helper(Path({str(program)!r}), memory_bytes=2**29, within_s=60, answer_bytes=99)
        print(made.ask("pid"), flush=True)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    deadline_s = time.monotonic() + 20
    while _is_running(int(done.stdout)):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("python", ["/nowhere/python", "", None])
def test_one_that_can_not_be_started_is_said(program, monkeypatch, python):
    monkeypatch.setattr(sys, "executable", python)
    made = Helper(program, memory_bytes=2**29, within_s=2, answer_bytes=99)
    with pytest.raises(HelperError, match="can't be started"):
        made.ask("x")
