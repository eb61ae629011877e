"""Code is highlighted or stays plain, whatever its lexer does, and no lexer gets a third chance."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from threading import Thread

import pytest

from tests.highlighting.hostile import KNOWN
from tui.highlighting import lexers as module
from tui.highlighting.lexers import Lexers, checked_rows
from tui.highlighting.process import Limits

LIMITS = Limits(cpu_s=0.3, wall_s=60)
IF = ((2, "k"), (1, ""), (1, "n"), (1, "p"))


@pytest.fixture
def lexers():
    with closing(Lexers(LIMITS)) as made:
        yield made


def test_code_has_its_tokens(lexers):
    assert lexers.rows(["if x:", "", "  y"], "python")[:2] == (IF, ())
    assert lexers.rows(["if x:"], "Python3") == (IF,)


def test_a_language_that_is_not_known_stays_plain_and_is_not_asked_for_again(lexers):
    assert not lexers.leaves_plain(["x"], "klingon")
    assert lexers.rows(["x"], "klingon") is None
    assert lexers.leaves_plain(["x"], "klingon")
    assert lexers.leaves_plain(["x"], "")
    assert lexers.leaves_plain(["x"], "x" * 100_000)


def test_names_that_a_model_makes_up_take_no_room(lexers):
    for number in range(300):
        lexers.rows(["x"], f"nonsense-{number}")
    assert len(lexers._unknown) <= 256


def test_code_that_is_too_long_stays_plain(lexers):
    assert lexers.leaves_plain(["x" * 1_001], "python")
    assert lexers.leaves_plain(["x" * 999] * 25, "python")
    assert lexers.leaves_plain([], "python")
    assert lexers._process is None


@pytest.mark.parametrize("language", KNOWN)
def test_a_lexer_that_never_ends_takes_no_other_with_it(lexers, language):
    lines = KNOWN[language].split("\n")
    rows = lexers.rows(lines, language)
    assert rows is None or len(rows) == len(lines)
    assert lexers.rows(["if x:"], "python") == (IF,)


def test_a_lexer_that_ended_its_process_twice_is_not_run_again(lexers):
    for text in ("<!--<!--", "<!--<!--<!--"):
        assert not lexers.leaves_plain([text], "mcschema")
        assert lexers.rows([text], "mcschema") is None
    assert lexers.leaves_plain(["{}"], "mcschema")
    assert not lexers.leaves_plain(["{}"], "json")


def test_after_many_ended_processes_all_code_stays_plain(lexers, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ENDED", 1)
    assert lexers.rows(["<!--<!--"], "mcschema") is None
    assert lexers.rows(["if x:"], "python") is None


def test_a_process_that_can_not_be_started_is_not_tried_for_ever(lexers, monkeypatch):
    starts = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: starts.append(a) or popen(*a, **k))
    for program in ("/no/such/python", "", "/bin/false"):
        monkeypatch.setattr(sys, "executable", program)
        lexers._false_starts = 0
        for _ in range(10):
            assert lexers.rows(["if x:"], "python") is None
    assert len(starts) == 6


def test_a_program_that_talks_otherwise_is_not_listened_to(lexers, monkeypatch):
    monkeypatch.setattr(module, "_FALSE_STARTS", 1)
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    assert lexers.rows(["if x:"], "python") is None


def test_a_process_that_was_killed_is_replaced(lexers):
    assert lexers.rows(["if x:"], "python") == (IF,)
    lexers._process.kill()
    lexers._process._process.wait()
    assert lexers.rows(["if x:"], "python") is None
    assert lexers.rows(["if x:"], "python") == (IF,)


def test_stopping_ends_what_is_under_way():
    lexers = Lexers(Limits(cpu_s=60, wall_s=60))
    assert lexers.rows(["if x:"], "python") == (IF,)
    process = lexers._process._process
    asking = Thread(target=lexers.rows, args=(["<!--<!--"], "mcschema"))
    asking.start()
    lexers.stop()
    asking.join(30)
    assert not asking.is_alive()
    assert process.wait(30) == -signal.SIGKILL
    assert lexers.rows(["if x:"], "python") is None


@pytest.mark.parametrize(
    "answer",
    [
        None, "plain", 5, {}, [], [[]], [[[5, "k"]], [[1, "k"]]], [[[4, "k"]]], [[[6, "k"]]], [[[5, "kk"]]], [[[5, ["k"]]]],
        [[[5]]], [[5]], [[["5", "k"]]], [[[6, "k"], [-1, "k"]]], [[[5, "k"], [0, "k"]]], [[[5.0, "k"]]], [[[True, "k"], [4, "k"]]], ["if x:"], [{"5": "k"}],
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_the_code_is_not_taken(answer):
    assert checked_rows(answer, ["if x:"]) is None


def test_the_process_hears_nothing_of_the_terminal(lexers):
    lexers.rows(["if x:"], "python")
    process = lexers._process._process
    found = subprocess.run(
        ["ps", "-o", "sid=,pgid=", "-p", str(process.pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode == 0:
        assert found.stdout.split() == [str(process.pid)] * 2
