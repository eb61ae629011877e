"""Screens to look things up in: help, the command palette, statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tui.actions import ACTIONS, actions
from tui.chat.core import Core
from tui.scopes import MAIN, Scope, When
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.widgets.composer import Composer
from tui.widgets.parameter_field import ValueInput
from tui.widgets.system_prompt import SystemPrompt
from tui.widgets.turn_editor import TurnEditor

_PLACES: Final = {
    TurnEditor: Scope.EDIT,
    Composer: Scope.MESSAGE,
    TurnPane: Scope.TURNS,
    SystemPrompt: Scope.TEXT,
    ValueInput: Scope.PARAMETER,
}
"""The scope whose keys help shows first."""


class LookingUp:
    """Shows help and statistics."""

    def __init__(
        self,
        core: Core,
        view: View,
        ui: ScreenUi,
        offers: Callable[[str], bool],
        run: Callable[[str], object],
    ) -> None:
        """Create it.

        Args:
            core: owns the chat.
            view: the screen's widgets.
            ui: shows dialogs.
            offers: returns whether an action, given by ID, would have an effect.
            run: runs an action.
        """
        self._core = core
        self._view = view
        self._ui = ui
        self._offers = offers
        self._run = run

    def show_help(self) -> None:
        """Show help."""
        from tui.screens.help import HelpScreen

        focused = self._view.screen.focused
        place = next((at for kind, at in _PLACES.items() if isinstance(focused, kind)), None)
        is_marked = self._view.transcript.marks_block
        left_out = [one.id for one in ACTIONS if one.when is When.MARKED and not is_marked]
        self._view.screen.app.push_screen(HelpScreen(place=place, left_out=left_out))

    def show_palette(self) -> None:
        """Open the command palette, and run the chosen action."""
        # Imported on demand, to keep it out of the first frame.
        from tui.screens.palette import CommandPalette

        offered = [one for one in actions(*MAIN) if one.listed and self._offers(one.id)]
        screen = self._view.screen
        palette = CommandPalette(
            offered,
            self._core.settings.state.recent_commands,
            on_turn=screen.focused is self._view.transcript,
        )
        screen.app.push_screen(palette, self._chosen)

    def _chosen(self, action_id: str | None) -> None:
        if action_id is None:
            return
        settings = self._core.settings
        settings.remember(recent_commands=settings.state.with_recent_command(action_id))
        if self._offers(action_id):
            self._run(action_id)
        else:
            # A reply may have started or ended while the palette was open.
            self._core.ui.tell("That is no longer possible.")

    def show_figures(self) -> None:
        """Show the cost of the replies."""
        from tui.screens.stats import StatsScreen

        path = self._core.session.conversation.path
        chat = [turn.generation.stats for turn in path if turn.generation]
        memory = self._core.client.memory()
        self._ui.open(StatsScreen(chat, self._core.replies.stats, memory))
