"""The parts of a turn that are neither text nor reasoning, as rows: a quiet line for an image or a tool, a line that unfolds for
a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from tui.conversation.parts import code_block
from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.highlight import CodeColors
from tui.widgets.markdown.lines import Line, Span, clipped_spans

_FOLD: Final = "fold-"
_FILE: Final = "file-"
_LONGEST_LABEL: Final = 200


@dataclass(frozen=True, slots=True)
class ShownPart:
    """How one such part is displayed.

    Attributes:
        label: its line, such as `image: cat.png`.
        code: the text of a file; None for parts that can't be unfolded.
        language: the language of the text, for example `py`.
        is_above: whether it is displayed above the text of the turn.
    """

    label: str
    code: str | None = None
    language: str = ""
    is_above: bool = False


class Rows(NamedTuple):
    """A range of rows of a turn, taken from one list of lines."""

    name: str
    lines: Sequence[Line]


def file_at(name: str) -> int | None:
    """Return the index of the part that this row folds and unfolds; None for other rows."""
    return int(name.removeprefix(_FOLD)) if name.startswith(_FOLD) else None


class OtherParts:
    """Lays out the other parts of one turn. The layout of a file is cached while the file is folded and unfolded."""

    def __init__(self, colors: CodeColors) -> None:
        self._colors = colors
        self._files: dict[int, LiveDocument] = {}

    def clear(self) -> None:
        """Drop the cached layouts."""
        self._files.clear()

    def documents(self, open_files: frozenset[int]) -> dict[str, LiveDocument]:
        """Return the documents of the displayed files, by the names of their rows."""
        return {
            f"{_FILE}{place}": document
            for place, document in self._files.items()
            if place in open_files
        }

    def rows(
        self,
        parts: Sequence[ShownPart],
        open_files: frozenset[int],
        width: int,
        *,
        numbers: bool,
        budget_s: float,
    ) -> tuple[list[Rows], list[Rows]]:
        """Return the rows of the parts: those above the text, and those below it.

        Args:
            parts: the parts of the turn.
            open_files: the indexes of the unfolded files.
            width: the width of a line in cells.
            numbers: whether lines of code are numbered.
            budget_s: the time limit for each file, in seconds.
        """
        found: tuple[list[Rows], list[Rows]] = ([], [])
        for place, part in enumerate(parts):
            rows = found[not part.is_above]
            is_open = place in open_files
            rows.extend(_line(place, part, width, is_open=is_open))
            if is_open and part.code is not None:
                document = self._document(place, part)
                lines = document.lines(width, numbers=numbers, budget_s=budget_s)
                rows.append(Rows(f"{_FILE}{place}", lines))
        return found

    def _document(self, place: int, part: ShownPart) -> LiveDocument:
        if place not in self._files:
            source = code_block(part.code or "", part.language)
            self._files[place] = LiveDocument(source, verbatim=True, colors=self._colors)
        return self._files[place]


def _line(place: int, part: ShownPart, width: int, *, is_open: bool) -> Iterator[Rows]:
    label = sanitize_line(part.label, _LONGEST_LABEL)
    if part.code is None:
        name, span = "other", Span(label, "status-quiet")
    else:
        name, span = f"{_FOLD}{place}", Span(("▾ " if is_open else "▸ ") + label, "thought")
    yield Rows(name, [Line(tuple(clipped_spans([span], width)))])
