"""Colours for code: Pygments' tokens as styled spans, line by line.

Long code is cut into stretches that are highlighted apart, so that no line ever costs more than the stretch it is in.
The first use of a lexer takes a tenth of a second. So the screen has them made in a thread (`when_made`) and shows code
plain until then; without a screen the first use waits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tui.widgets.markdown.blocks import Spans
from tui.widgets.markdown.lines import Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_log = logging.getLogger(__name__)

_LONGEST_LINE: Final = 1_000
_MOST_CHARACTERS: Final = 24_000
_SOFT_END: Final = 80
_HARD_END: Final = 160
_MOST_LEXERS: Final = 64
_LONGEST_NAME: Final = 40
_STYLES: Final = (
    ("Comment", "tok-comment"),
    ("Keyword.Type", "tok-type"),
    ("Keyword", "tok-keyword"),
    ("Operator.Word", "tok-keyword"),
    ("Operator", "tok-operator"),
    ("Literal.String", "tok-string"),
    ("Literal.Number", "tok-number"),
    ("Name.Function", "tok-function"),
    ("Name.Class", "tok-type"),
    ("Name.Exception", "tok-type"),
    ("Name.Builtin", "tok-builtin"),
    ("Name.Tag", "tok-keyword"),
    ("Name.Attribute", "tok-attribute"),
    ("Name.Decorator", "tok-attribute"),
    ("Name.Constant", "tok-number"),
    ("Generic.Inserted", "tok-inserted"),
    ("Generic.Deleted", "tok-deleted"),
    ("Generic.Heading", "tok-heading"),
    ("Generic.Subheading", "tok-heading"),
)


def ends_stretch(lines: Sequence[str]) -> bool:
    """Whether a stretch of code ends after the last of `lines`; its first line is the first of them."""
    return len(lines) >= _HARD_END or (len(lines) >= _SOFT_END and not lines[-1].strip())


def stretches(lines: Sequence[str]) -> list[list[str]]:
    """Cut `lines` into the stretches that are highlighted apart; at least one."""
    result: list[list[str]] = [[]]
    for line in lines:
        if result[-1] and ends_stretch(result[-1]):
            result.append([])
        result[-1].append(line)
    return result


def highlight(lines: Sequence[str], language: str) -> tuple[Spans, ...]:
    """Return one stretch of code as spans, plain where Pygments does not know the language or alters the text.

    It is plain too while a thread makes the lexer, see `awaited`.
    """
    return _plain(lines) if awaited(language) else _highlighted(tuple(lines), language)


def awaited(language: str) -> str:
    """Return the language if its lexer is still being made, which this begins; empty when there is nothing to wait for."""
    return language if LEXERS.has_to_wait(language) else ""


def _plain(lines: Sequence[str]) -> tuple[Spans, ...]:
    return tuple((Span(line),) if line else () for line in lines)


@lru_cache(maxsize=32)
def _highlighted(lines: tuple[str, ...], language: str) -> tuple[Spans, ...]:
    plain = _plain(lines)
    lexer = LEXERS.get(language)
    if lexer is None or not lines or max(map(len, lines)) > _LONGEST_LINE:
        return plain
    code = "\n".join(lines) + "\n"
    if len(code) > _MOST_CHARACTERS:
        return plain
    rows: list[list[Span]] = [[]]
    for kind, value in lexer.get_tokens(code):
        style = _style(kind)
        for number, part in enumerate(value.split("\n")):
            if number:
                rows.append([])
            if not part:
                continue
            row = rows[-1]
            if row and row[-1].style == style:
                row[-1] = Span(row[-1].text + part, style)
            else:
                row.append(Span(part, style))
    if ["".join(span.text for span in row) for row in rows] != [*lines, ""]:
        return plain
    return tuple(tuple(row) for row in rows[:-1])


class Lexers:
    """Pygments' lexers by the names that fences have."""

    def __init__(self) -> None:
        self.when_made: Callable[[], None] | None = None
        """Called in the thread that made a lexer which code waits for; without it nothing is made in a thread."""
        self._made: dict[str, Lexer | None] = {}
        self._wanted: list[str] = []
        self._lock = threading.Lock()

    def get(self, language: str) -> Lexer | None:
        """Return the lexer of a language, made here and now if need be; None for a language that is not known."""
        if not language or len(language) > _LONGEST_NAME:
            return None
        if language not in self._made:
            lexer = _made(language)
            with self._lock:
                self._made[language] = lexer
                while len(self._made) > _MOST_LEXERS:
                    del self._made[next(iter(self._made))]
            return lexer
        return self._made.get(language)

    def has_to_wait(self, language: str) -> bool:
        """Whether the lexer is still to be made in a thread; sees to it that it is."""
        is_there = not language or len(language) > _LONGEST_NAME or language in self._made
        if is_there or self.when_made is None:
            return False
        with self._lock:
            if language not in self._wanted:
                self._wanted.append(language)
                if len(self._wanted) == 1:
                    threading.Thread(target=self._make, name="lexers", daemon=True).start()
        return True

    def _make(self) -> None:
        while True:
            with self._lock:
                language = self._wanted[0]
            self.get(language)
            with self._lock:
                del self._wanted[0]
                is_last = not self._wanted
            if is_last:
                break
        if self.when_made is not None:
            self.when_made()


LEXERS: Final = Lexers()
"""Shared, since what they take time for is the same in every window and chat."""


def _made(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
        # A lexer compiles its patterns when it reads its first text.
        list(lexer.get_tokens("a"))
    except (ClassNotFound, ValueError):
        return None
    except Exception:  # noqa: BLE001 - a model named it, among hundreds that nobody here has tried
        _log.warning("there is something wrong with the lexer for %r", language, exc_info=True)
        return None
    return lexer


def extension_of(language: str) -> str:
    """Return how the names of files in a language end, as in `.py`; `.txt` for one that is not known."""
    lexer = LEXERS.get(language)
    for pattern in lexer.filenames if lexer is not None else ():
        if pattern.startswith("*.") and pattern[2:].isalnum():
            return str(pattern[1:])
    return ".txt"


@lru_cache(maxsize=512)
def _style(kind: Any) -> str:
    name = str(kind).removeprefix("Token.")
    for prefix, style in _STYLES:
        if name == prefix or name.startswith(prefix + "."):
            return style
    return ""


class GrowingCode:
    """The open stretch of a code block that is still being written.

    A stretch is highlighted as a whole while it is short, later each time it has grown by a third; lines that came
    since then are highlighted by themselves. That is what a reader sees for a moment; the settled stretch is exact.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._exact: tuple[Spans, ...] = ()
        self._exact_lines = 0

    def spans(self, lines: Sequence[str]) -> tuple[Spans, ...]:
        """Return `lines`, which begin as they did at the last call, the last one incomplete."""
        count = len(lines)
        if count <= _SOFT_END // 2 or count > self._exact_lines * 4 // 3:
            result = highlight(lines, self._language)
            self._exact, self._exact_lines = result[:-1], count - 1
            return result
        return (*self._exact, *highlight(lines[self._exact_lines :], self._language))
