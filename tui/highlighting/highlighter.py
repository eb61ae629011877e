"""Highlighted code for a caller that must not wait: cached answers are returned at once; the rest is computed in a thread.

What is asked for last is done first, since that is what the reader looks at. How tokens look is up to the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import islice
from threading import Condition, Thread
from typing import Final, Generic, NamedTuple, TypeVar

from tui.dataclass import dataclass
from tui.highlighting.lexers import Lexers, Rows

T = TypeVar("T")
_MOST_CHARACTERS: Final = 400_000
"""Of the code whose answers are kept until they are fetched, or asked for again."""
_MOST_WANTED: Final = 256
"""Stretches that wait; older ones are forgotten, to be asked for again."""
_NEAREST: Final = 8
"""Answers among which one for the beginning of some code is looked for."""


class Stretch(NamedTuple):
    """Lines of code that are highlighted together."""

    lines: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The result for a stretch of code."""

    value: T | None
    """None: the code stays plain."""


class Highlighter(Generic[T]):
    """Highlights code in a thread that is started when the first code is asked for."""

    def __init__(
        self,
        build: Callable[[Sequence[str], Rows], T],
        *,
        when_answered: Callable[[], None] | None = None,
        lexers: Lexers | None = None,
    ) -> None:
        """Make one that does nothing yet.

        Args:
            build: makes what the caller wants from lines and their tokens; called in the thread.
            when_answered: called in the thread whenever an answer can be fetched.
            lexers: where tokens come from; they are closed with this.
        """
        self._build = build
        self._when_answered = when_answered
        self._lexers = lexers or Lexers()
        self._changed = Condition()
        self._thread: Thread | None = None
        self._is_closed = False
        self._wanted: dict[Stretch, None] = {}
        self._working_on: Stretch | None = None
        self._answers: OrderedDict[Stretch, Answer[T]] = OrderedDict()
        self._kept_characters = 0

    def ask(self, stretch: Stretch) -> Answer[T] | None:
        """Return the answer for a stretch of code if there is one; otherwise see to it that there will be."""
        if self._lexers.leaves_plain(stretch.lines, stretch.language):
            return Answer(None)
        with self._changed:
            answer = self._answers.get(stretch)
            if answer is not None:
                self._answers.move_to_end(stretch)
            elif stretch != self._working_on:
                self._want(stretch)
            return answer

    def _want(self, stretch: Stretch) -> None:
        self._wanted.pop(stretch, None)
        # While code is being written, its previous version is no longer needed.
        outdated = next(reversed(self._wanted), None)
        if outdated is not None and _goes_on(outdated, stretch):
            del self._wanted[outdated]
        self._wanted[stretch] = None
        if len(self._wanted) > _MOST_WANTED:
            del self._wanted[next(iter(self._wanted))]
        if self._thread is None and not self._is_closed:
            self._thread = Thread(target=self._work, name="highlighter", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def nearest(self, stretch: Stretch) -> tuple[Stretch, T] | None:
        """Return a recent answer for code that begins as this does, that which has the most lines in common with it."""
        with self._changed:
            recent = list(islice(reversed(self._answers.items()), _NEAREST))
        best, most = None, 0
        for known, answer in recent:
            common = _common(known, stretch)
            if answer.value is not None and common > most:
                best, most = (known, answer.value), common
        return best

    def wait(self, timeout_s: float) -> bool:
        """Wait until everything has been answered; return whether that was so within `timeout_s` seconds."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, timeout_s)

    def _is_idle(self) -> bool:
        return self._is_closed or (not self._wanted and self._working_on is None)

    def close(self) -> None:
        """End the thread and the process without waiting for them. What is asked for from now on stays plain."""
        with self._changed:
            self._is_closed = True
            self._wanted.clear()
            self._changed.notify_all()
        self._lexers.stop()

    def _work(self) -> None:
        while (stretch := self._next()) is not None:
            rows = self._lexers.rows(stretch.lines, stretch.language)
            self._keep(stretch, Answer(None if rows is None else self._build(stretch.lines, rows)))
            if self._when_answered is not None and not self._is_closed:
                self._when_answered()
        self._lexers.close()

    def _next(self) -> Stretch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._is_closed)
            if self._is_closed:
                return None
            self._working_on, _ = self._wanted.popitem()
            return self._working_on

    def _keep(self, stretch: Stretch, answer: Answer[T]) -> None:
        with self._changed:
            self._working_on = None
            self._answers[stretch] = answer
            self._kept_characters += _characters(stretch)
            while self._kept_characters > _MOST_CHARACTERS:
                oldest, _ = self._answers.popitem(last=False)
                self._kept_characters -= _characters(oldest)
            self._changed.notify_all()


def _characters(stretch: Stretch) -> int:
    return sum(map(len, stretch.lines)) + len(stretch.lines)


def _common(one: Stretch, other: Stretch) -> int:
    """Return how many lines at the start of two stretches are the same, in the same language."""
    if one.language != other.language:
        return 0
    lines = zip(one.lines, other.lines, strict=False)
    for number, (a, b) in enumerate(lines):
        if a != b:
            # A line that is being written has something in common with what it was.
            return number + (1 if a and b.startswith(a) else 0)
    return min(len(one.lines), len(other.lines))


def _goes_on(old: Stretch, new: Stretch) -> bool:
    """Whether `new` is `old` with more text at the end."""
    last = len(old.lines) - 1
    return (
        old.language == new.language
        and last < len(new.lines)
        and new.lines[last].startswith(old.lines[last])
        and old.lines[:last] == new.lines[:last]
    )
