"""A turn as the transcript is given it, how the reader looks at it, and the cells that its lines have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tui.conversation import Status
from tui.widgets.other_parts import ShownPart

MEASURE: Final = 100
"""Cells of text on a line at most: longer lines are hard to read."""
GUTTER: Final = 3
THOUGHT_BAR: Final = "┊ "


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """What one turn looks like. `speaker` names who speaks where that is not said by the role."""

    id: str
    role: str
    text: str
    reasoning: str = ""
    status: Status = Status.COMPLETE
    error: str = ""
    caption: str = ""
    """A quiet line at the edge, such as `SmolLM2 · 23 tok/s · 14:02`."""
    variant: int = 1
    variants: int = 1
    reasoning_caption: str = ""
    """What the folded reasoning says, such as `thought for 3.2 s · 120 tokens`."""
    in_context: bool = True
    """False when the model no longer sees this turn."""
    change: str = ""
    """What marks a reply by another model than the one that spoke before."""
    speaker: str = ""
    parts: tuple[ShownPart, ...] = ()
    """What it is made of beside text and reasoning."""

    @property
    def files(self) -> frozenset[int]:
        """The places of the parts that can be unfolded."""
        return frozenset(place for place, part in enumerate(self.parts) if part.code is not None)


@dataclass(slots=True)
class ViewState:
    """How the user chose to look at a turn; it outlives the widget that shows the turn."""

    reasoning_open: bool | None = None
    """None: open as long as there is nothing but reasoning to see."""
    raw: bool = False
    open_files: frozenset[int] = frozenset()
    """The places of the parts that are unfolded."""


def text_widths(width: int) -> tuple[int, int]:
    """Return the cells that a line of the answer and one of the reasoning have in a pane of `width` cells."""
    text = max(8, min(MEASURE, width - GUTTER - 1))
    return text, text - len(THOUGHT_BAR)


def margin(width: int) -> int:
    """Return the cells left of a turn in a pane of `width` cells: what is wider than one can read is in the middle."""
    return max(0, (width - text_widths(width)[0] - GUTTER) // 2)
