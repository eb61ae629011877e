"""A turn as given to the transcript, how the user chose to view it, and the widths of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.conversation import Status
from tui.dataclass import dataclass

if TYPE_CHECKING:
    from tui.widgets.other_parts import ShownPart

MEASURE: Final = 100
"""The most cells of text on a line. Longer lines are hard to read."""
GUTTER: Final = 3
THOUGHT_BAR: Final = "┊ "


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """How one turn is displayed. `speaker` names the speaker if the role doesn't."""

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
    """The caption of the folded reasoning, such as `thought for 3.2 s · 120 tokens`."""
    in_context: bool = True
    """False if the model no longer sees this turn."""
    change: str = ""
    """The mark of a reply by another model than the one before."""
    speaker: str = ""
    parts: tuple[ShownPart, ...] = ()
    """The parts other than text and reasoning."""

    @property
    def files(self) -> frozenset[int]:
        """The indexes of the parts that can be unfolded."""
        return frozenset(place for place, part in enumerate(self.parts) if part.code is not None)


@dataclass(slots=True)
class ViewState:
    """How the user chose to view a turn. It outlives the turn's widget."""

    reasoning_open: bool | None = None
    """None: open while there is nothing but reasoning to see."""
    raw: bool = False
    open_files: frozenset[int] = frozenset()
    """The indexes of the unfolded parts."""


def text_widths(width: int) -> tuple[int, int]:
    """Return the widths of a line of the answer and of the reasoning, in cells, in a pane of `width` cells."""
    text = max(8, min(MEASURE, width - GUTTER - 1))
    return text, text - len(THOUGHT_BAR)


def margin(width: int) -> int:
    """Return the number of cells to the left of a turn in a pane of `width` cells. A pane wider than the longest line centers
    it.
    """
    return max(0, (width - text_widths(width)[0] - GUTTER) // 2)
