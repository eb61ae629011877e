"""Colours for code: Pygments' tokens as styled spans, line by line.

Long code is cut into stretches that are highlighted apart, so that no line ever costs more than the stretch it is in.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tui.widgets.markdown.blocks import Spans
from tui.widgets.markdown.lines import Span

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_LONGEST_LINE: Final = 1_000
_MOST_CHARACTERS: Final = 24_000
_SOFT_END: Final = 80
_HARD_END: Final = 160
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
    """Return one stretch of code as spans, plain where Pygments does not know the language or alters the text."""
    return _highlighted(tuple(lines), language)


@lru_cache(maxsize=32)
def _highlighted(lines: tuple[str, ...], language: str) -> tuple[Spans, ...]:
    plain = tuple((Span(line),) if line else () for line in lines)
    lexer = _lexer(language)
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


@lru_cache(maxsize=32)
def _lexer(language: str) -> Lexer | None:
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except (ClassNotFound, ValueError):
        return None


def extension_of(language: str) -> str:
    """Return how the names of files in a language end, as in `.py`; `.txt` for one that is not known."""
    lexer = _lexer(language)
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
