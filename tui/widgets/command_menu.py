"""What may be meant by what is being typed: commands or files, in a list above the composer. The composer keeps the focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual import events, on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.sanitize import sanitize_line

_MOST: Final = 60


@dataclass(frozen=True, slots=True)
class Offer:
    """One completion.

    Attributes:
        text: what would stand in the composer.
        title: what is shown.
        help: one line.
        start: where in the composer's text the completion begins.
    """

    text: str
    title: str
    help: str = ""
    start: int = 0


class CommandMenu(OptionList):
    """Shows offers; empty, it is not there."""

    DEFAULT_CSS = """
    CommandMenu {
        display: none; height: auto; max-height: 8; max-width: 105; margin: 0 1; padding: 0 1;
        border: none; background: $panel; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
        &.-open { display: block; }
        & > .option-list--option-highlighted { color: $foreground; background: $primary 35%; text-style: bold; }
    }
    """

    @dataclass
    class Taken(Message):
        """An offer was clicked."""

        offer: Offer

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self.can_focus = False
        self._offers: tuple[Offer, ...] = ()

    def show(self, offers: Sequence[Offer]) -> None:
        """Show other offers; none closes the list."""
        shown = tuple(offers[:_MOST])
        if shown == self._offers:
            return
        self._offers = shown
        width = max((len(one.title) for one in shown), default=0)
        self.set_options(
            Option(
                Content.assemble(
                    (sanitize_line(one.title, 80).ljust(min(width, 30)), "bold"),
                    f"  {sanitize_line(one.help, 160)}" if one.help else "",
                )
            )
            for one in shown
        )
        self.set_class(bool(shown), "-open")
        if shown:
            self.highlighted = 0

    @property
    def is_open(self) -> bool:
        """Whether there is anything to choose."""
        return bool(self._offers)

    @property
    def current(self) -> Offer | None:
        """The offer under the cursor."""
        at = self.highlighted
        return self._offers[at] if at is not None and at < len(self._offers) else None

    def move(self, step: int) -> None:
        """Move the cursor, around the ends too."""
        if self._offers:
            self.highlighted = ((self.highlighted or 0) + step) % len(self._offers)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.post_message(self.Taken(self._offers[event.option_index]))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Leave the focus where it is."""
        event.prevent_default()
