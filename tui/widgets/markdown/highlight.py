"""Colors for code: tokens as styled spans, line by line, as soon as they are known.

Lexers run elsewhere (`tui.highlighting`), so code is shown plain or in slightly outdated colors until its
colors arrive. Colors never change the text or its lines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby
from typing import Final, NamedTuple

from tui.highlighting import stretches
from tui.highlighting.highlighter import Highlighter, Stretch
from tui.highlighting.lexers import Lexers, Rows, Run
from tui.widgets.markdown.blocks import Block, Code, Item, Quote, Spans
from tui.widgets.markdown.lines import Span

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


class Shown(NamedTuple):
    """Lines of code as they can be shown now."""

    rows: tuple[Spans, ...]
    awaited: bool = False
    """Whether their colors are still missing."""


class CodeColors:
    """The colors of the code on one screen. Without a screen to redraw, nothing is colored."""

    def __init__(
        self, when_known: Callable[[], None] | None = None, lexers: Lexers | None = None
    ) -> None:
        """Create an instance that colors nothing, or one for a screen.

        Args:
            when_known: called in a thread whenever colors have arrived; None without a screen.
            lexers: the source of tokens; closed together with this object.
        """
        self._highlighter: Highlighter[tuple[Spans, ...]] | None = None
        if when_known is not None:
            self._highlighter = Highlighter(colored, when_answered=when_known, lexers=lexers)

    def known(self, lines: Sequence[str], language: str) -> Shown:
        """Return one stretch of code in its colors, or without colors until they arrive."""
        if self._highlighter is None:
            return Shown(plain_rows(lines))
        answer = self._highlighter.ask(Stretch(tuple(lines), language))
        if answer is None or answer.value is None:
            return Shown(plain_rows(lines), awaited=answer is None)
        return Shown(answer.value)

    def show(self, lines: Sequence[str], language: str) -> Shown:
        """Return one stretch of code; until its colors arrive, in those that it had when it was shorter."""
        shown = self.known(lines, language)
        if shown.awaited and self._highlighter is not None:
            before = self._highlighter.nearest(Stretch(tuple(lines), language))
            if before is not None:
                return Shown(carried_over(before[0].lines, before[1], lines), awaited=True)
        return shown

    def wait(self, timeout_s: float) -> bool:
        """Wait until all requested colors have arrived; return whether they did within `timeout_s` seconds."""
        return self._highlighter is None or self._highlighter.wait(timeout_s)

    def close(self) -> None:
        """Stop coloring, without waiting for work in progress."""
        if self._highlighter is not None:
            self._highlighter.close()


def color_block(block: Block, colors: CodeColors) -> bool:
    """Apply the known colors to the code in a block; return whether any rows have changed."""
    if isinstance(block, Quote | Item):
        changed = [color_block(placed.block, colors) for placed in block.blocks]
        return any(changed)
    if not isinstance(block, Code) or not block.awaited:
        return False
    show = colors.show if block.rows is None else colors.known
    shown = show(block.lines, block.language)
    if shown.awaited and block.rows is not None:
        return False
    block.rows, block.awaited = shown
    return True


def plain_rows(lines: Sequence[str]) -> tuple[Spans, ...]:
    """Return lines of code without any colors."""
    return tuple((Span(line),) if line else () for line in lines)


def colored(lines: Sequence[str], rows: Rows) -> tuple[Spans, ...]:
    """Return lines of code as spans in the styles of their tokens."""
    return tuple(map(_colored, lines, rows))


def _colored(line: str, row: Sequence[Run]) -> Spans:
    styles, spans, start = _styles(), [], 0
    for style, runs in groupby(row, lambda run: styles[run[1]]):
        end = start + sum(length for length, _ in runs)
        spans.append(Span(line[start:end], style))
        start = end
    return tuple(spans)


@cache
def _styles() -> dict[str, str]:
    """Return the style of each kind of token."""
    from pygments.token import STANDARD_TYPES

    return {kind: _style(str(token)) for token, kind in STANDARD_TYPES.items()}


def _style(token: str) -> str:
    name = token.removeprefix("Token.")
    for prefix, style in _STYLES:
        if name == prefix or name.startswith(prefix + "."):
            return style
    return ""


def carried_over(
    old: Sequence[str], rows: Sequence[Spans], lines: Sequence[str]
) -> tuple[Spans, ...]:
    """Return `lines`. Those that start with the text of `old` have its colors in `rows`."""
    result = list(plain_rows(lines))
    for number, (before, line) in enumerate(zip(old, lines, strict=False)):
        if line == before:
            result[number] = rows[number]
            continue
        if line.startswith(before):
            result[number] = (*rows[number], Span(line[len(before) :]))
        break
    return tuple(result)


class GrowingCode:
    """The open stretch of a code block that is still being written.

    A short stretch is highlighted as a whole at each change, a longer one each time it has grown by a third. Lines added
    since then are highlighted separately. The reader sees that only for a moment; the settled stretch is exact.
    """

    def __init__(self, language: str, colors: CodeColors) -> None:
        self._language = language
        self._colors = colors
        self._exact: tuple[Spans, ...] = ()
        self._asked: tuple[str, ...] = ()
        """The whole stretch as it was when its colors were last requested, until they arrive."""
        self._shown: tuple[tuple[str, ...], tuple[Spans, ...]] = ((), ())

    def show(self, lines: Sequence[str]) -> Shown:
        """Return `lines` in colors. They start like those of the last call, and the last one is incomplete."""
        shown = self._show(lines)
        self._shown = tuple(lines), shown.rows
        return shown

    def _show(self, lines: Sequence[str]) -> Shown:
        if len(lines) <= stretches.SOFT_END // 2:
            return self._colors.show(lines, self._language)
        if not self._asked and len(lines) > len(self._exact) * 4 // 3:
            self._asked = tuple(lines)
        if self._asked:
            whole = self._colors.known(self._asked, self._language)
            if not whole.awaited:
                self._exact, self._asked = whole.rows[:-1], ()
        tail = self._colors.show(lines[len(self._exact) :], self._language)
        return Shown((*self._exact, *tail.rows), awaited=bool(self._asked) or tail.awaited)

    def last_shown(self, lines: Sequence[str]) -> tuple[Spans, ...] | None:
        """Return `lines` in the colors in which they were last shown; None if they never were."""
        return carried_over(*self._shown, lines) if self._shown[0] else None
