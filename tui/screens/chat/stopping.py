"""Esc and Ctrl+C: each press stops one thing."""

from __future__ import annotations

import time
from typing import Final

from textual.widgets import TextArea

from tui.chat.core import Core
from tui.sanitize import sanitize
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.importing import Importing
from tui.screens.chat.leaving import Leaving
from tui.screens.chat.ui import NOTICE_S, ScreenUi
from tui.screens.chat.view import View

STOP_AGAIN_S: Final = 2.0
"""Loading is stopped if Escape is pressed twice within this time, in seconds."""


class Stopping:
    """Stops what is in progress."""

    def __init__(
        self,
        core: Core,
        view: View,
        focus_control: FocusControl,
        importing: Importing,
        leaving: Leaving,
        ui: ScreenUi,
    ) -> None:
        self._core = core
        self._view = view
        self._focus_control = focus_control
        self._importing = importing
        self._leaving = leaving
        self._ui = ui
        self._stop_asked_s = float("-inf")
        self._interrupted_s = float("-inf")

    def stop(self) -> None:
        """Close what is open over the chat; else stop the reply, or what the model writes beside the chat, or an import, or
        loading.
        """
        if self._focus_control.close_open():
            return
        core = self._core
        if core.replies.live is not None:
            core.replies.stop()
        elif not (core.side.stop() or self._importing.stop()) and core.loader.loading:
            self._stop_loading()

    def _stop_loading(self) -> None:
        """Stop loading at the second press. A load can take minutes, and Escape is pressed for many reasons."""
        view = self._view
        if view.screen.focused not in (view.composer, view.transcript):
            view.screen.set_focus(view.composer)
        elif time.monotonic() - self._stop_asked_s < STOP_AGAIN_S:
            self._stop_asked_s = float("-inf")
            self._core.loader.cancel()
        else:
            self._stop_asked_s = time.monotonic()
            self._ui.tell(f"{self._ui.way('reply.stop')} again to stop loading.")

    def interrupt(self) -> None:
        """Copy the selection, else stop the reply, else quit at the second press."""
        screen = self._view.screen
        selected = screen.get_selected_text()
        if not selected and isinstance(screen.focused, TextArea):
            selected = screen.focused.selected_text
        if selected:
            screen.app.copy_to_clipboard(sanitize(selected))
            screen.clear_selection()
            self._ui.tell("Copied.")
        elif self._core.replies.live is not None:
            self._core.replies.stop()
        elif time.monotonic() - self._interrupted_s < NOTICE_S:
            self._leaving.quit()
        else:
            self._interrupted_s = time.monotonic()
            self._ui.tell(f"{self._ui.way('app.interrupt')} again to quit.")
