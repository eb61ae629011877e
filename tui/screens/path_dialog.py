"""Asks for the path of a file, and lists matching files below the field. It reads none of them."""

from __future__ import annotations

import asyncio
from typing import Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.files import is_file, is_folder, typed_path
from tui.sanitize import sanitize, sanitize_line
from tui.screens.dialog import Hint, KeyHints
from tui.screens.path_offers import path_offers
from tui.screens.picker import ListDialog
from tui.widgets.columns import cut
from tui.widgets.line_input import LineInput

_WIDEST: Final = 200


class PathInput(LineInput):
    """A field for a path. Tab completes the path, as in a shell, instead of leaving the field."""

    class CompletionWanted(Message):
        """Tab was pressed."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab":
            event.stop()
            event.prevent_default()
            self.post_message(self.CompletionWanted())
        else:
            await super()._on_key(event)


class PathDialog(ListDialog[str]):
    """Returns the typed or chosen path, whether or not it exists; None for Escape."""

    CSS = """
    PathDialog {
        & > #dialog { width: 84; height: auto; }
        &.-tall Input { margin-top: 1; }
        & OptionList { height: 12; margin: 1 0; }
        &.-short OptionList { height: 8; margin: 0; }
    }
    """

    def __init__(
        self,
        title: str,
        value: str = "",
        *,
        accept: str,
        note: str = "",
        takes_folders: bool = False,
    ) -> None:
        """Create the dialog.

        Args:
            title: what to enter.
            value: the initial text of the field.
            accept: the label for Enter, in one word.
            note: a sentence above the field.
            takes_folders: whether folders can be chosen too.
        """
        super().__init__()
        self._title_text = title
        self._value = value
        self._accept = accept
        self._note = note
        self._takes_folders = takes_folders
        self._offers: list[str] = []
        self._offered_for: str | None = None
        self._has_moved = False

    def compose(self) -> ComposeResult:
        """Lay out the field and the list."""
        with Vertical(id="dialog"):
            yield Label(Content(sanitize_line(self._title_text)), classes="title")
            if self._note:
                yield Label(Content(sanitize(self._note)), classes="note")
            yield PathInput(
                sanitize_line(self._value), placeholder="Type a path", compact=True, id="text"
            )
            yield OptionList(id="entries")
            yield KeyHints(
                [
                    Hint("Enter", self._accept, "choose"),
                    Hint("Tab", "complete", "complete"),
                    Hint("list.up/list.down", "move", "move(1)"),
                    Hint("Esc", "close", "close"),
                ]
            )

    def on_mount(self) -> None:
        """List the files."""
        self.query_one(OptionList).can_focus = False
        self.narrow(self._typed_text)

    @property
    def _typed_text(self) -> str:
        return self.query_one(Input).value

    def narrow(self, typed: str) -> None:
        """List the files whose paths start with the typed text."""
        self._look(typed)

    @work(exclusive=True, group="offers")
    async def _look(self, typed: str) -> None:
        await self._list(typed)

    async def _list(self, typed: str) -> None:
        offers = await asyncio.to_thread(path_offers, typed.strip())
        if not self.is_running or typed != self._typed_text:
            return
        self._offers, self._offered_for, self._has_moved = offers, typed, False
        options = self.query_one(OptionList)
        options.set_options(Option(_prompt(offer)) for offer in offers)
        if not offers:
            options.add_option(Option("File not found.", disabled=True))
        else:
            options.highlighted = 0

    def action_move(self, step: int) -> None:
        """Move the highlight in the list. Enter then takes the highlighted path."""
        self._has_moved = True
        super().action_move(step)

    def _current(self) -> str | None:
        at = self.query_one(OptionList).highlighted
        return self._offers[at] if at is not None and at < len(self._offers) else None

    @on(PathInput.CompletionWanted)
    def _tab(self, event: PathInput.CompletionWanted) -> None:
        event.stop()
        self.action_complete()

    @work(exclusive=True, group="complete")
    async def action_complete(self) -> None:
        """Put the highlighted path into the field."""
        typed = self._typed_text
        if self._offered_for != typed:
            await self._list(typed)
        if typed == self._typed_text and (offer := self._current()) is not None:
            self._put(offer)

    def _put(self, path: str) -> None:
        field = self.query_one(Input)
        field.value = path
        field.cursor_position = len(path)

    @on(OptionList.OptionSelected)
    def _clicked(self) -> None:
        """Put the clicked path into the field. Choosing it is the list's job."""
        self._has_moved = True

    @work(exclusive=True, group="choose")
    async def action_choose(self) -> None:
        """Return the path, or open a folder if only files can be chosen."""
        typed = self._typed_text
        if not typed.strip() and not self._has_moved:
            self.dismiss(None)
            return
        if self._offered_for != typed:
            await self._list(typed)
        offer = self._current()
        if offer is None or (not self._has_moved and await asyncio.to_thread(self._is_it, typed)):
            self.dismiss(typed)
        elif offer.endswith("/"):
            self._put(offer)
        else:
            self.dismiss(offer)

    def _is_it(self, typed: str) -> bool:
        """Whether the typed path exists and can be chosen."""
        path = typed_path(typed.strip())
        return is_file(path) or (self._takes_folders and is_folder(path))


def _prompt(offer: str) -> Content:
    return Content.styled(cut(offer, _WIDEST), "bold" if offer.endswith("/") else "")
