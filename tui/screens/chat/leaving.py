"""Quitting: a reply in progress keeps its text, and unsaved chats are asked about first."""

from __future__ import annotations

import asyncio
from typing import Final

from tui.chat.core import Core
from tui.chat.ui import Answer
from tui.screens.chat.downloading import Downloading
from tui.screens.chat.editing import Editing
from tui.screens.chat.importing import Importing
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View

SETTLE_S: Final = 3.0
"""How long quitting waits for the disk before a chat counts as not saved, in seconds."""
_AGAIN: Final = "again"
_WITHOUT: Final = "without"
_LEAVE: Final = "leave"
_STAY: Final = "stay"
_UNSAVED_ANSWERS: Final = (
    Answer(_AGAIN, "Try again", "t"),
    Answer("copy", "Quit and save a copy elsewhere", "c"),
    Answer(_WITHOUT, "Quit without saving", style="error"),
    Answer(_STAY, "Stay here", "s", is_escape=True),
)
_IMPORT_ANSWERS: Final = (
    Answer("wait", "Stay until it is done", "s"),
    Answer(_LEAVE, "Quit now", style="error"),
)


class Leaving:
    """Stops everything in progress and exits the app."""

    def __init__(
        self,
        core: Core,
        view: View,
        editing: Editing,
        importing: Importing,
        downloading: Downloading,
        ui: ScreenUi,
    ) -> None:
        self._core = core
        self._view = view
        self._editing = editing
        self._importing = importing
        self._downloading = downloading
        self._ui = ui
        self.without_copy = False
        """Whether the user agreed to quit without the chats that could not be saved, and without copies of them."""

    @property
    def _is_leaving(self) -> bool:
        return self._core.replies.is_leaving

    def _set_leaving(self, *, is_leaving: bool) -> None:
        self._core.replies.is_leaving = is_leaving
        self._downloading.is_leaving = is_leaving

    def quit(self) -> None:
        """Keep the text of a reply in progress, and quit. If a chat is not saved, ask first."""
        if not self._is_leaving:
            self._set_leaving(is_leaving=True)
            self._keep_all("you quit.")
            self._ui.start(self._quit())

    def quit_at_once(self) -> None:
        """Keep the text of a reply in progress, and quit without asking, since nobody may be there to answer."""
        self._set_leaving(is_leaving=True)
        self._keep_all("the app was closed.")
        self._ui.start(self._quit_unasked())

    def _keep_all(self, why: str) -> None:
        """Save everything that is being written; the reply says why it ended."""
        self._core.replies.end_now(why)
        self._core.session.keep_prompt()
        self._core.sender.take_back_waiting()
        self._view.area.take_back_being_read()
        self._editing.take_back()
        self._view.area.keep_draft()

    async def _quit(self) -> None:
        if not await self._may_end_import():
            self._set_leaving(is_leaving=False)
            return
        await self._settle()
        writer = self._core.writer
        while writer.failures or writer.unsaved:
            answer = await self._ui.ask(
                "A chat is not saved", self._why_unsaved(), _UNSAVED_ANSWERS
            )
            if answer in (None, _STAY):
                self._set_leaving(is_leaving=False)
                self._core.sender.take_back_waiting()
                return
            if answer != _AGAIN:
                self.without_copy = answer == _WITHOUT
                break
            writer.retry()
            await self._settle()
        self._view.screen.app.exit()

    async def _may_end_import(self) -> bool:
        """Ask whether to quit during an import; return the answer."""
        if not self._importing.label:
            return True
        text = "The chats imported so far are kept. To continue later, import the same files again. No chat is imported twice."
        answer = await self._ui.ask("An import is in progress", text, _IMPORT_ANSWERS)
        if answer == _LEAVE:
            self._importing.stop()
        return answer == _LEAVE or not self._importing.label

    async def _quit_unasked(self) -> None:
        await self._settle()
        self._view.screen.app.exit()

    async def _settle(self) -> None:
        """Give the disk time to finish pending saves."""
        # If another window has written a chat's file, the chat becomes a copy and is saved once more.
        for _ in range(2):
            try:
                await asyncio.wait_for(self._core.writer.settled(), SETTLE_S)
            except TimeoutError:
                return

    def _why_unsaved(self) -> str:
        writer = self._core.writer
        failures = writer.failures
        reasons = dict.fromkeys(error.message for error in failures.values())
        count = len({*failures, *writer.unsaved})
        chats = f"The latest changes in {count} chats" if count > 1 else "The latest changes"
        return (
            f"{' '.join(reasons) or 'The disk is not responding.'}\n\n{chats} have not been saved and would be lost. "
            "You can quit and save a copy to your home folder or, if that fails, to the temporary folder. Its path is shown after you quit."
        )
