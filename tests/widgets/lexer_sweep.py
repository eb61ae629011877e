"""Shows code in the way that a screen does, and notes what that took in the thread of the screen."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, TypeVar

from pygments.lexers import get_all_lexers

from tui.highlighting.lexers import Lexers
from tui.highlighting.process import Limits
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.highlight import CodeColors
from tui.widgets.markdown.parser import warm_up

T = TypeVar("T")
_WIDTH: Final = 80
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one piece of code."""

    language: str
    code: str
    screen_s: float
    """CPU time of the longest single call in the thread of the screen."""
    is_whole: bool
    """Whether the code stands there as it was written, before it has its colors and with them."""
    is_answered: bool
    """Whether the highlighter came to an end with it."""
    lexer_ended: bool
    """Whether the lexer was ended by a limit."""


def languages() -> list[str]:
    """Return a name for every lexer that Pygments has one for."""
    return sorted(aliases[0] for _, aliases, _, _ in get_all_lexers(plugins=False) if aliases)


def sweep(names: Iterable[str], codes: list[str], limits: Limits) -> Iterator[Outcome]:
    """Show every code in every language."""
    # As the app does in a thread before there is anything to show.
    warm_up()
    for language in names:
        lexers = Lexers(limits)
        with closing(CodeColors(lambda: None, lexers)) as colors:
            for code in codes:
                yield _show(language, code, lexers, colors)


def _show(language: str, code: str, lexers: Lexers, colors: CodeColors) -> Outcome:
    took: list[float] = []

    def timed(call: Callable[[], T]) -> T:
        began = time.thread_time()
        result = call()
        took.append(time.thread_time() - began)
        return result

    ended = lexers.ended
    fence = f"```{language}\n{code}\n```\n"
    live = timed(lambda: LiveDocument(fence, colors=colors))
    before = timed(lambda: live.lines(_WIDTH))
    is_answered = colors.wait(_PATIENCE_S)
    timed(live.color)
    after = timed(lambda: live.lines(_WIDTH))
    plain = [line.text for line in LiveDocument(fence).lines(_WIDTH)]
    is_whole = all([line.text for line in lines] == plain for lines in (before, after))
    return Outcome(language, code, max(took), is_whole, is_answered, lexers.ended > ended)
