"""What could be completed of what is being written: commands behind a sign, paths behind an @."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tui.chat.ui import Ui
from tui.commands import COMMANDS, completions
from tui.files import typed_path
from tui.widgets.bindings import way_to
from tui.widgets.command_menu import CommandMenu, Offer
from tui.widgets.composer import Composer

_AT_WORD: Final = re.compile(r"(?:^|\s)@([^\s@]*)$")
_MOST_FILES: Final = 400
_FOLDER: Final = "folder"
_FILE: Final = "file"
_STEPS: Final = {"up": -1, "down": 1, "pageup": -7, "pagedown": 7}


class Completing:
    """Offers completions in a list above the composer, and puts the chosen one into the text."""

    def __init__(
        self,
        composer: Composer,
        menu: CommandMenu,
        ui: Ui,
        attach: Callable[[str], object],
    ) -> None:
        """Make it.

        Args:
            composer: where is written.
            menu: the list.
            ui: starts looking for files.
            attach: called with the path of a file that was chosen.
        """
        self._composer = composer
        self._menu = menu
        self._ui = ui
        self._attach = attach
        self._looks = 0

    def look(self) -> None:
        """Offer what the text may become."""
        text = self._composer.text
        offers = [
            Offer(
                f"{name} " if action.argument else name,
                f"{name} {action.argument}".rstrip(),
                action.help,
                action.title,
                way_to(self._composer.app, action),
            )
            for name, action in completions(text)
        ]
        if self._composer.is_recalling:
            # A list would take the Up key, which is on its way through earlier messages.
            offers = []
        self.show(offers)
        row, column = self._composer.cursor_location
        at_word = _AT_WORD.search(self._composer.document.get_line(row)[:column])
        if at_word is not None:
            self._looks += 1
            self._ui.start(self._offer_files(self._looks, at_word[1], column, row))

    def show(self, offers: Sequence[Offer]) -> None:
        """Offer something else; nothing closes the list."""
        self._menu.show(list(offers))
        self._composer.menu_open = self._menu.is_open

    async def _offer_files(self, look: int, typed: str, column: int, row: int) -> None:
        """Offer files whose path goes on from what was typed behind an @."""
        found = await asyncio.to_thread(_files, typed)
        start = column - len(typed)
        cursor_row = self._composer.cursor_location[0]
        is_of_now = look == self._looks and cursor_row == row
        if is_of_now and self._composer.document.get_line(row)[start:].startswith(typed):
            kinds = [_FOLDER if path.endswith("/") else _FILE for path in found]
            self.show(
                [
                    Offer(path, path, kind, start=start)
                    for path, kind in zip(found, kinds, strict=True)
                ]
            )

    def press(self, key: str) -> None:
        """Do what a key does while the list is open."""
        if key in _STEPS:
            self._menu.move(_STEPS[key])
        elif key == "escape":
            self.show(())
        elif (offer := self._menu.current) is not None:
            typed = self._composer.text
            if key == "enter" and typed[1:].strip().lower() in COMMANDS:
                self.show(())
                self._composer.action_submit()
            else:
                self.take(offer)
        elif key == "enter":
            # It was pressed before the list was gone that the last letter closed.
            self._composer.action_submit()

    def take(self, offer: Offer) -> None:
        """Put an offer into the text."""
        self.show(())
        if offer.help not in (_FOLDER, _FILE):
            self._composer.set_text(offer.text)
            return
        row, column = self._composer.cursor_location
        self._composer.replace(offer.text, (row, offer.start), (row, column))
        if not offer.text.endswith("/"):
            self._composer.insert(" ")
            self._attach(offer.text)


def _files(typed: str) -> list[str]:
    """Return the files and folders whose path goes on from what was typed; folders end with a slash."""
    before, slash, begun = typed.rpartition("/")
    folder = typed_path(before + slash) if slash else Path()
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if (
                    entry.name.lower().startswith(begun.lower())
                    and (begun or not entry.name.startswith("."))
                    and not any(one.isspace() for one in entry.name)
                ):
                    found.append(f"{before}{slash}{entry.name}{'/' if entry.is_dir() else ''}")
                if len(found) >= _MOST_FILES:
                    break
    except OSError:
        return []
    return sorted(found)
