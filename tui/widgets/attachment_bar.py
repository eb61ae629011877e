"""The texts attached to a message, as chips above the composer: files, and pastes that are too long for it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from tui.dataclass import dataclass
from tui.sanitize import sanitize_line


@dataclass(frozen=True, slots=True)
class Chip:
    """What is shown of one attachment."""

    name: str
    lines: int


class AttachmentBar(Static):
    """Shows chips. A click on a chip puts its text into the composer, and a click on its cross removes it."""

    DEFAULT_CSS = """
    AttachmentBar { display: none; height: auto; padding: 0 2; max-width: 105; color: $text-muted; }
    AttachmentBar.-some { display: block; }
    """

    @dataclass
    class Removed(Message):
        """The user wants to remove an attachment."""

        place: int

    @dataclass
    class Unfolded(Message):
        """The user wants the text of an attachment in the composer."""

        place: int

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.auto_links = False

    def show(self, chips: Sequence[Chip]) -> None:
        """Show these chips."""
        self.set_class(bool(chips), "-some")
        parts: list[Content] = []
        for place, chip in enumerate(chips):
            plural = "" if chip.lines == 1 else "s"
            text = f"[{sanitize_line(chip.name, 40)}, {chip.lines} line{plural}]"
            unfold = Content(text).stylize(Style.from_meta({"@click": ("unfold", (place,))}))
            cross = Content("×").stylize(Style.from_meta({"@click": ("remove", (place,))}))
            parts.append(Content.assemble(unfold, " ", cross))
        self.update(Content("   ").join(parts))

    def action_unfold(self, place: int) -> None:
        """Post `Unfolded` for an attachment."""
        self.post_message(self.Unfolded(place))

    def action_remove(self, place: int) -> None:
        """Post `Removed` for an attachment."""
        self.post_message(self.Removed(place))
