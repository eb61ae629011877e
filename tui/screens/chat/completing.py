"""What to complete in the text being written: commands after a slash, and paths after an @ or after a command that takes one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from tui.chat.ui import Ui
from tui.commands import COMMANDS, completions
from tui.pattern import pattern
from tui.screens.path_offers import path_offers, quoted, unquoted
from tui.widgets.bindings import way_to
from tui.widgets.composer import Composer

if TYPE_CHECKING:
    from tui.widgets.command_menu import CommandMenu, Offer

_AT_WORD: Final = pattern(r'(?:^|\s)@("[^"]*|[^\s@"]*)$')
_ARGUMENT: Final = pattern(r"[/!]([\w-]+)\s+(.*)")
_TAKES_FILE: Final = "[FILE]"
_FOLDER: Final = "folder"
_FILE: Final = "file"
_STEPS: Final = {"up": -1, "down": 1, "pageup": -7, "pagedown": 7}


class Completing:
    """Offers completions in a list above the composer, and puts the chosen one into the text."""

    def __init__(
        self,
        composer: Composer,
        menu: Callable[[], CommandMenu],
        ui: Ui,
        attach: Callable[[str], object],
    ) -> None:
        """Create it.

        Args:
            composer: the composer.
            menu: returns the list of completions; called when there are any.
            ui: starts looking for files.
            attach: called with the path of the chosen file.
        """
        self._composer = composer
        self._menu = menu
        self._ui = ui
        self._attach = attach
        self._looks = 0

    def look(self) -> None:
        """Offer completions for the current text."""
        from tui.widgets.command_menu import Offer

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
            # A list would take the Up key, which is stepping through earlier messages.
            offers = []
        self.show(offers)
        row, column = self._composer.cursor_location
        at_word = _AT_WORD.search(self._composer.document.get_line(row)[:column])
        path = _path_behind_command(text) if column == len(text) else None
        self._looks += 1
        if path is not None:
            self._ui.start(self._offer_files(self._looks, path, column, row, is_argument=True))
        elif at_word is not None:
            self._ui.start(self._offer_files(self._looks, at_word[1], column, row))

    def show(self, offers: Sequence[Offer]) -> None:
        """Offer other completions. An empty list closes the menu."""
        if offers or self._composer.menu_open:
            self._menu().show(list(offers))
            self._composer.menu_open = self._menu().is_open

    async def _offer_files(
        self, look: int, typed: str, column: int, row: int, *, is_argument: bool = False
    ) -> None:
        """Offer files whose paths start with what was typed after an @ or a command."""
        from tui.widgets.command_menu import Offer

        path = typed if is_argument else unquoted(typed)
        found = await asyncio.to_thread(path_offers, path)
        if is_argument and found == [typed]:
            # The path is complete: Enter runs the command.
            found = []
        start = column - len(typed)
        cursor_row = self._composer.cursor_location[0]
        is_of_now = look == self._looks and cursor_row == row
        if is_of_now and self._composer.document.get_line(row)[start:].startswith(typed):
            kinds = [_FOLDER if path.endswith("/") else _FILE for path in found]
            self.show(
                [
                    Offer(path if is_argument else quoted(path), path, kind, start=start)
                    for path, kind in zip(found, kinds, strict=True)
                ]
            )

    def press(self, key: str) -> None:
        """Handle a key while the list is open."""
        if key in _STEPS:
            self._menu().move(_STEPS[key])
        elif key == "escape":
            self.show(())
        elif (offer := self._menu().current) is not None:
            typed = self._composer.text
            is_path = offer.help in (_FOLDER, _FILE)
            is_whole = is_path and _path_behind_command(typed) == offer.text
            is_command = not is_path and typed[1:].strip().lower() in COMMANDS
            if key == "enter" and (is_whole or is_command):
                self.show(())
                self._composer.action_submit()
            else:
                self.take(offer)
        elif key == "enter":
            # The key was pressed before the list had closed because of the last letter.
            self._composer.action_submit()

    def take(self, offer: Offer) -> None:
        """Put a completion into the text."""
        self.show(())
        if offer.help not in (_FOLDER, _FILE):
            self._composer.set_text(offer.text)
            return
        row, column = self._composer.cursor_location
        is_argument = _path_behind_command(self._composer.text) is not None
        self._composer.replace(offer.text, (row, offer.start), (row, column))
        if not offer.text.endswith("/") and not is_argument:
            self._composer.insert(" ")
            self._attach(unquoted(offer.text))


def _path_behind_command(text: str) -> str | None:
    """Return the part of a path that was typed after a command; None if the text is no command that takes a path."""
    found = _ARGUMENT.fullmatch(text)
    action = COMMANDS.get(found[1].lower()) if found is not None else None
    is_one = found is not None and action is not None and action.argument == _TAKES_FILE
    return found[2] if found is not None and is_one else None
