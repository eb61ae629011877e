"""What the program that runs lexers says about code, and that it never outlives its limits or the app."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pygments
import pytest
from pygments.lexer import Lexer, RegexLexer
from pygments.token import Text, Token

from tui.highlighting import lexing

COMMAND = [
    sys.executable, "-I", "-S", "-B", lexing.__file__, str(Path(pygments.__file__).parent.parent),
]  # fmt: skip


class Says(Lexer):
    """Says whatever it was made with, whatever the code is."""

    def __init__(self, *tokens):
        super().__init__()
        self.tokens = tokens

    def get_tokens(self, text, unfiltered=False):
        return iter(self.tokens)


def started(*limits: str) -> subprocess.Popen:
    process = subprocess.Popen([*COMMAND, *limits], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert json.loads(process.stdout.readline()) == lexing.READY
    return process


def send(process: subprocess.Popen, language: str, code: str) -> None:
    process.stdin.write(json.dumps({"language": language, "code": code}).encode() + b"\n")
    process.stdin.flush()


def test_tokens_are_told_by_their_lengths_line_by_line():
    lexer = Says((Token.Keyword, "if"), (Text, " "), (Token.Name.Class, "x:\n\ny"), (Text, "\n"))
    rows = lexing.token_rows(lexer, "if x:\n\ny\n")
    assert rows == [[[2, "k"], [1, ""], [2, "nc"]], [], [[1, "nc"]]]


def test_a_token_of_a_kind_that_nobody_knows_is_the_nearest_known_one():
    rows = lexing.token_rows(Says((Token.Keyword.Never.Heard.Of, "if"), (Text, "\n")), "if\n")
    assert rows == [[[2, "k"]]]


@pytest.mark.parametrize(
    "tokens", [[], ["a"], ["b\n"], ["a\n", "more"], ["a", "a\n"], ["", "", "a"]]
)
def test_a_lexer_that_alters_the_text_has_no_tokens(tokens):
    assert lexing.token_rows(Says(*((Text, one) for one in tokens)), "a\n") is None


def test_a_lexer_that_raises_leaves_the_code_plain():
    class Raises(RegexLexer):
        tokens = {}  # noqa: RUF012

    lexers = lexing.Lexers()
    lexers._find = lambda _name: Raises
    assert lexers.answer("python", "a\n") == lexing.PLAIN


def test_a_plugin_is_never_asked_for_a_name(monkeypatch):
    asked = []
    monkeypatch.setattr("pygments.plugin.iter_entry_points", asked.append)
    lexers = lexing.Lexers()
    assert lexers.answer("no-such-language", "a\n") == lexing.UNKNOWN
    # The names of fences in Markdown are looked up by its lexer.
    assert isinstance(lexers.answer("markdown", "```no-such-language\na\n```\n"), list)
    assert not asked


def test_the_program_ends_with_its_input():
    process = started("1", "10", str(2**29))
    send(process, "python", "x = 1\n")
    assert json.loads(process.stdout.readline()) == [
        [[1, "n"], [1, ""], [1, "o"], [1, ""], [1, "mi"]]
    ]
    process.stdin.close()
    assert process.wait(20) == 0


def test_nothing_stays_behind_when_the_app_dies_while_a_lexer_loops():
    process = started("0.2", "10", str(2**29))
    send(process, "mcschema", "<!--<!--\n")
    process.stdin.close()
    assert process.wait(20) == -signal.SIGPROF


def test_a_lexer_that_only_waits_is_ended_too():
    process = started("10", "0.2", str(2**29))
    send(process, "mcschema", "<!--<!--\n")
    assert process.wait(20) == -signal.SIGALRM


def test_an_ignored_signal_that_the_app_inherited_ends_the_program_all_the_same():
    ignores = "import os,signal,sys; signal.signal(signal.SIGPROF, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", ignores, *COMMAND, "0.2", "20", str(2**29)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdout.readline()
    send(process, "mcschema", "<!--<!--\n")
    assert process.wait(20) == -signal.SIGPROF


def test_what_a_library_prints_does_not_come_between_the_answers():
    script = (
        "import sys; sys.argv[1:] = ['1', '9', '0']; from tui.highlighting import lexing\n"
        "class L:\n    def answer(self, *_): print('noise', flush=True); return 'plain'\n"
        "lexing.serve(L(), lexing.Alarms(1, 9))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script],
        input=b'{"language": "a", "code": "a"}\n',
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.splitlines() == [b'"ready"', b'"plain"']


@pytest.mark.skipif(sys.platform != "linux", reason="other systems don't limit memory this way")
def test_memory_is_limited():
    script = f"import sys; sys.path.insert(0, {str(Path(lexing.__file__).parent)!r}); import lexing; lexing.limit_itself(2**28); bytearray(2**29)"
    ended = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, timeout=60, check=False
    )
    assert b"MemoryError" in ended.stderr
