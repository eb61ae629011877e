"""The program that runs Pygments' lexers, in a process of its own that can be killed at any time.

A lexer is a set of regular expressions, and some of them never end on a text that was made for it. Python can't
interrupt a match, and no other thread runs while one is under way, so only a signal that nobody handles ends it.

The program reads one JSON object a line, `{"language": ..., "code": ...}`, and answers each with one line: for every
line of the code its tokens as `[length, kind]`, where the kind is one of Pygments' short names; or `PLAIN` or `UNKNOWN`.
Text is never sent back, so an answer can't alter it. It runs as a file under `python -I -S` and imports nothing of the
app. It ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import Any, Final

PLAIN: Final = "plain"
"""The answer for code that the lexer fails on or whose text it alters."""
UNKNOWN: Final = "unknown"
"""The answer for a language that Pygments has no lexer for."""
READY: Final = "ready"
"""The line that says that requests may come."""
_MOST_LEXERS: Final = 64


class Lexers:
    """Pygments' own lexers by the names that fences have. Plugins of other packages are not among them."""

    def __init__(self) -> None:
        from pygments import lexers, plugin

        # A lexer for Markdown looks up the names of the fences in it, which would import code by its name.
        plugin.iter_entry_points = lambda _group: ()
        self._find = lexers.find_lexer_class
        self._names = {
            alias: name for name, aliases, _, _ in lexers.get_all_lexers() for alias in aliases
        }
        self._made: dict[str, Any] = {}

    def answer(self, language: str, code: str) -> Any:
        """Return the rows of tokens of `code`, or `PLAIN` or `UNKNOWN`."""
        name = self._names.get(language.lower())
        if name is None:
            return UNKNOWN
        try:
            return token_rows(self._lexer(name), code) or PLAIN
        except Exception:  # noqa: BLE001 - any of hundreds of lexers, on a text that a stranger wrote
            return PLAIN

    def _lexer(self, name: str) -> Any:
        if name not in self._made:
            while len(self._made) >= _MOST_LEXERS:
                del self._made[next(iter(self._made))]
            self._made[name] = self._find(name)(stripnl=False, ensurenl=False)
        return self._made[name]


def token_rows(lexer: Any, code: str) -> list[list[list[Any]]] | None:
    """Return the tokens of `code`, which ends with a newline, line by line; None if the lexer alters the text."""
    rows: list[list[list[Any]]] = [[]]
    position = 0
    for token, text in lexer.get_tokens(code):
        if not code.startswith(text, position):
            return None
        position += len(text)
        kind = _kind(token)
        for number, part in enumerate(text.split("\n")):
            if number:
                rows.append([])
            if not part:
                continue
            if rows[-1] and rows[-1][-1][1] == kind:
                rows[-1][-1][0] += len(part)
            else:
                rows[-1].append([len(part), kind])
    return rows[:-1] if position == len(code) else None


def _kind(token: Any) -> str:
    from pygments.token import STANDARD_TYPES

    while token not in STANDARD_TYPES:
        token = token.parent
    return str(STANDARD_TYPES[token])


class Alarms:
    """Timers that end the process while a lexer runs for too long; nothing handles their signals."""

    def __init__(self, cpu_s: float, wall_s: float) -> None:
        self._times = {signal.ITIMER_PROF: cpu_s, signal.ITIMER_REAL: wall_s}
        ends = (signal.SIGPROF, signal.SIGALRM)
        for one in ends:
            signal.signal(one, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ends)

    def __enter__(self) -> None:
        for timer, seconds in self._times.items():
            signal.setitimer(timer, seconds)

    def __exit__(self, *_: object) -> None:
        for timer in self._times:
            signal.setitimer(timer, 0)


def limit_itself(memory_bytes: int) -> None:
    """Take no more memory than that, write no file and leave no core dump, where the system can see to it."""
    import resource

    limits = (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for which, most in limits:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (most, most))


def serve(lexers: Lexers, alarms: Alarms) -> None:
    """Answer requests until there are no more."""
    # Library output goes to standard error, not between the answers.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    _write(answers, READY)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        with alarms:
            answer = lexers.answer(request["language"], request["code"])
        _write(answers, answer)


def _write(file: Any, answer: Any) -> None:
    data = memoryview(json.dumps(answer, separators=(",", ":")).encode() + b"\n")
    while data:
        data = data[file.write(data) :]


def main(path: str, cpu_s: str, wall_s: str, memory_bytes: str) -> None:
    """Run with Pygments from `path`; the limits hold for each request, but the one of memory for all of them."""
    limit_itself(int(memory_bytes))
    sys.path.append(path)
    # The reader may be gone.
    with contextlib.suppress(BrokenPipeError):
        serve(Lexers(), Alarms(float(cpu_s), float(wall_s)))


if __name__ == "__main__":
    main(*sys.argv[1:])
