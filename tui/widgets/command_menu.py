"""Completions for the text being typed: commands or files, in a list above the composer. The composer keeps the focus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual import events, on
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.dataclass import dataclass
from tui.sanitize import sanitize_line

_MOST: Final = 60
_NAME: Final = 34
"""The largest width of a name in cells; a path without help may be wider."""
_GAP: Final = 2
_AROUND: Final = 3
"""Cells of the padding and the scrollbar."""
_WIDEST: Final = 105


@dataclass(frozen=True, slots=True)
class Offer:
    """One completion.

    Attributes:
        text: the completed text.
        title: the title shown.
        help: a line of help.
        short: a shorter help, used if the help of any offer doesn't fit.
        key: the key for the same action.
        start: where the completion starts in the composer's text.
    """

    text: str
    title: str
    help: str = ""
    short: str = ""
    key: str = ""
    start: int = 0


class CommandMenu(OptionList):
    """Shows completions; hidden while there are none."""

    DEFAULT_CSS = """
    CommandMenu {
        display: none; height: auto; max-height: 8; max-width: 105; margin: 0 1; padding: 0;
        border: none; background: $panel; scrollbar-size-vertical: 1; scrollbar-gutter: stable; scrollbar-size-horizontal: 0;
        text-wrap: nowrap; text-overflow: ellipsis;
        scrollbar-background: $panel; scrollbar-background-hover: $panel; scrollbar-background-active: $panel;
        scrollbar-color: $foreground 20%; scrollbar-color-hover: $foreground 40%; scrollbar-color-active: $foreground 60%;
        &.-open { display: block; }
        & > .option-list--option { padding: 0 1; }
        & > .option-list--option-highlighted { color: $foreground; background: $primary 35%; text-style: bold; }
    }
    """

    @dataclass
    class Taken(Message):
        """A completion was clicked."""

        offer: Offer

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.can_focus = False
        self._offers: tuple[Offer, ...] = ()
        self._made: tuple[int, tuple[Offer, ...]] = (0, ())

    def show(self, offers: Sequence[Offer]) -> None:
        """Show these completions; an empty list closes the menu."""
        shown = tuple(offers[:_MOST])
        if shown == self._offers:
            return
        self._offers = shown
        self._lay_out()
        self.set_class(bool(shown), "-open")
        if shown:
            self.highlighted = 0

    def on_resize(self, event: events.Resize) -> None:  # noqa: ARG002 - Textual's
        """Use the available width."""
        self._lay_out()

    def _lay_out(self) -> None:
        """Build the rows: names, help and keys, each in a column as wide as needed."""
        room = min(_WIDEST, (self.parent.size.width if isinstance(self.parent, Widget) else 80) - 2)
        room -= _AROUND
        if (room, self._offers) == self._made:
            return
        self._made = (room, self._offers)
        names = [Content(sanitize_line(one.title, 80)) for one in self._offers]
        name_width = _GAP + min(_NAME, max((name.cell_length for name in names), default=0))
        texts, keys = _fitting(self._offers, room - name_width)
        lefts = [
            Content.assemble(
                name.stylize("bold"), " " * max(_GAP, name_width - name.cell_length), text
            )
            for name, text in zip(names, texts, strict=True)
        ]
        ends = [cell_len(key) + _GAP if key else 0 for key in keys]
        left_width = name_width + max(map(cell_len, texts), default=0)
        width = max([left_width + max(ends, default=0), *(name.cell_length for name in names)])
        at = self.highlighted
        self.set_options(
            Option(
                Content.assemble(
                    left, " " * max(_GAP, width - left.cell_length - cell_len(key)), key
                )
                if key
                else left
            )
            for left, key in zip(lefts, keys, strict=True)
        )
        self.highlighted = at if at is not None and at < len(lefts) else None
        self.styles.width = min(room, width) + _AROUND

    @property
    def is_open(self) -> bool:
        """Whether the menu is open."""
        return bool(self._offers)

    @property
    def current(self) -> Offer | None:
        """The highlighted completion."""
        at = self.highlighted
        return self._offers[at] if at is not None and at < len(self._offers) else None

    def move(self, step: int) -> None:
        """Move the highlight, wrapping at the ends."""
        if self._offers:
            self.highlighted = ((self.highlighted or 0) + step) % len(self._offers)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Taken(self._offers[event.option_index]))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Leave the focus where it is."""
        event.prevent_default()


def _fitting(offers: Sequence[Offer], room: int) -> tuple[list[str], list[str]]:
    """Return the help and the key of each offer, as long as they fit: else the short help, else no keys."""
    helps = [sanitize_line(one.help, 160) for one in offers]
    shorts = [sanitize_line(one.short or one.help, 160) for one in offers]
    keys = [one.key for one in offers]
    key_width = max((cell_len(key) + _GAP for key in keys if key), default=0)
    for texts in (helps, shorts):
        if all(cell_len(text) + key_width <= room for text in texts):
            return texts, keys
    return shorts, [""] * len(keys)
