"""The main screen whole: its keys, what is possible when, copying and leaving."""

from __future__ import annotations

import time
from typing import ClassVar, Final

from textual import work
from textual.binding import BindingType
from textual.widgets import TextArea

from tui.actions import actions
from tui.keymap import keymap
from tui.sanitize import sanitize
from tui.screens.bindings import bindings
from tui.screens.chat.comforts import Comforts
from tui.screens.chat.pane import TurnPane
from tui.screens.help import HelpScreen
from tui.widgets.composer import Composer
from tui.widgets.parameter_field import ValueInput
from tui.widgets.sidebar import SystemPrompt

QUIT_AGAIN_S: Final = 2.0
_WHEN: Final = {action.method: action.when for action in actions("chat", "turn") if action.when}

_PLACES: Final = {
    Composer: "in the message",
    TurnPane: "on a turn of the chat",
    SystemPrompt: "in the system prompt",
    ValueInput: "in a field of the settings",
}


class ChatScreen(Comforts):
    """One chat."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("chat")
    _interrupted = float("-inf")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Allow, and show in the footer, what is possible now."""
        match _WHEN.get(action):
            case "busy":
                return self.busy
            case "idle":
                return not self.busy
            case "still":
                return self.reply is None
        return True

    def action_app_help(self) -> None:
        """Show the keys."""
        value = self.preferences.value
        keys = keymap(value("keys.map"), value("keys.bindings")).keys
        where = next(
            (text for kind, text in _PLACES.items() if isinstance(self.focused, kind)),
            "in the chat",
        )
        what = str(getattr(self.focused, "HELP", None) or "").replace("**", "")
        self.app.push_screen(HelpScreen(keys, where=where, what=what))

    def action_app_interrupt(self) -> None:
        """Copy what is selected, else stop the reply, else quit at the second press."""
        selected = self.get_selected_text()
        if not selected and isinstance(self.focused, TextArea):
            selected = self.focused.selected_text
        if selected:
            self.app.copy_to_clipboard(sanitize(selected))
            self.clear_selection()
            self.tell("Copied.")
        elif self.reply is not None:
            self.stop_reply()
        elif time.monotonic() - self._interrupted < QUIT_AGAIN_S:
            self.action_app_quit()
        else:
            self._interrupted = time.monotonic()
            self.tell("Press Ctrl+C again to quit.")

    @work(exclusive=True, group="quit")
    async def action_app_quit(self) -> None:
        """Keep what was said of a reply, and leave."""
        self.quitting = True
        self.keep_draft()
        self.keep_reply()
        self.app.exit()
