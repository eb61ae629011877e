"""What one looks up: keys, what can be done, figures."""

from __future__ import annotations

from typing import Final

from tui.chat.core import Core
from tui.keymap import keymap
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.view import View
from tui.screens.help import HelpScreen
from tui.screens.stats import StatsScreen
from tui.widgets.composer import Composer
from tui.widgets.parameter_field import ValueInput
from tui.widgets.sidebar import SystemPrompt

_PLACES: Final = {
    Composer: "in the message",
    TurnPane: "on a turn of the chat",
    SystemPrompt: "in the system prompt",
    ValueInput: "in a field of the settings",
}


class LookingUp:
    """Shows help and figures."""

    def __init__(self, core: Core, view: View) -> None:
        self._core = core
        self._view = view

    def show_help(self) -> None:
        """Show the keys."""
        preferences, focused = self._core.settings.preferences, self._view.screen.focused
        keys = keymap(preferences.value("keys.map"), preferences.value("keys.bindings")).keys
        where = next(
            (text for kind, text in _PLACES.items() if isinstance(focused, kind)), "in the chat"
        )
        what = str(getattr(focused, "HELP", None) or "").replace("**", "")
        self._view.screen.app.push_screen(HelpScreen(keys, where=where, what=what))

    def show_palette(self) -> None:
        """Open the command palette."""
        self._view.screen.app.action_command_palette()

    def show_figures(self) -> None:
        """Show what replies cost."""
        path = self._core.session.conversation.path
        chat = [turn.generation.stats for turn in path if turn.generation]
        memory = self._core.client.memory()
        self._view.screen.app.push_screen(StatsScreen(chat, self._core.replies.stats, memory))
