"""What one looks up: keys, what can be done, figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tui.chat.core import Core
from tui.scopes import Scope
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.view import View
from tui.screens.help import HelpScreen
from tui.screens.stats import StatsScreen
from tui.widgets.composer import Composer
from tui.widgets.parameter_field import ValueInput
from tui.widgets.sidebar import SystemPrompt


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the cursor is, in words, and the keys that come first there."""

    where: str
    scope: Scope | None = None


_CHAT: Final = _Place("in the chat")
_PLACES: Final = {
    Composer: _Place("in the message", Scope.MESSAGE),
    TurnPane: _Place("on a turn of the chat", Scope.TURNS),
    SystemPrompt: _Place("in the system prompt", Scope.TEXT),
    ValueInput: _Place("in a field of the settings", Scope.PARAMETER),
}


class LookingUp:
    """Shows help and figures."""

    def __init__(self, core: Core, view: View) -> None:
        self._core = core
        self._view = view

    def show_help(self) -> None:
        """Show the keys."""
        focused = self._view.screen.focused
        place = next((at for kind, at in _PLACES.items() if isinstance(focused, kind)), _CHAT)
        what = str(getattr(focused, "HELP", None) or "").replace("**", "")
        help_screen = HelpScreen(where=place.where, what=what, place=place.scope)
        self._view.screen.app.push_screen(help_screen)

    def show_palette(self) -> None:
        """Open the command palette."""
        self._view.screen.app.action_command_palette()

    def show_figures(self) -> None:
        """Show what replies cost."""
        path = self._core.session.conversation.path
        chat = [turn.generation.stats for turn in path if turn.generation]
        memory = self._core.client.memory()
        self._view.screen.app.push_screen(StatsScreen(chat, self._core.replies.stats, memory))
