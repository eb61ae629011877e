"""The one table of what each action does. Keys, the palette and typed commands all end here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING

from textual.screen import Screen

from tui.actions import ACTIONS
from tui.chat.core import Core
from tui.chat.ui import Ui
from tui.commands import Command
from tui.scopes import MAIN, When
from tui.screens.chat.focus_control import FocusControl
from tui.settings.examples import STARTERS

if TYPE_CHECKING:
    from tui.screens.chat.handlers import Handlers

Run = Callable[[], object]
RunWith = Callable[[str], object]


def plain(handlers: Handlers) -> Mapping[str, Run]:
    """Return the function of each action that takes no argument, by action ID."""
    chats, copying, turns, focus_control = (
        handlers.chats,
        handlers.copying,
        handlers.turns,
        handlers.focus_control,
    )
    return {
        "app.help": handlers.looking_up.show_help,
        "app.interrupt": handlers.stopping.interrupt,
        "app.palette": handlers.looking_up.show_palette,
        "app.quit": handlers.leaving.quit,
        "app.stats": handlers.looking_up.show_figures,
        "chat.copy": chats.copy,
        "chat.duplicate": chats.duplicate,
        "chat.export": chats.export,
        "chat.import": handlers.importing.run,
        "chat.new": chats.begin,
        "chat.open": chats.choose,
        "chat.redo": turns.redo,
        "chat.see_all": chats.see_all,
        "chat.temporary": chats.begin_temporary,
        "chat.title": chats.find_title,
        "chat.tree": turns.show_tree,
        "chat.undo": turns.undo,
        "composer.edit_outside": handlers.editing.edit_message_outside,
        "composer.focus": focus_control.to_composer,
        "composer.history": handlers.area.search_sent,
        **{
            f"composer.suggestion_{number}": partial(handlers.area.suggest, text)
            for number, text in enumerate(STARTERS, 1)
        },
        "download.cancel": handlers.downloading.cancel,
        "model.cancel": handlers.models.cancel,
        "model.memory": handlers.models.show_memory,
        "model.reload": handlers.models.reload,
        "model.unload": handlers.models.unload,
        "reply.stop": handlers.stopping.stop,
        "settings.open": handlers.settings.show_all,
        "settings.status": handlers.settings.show_status,
        "sidebar.toggle": focus_control.toggle_sidebar,
        "transcript.first": focus_control.to_first_turn,
        "transcript.follow": handlers.reading.follow,
        "transcript.line_numbers": handlers.reading.toggle_line_numbers,
        "transcript.page_down": handlers.reading.scroll_on,
        "transcript.page_up": handlers.reading.scroll_back,
        "turn.continue": turns.continue_reply,
        "turn.copy": copying.copy_turn,
        "turn.copy_code": copying.copy_code,
        "turn.copy_shown": copying.copy_shown,
        "turn.delete": turns.delete,
        "turn.delete_following": turns.delete_following,
        "turn.details": handlers.details.show_facts,
        "turn.edit": handlers.editing.edit,
        "turn.edit_outside": handlers.editing.edit_turn_outside,
        "turn.fork": chats.fork,
        "turn.mark_block": copying.mark_block,
        "turn.newer": turns.show_newer,
        "turn.next": focus_control.to_next_turn,
        "turn.next_user": partial(focus_control.to_user_turn, 1),
        "turn.older": turns.show_older,
        "turn.previous": focus_control.to_previous_turn,
        "turn.previous_user": partial(focus_control.to_user_turn, -1),
        "turn.quote": copying.quote,
        "turn.raw": turns.toggle_source,
        "turn.redo": turns.redo,
        "turn.regenerate": turns.regenerate,
        "turn.regenerate_with": turns.regenerate_with,
        "turn.reproduce": turns.reproduce,
        "turn.save_code": copying.save_code,
        "turn.toggle_reasoning": turns.toggle_reasoning,
        "turn.tokens": handlers.details.show_tokens,
        "turn.undo": turns.undo,
    }


def with_argument(handlers: Handlers) -> Mapping[str, RunWith]:
    """Return the function of each action that takes an argument, by action ID. With an empty argument, the function asks for one
    if it needs one.
    """
    library = handlers.library
    return {
        "chat.example": handlers.chats.begin_example,
        "chat.rename": handlers.chats.rename,
        "chat.save": handlers.chats.save,
        "composer.attach": handlers.area.attach,
        "model.assistant": handlers.models.choose_assistant,
        "model.choose": handlers.models.choose,
        "preset.choose": library.choose_preset,
        "preset.default": library.choose_default_preset,
        "preset.delete": library.delete_preset,
        "preset.export": library.export_preset,
        "preset.save": library.save_preset,
        "prompt.choose": library.choose_prompt,
        "prompt.save": library.save_prompt,
        "settings.reset": handlers.settings.reset,
        "settings.set": handlers.settings.set,
        "system.edit": handlers.settings.set_prompt,
        "theme.choose": library.choose_theme,
        "transcript.find": handlers.reading.open_search,
    }


_ALONGSIDE = frozenset(("app.quit", "chat.import", "chat.title", "composer.attach"))
"""Actions that continue when they are requested again. All others start over."""


class Commands:
    """Runs actions if they are possible now."""

    def __init__(
        self,
        screen: Screen[None],
        core: Core,
        focus_control: FocusControl,
        ui: Ui,
        *,
        handlers: Callable[[], Handlers],
        importing: Callable[[], str],
    ) -> None:
        """Create it.

        Args:
            screen: runs what takes time.
            core: owns the chat.
            focus_control: knows which turn has the cursor.
            ui: shows notifications.
            handlers: returns what carries out the actions; called when the first is run.
            importing: returns which import is in progress; empty for none.
        """
        self._screen = screen
        self._core = core
        self._focus_control = focus_control
        self._ui = ui
        self._handlers = handlers
        self._importing = importing
        self._when = {action.id: action.when for action in ACTIONS if action.scope in MAIN}

    @cached_property
    def _plain(self) -> Mapping[str, Run]:
        return plain(self._handlers())

    @cached_property
    def _with_argument(self) -> Mapping[str, RunWith]:
        return with_argument(self._handlers())

    def __contains__(self, action_id: object) -> bool:
        return action_id in self._when

    def is_possible(self, action_id: str) -> bool:
        """Return whether an action is possible now."""
        if action_id == "turn.continue" and self._focus_control.is_on_question:
            return False
        match self._when.get(action_id):
            case When.BUSY:
                return self._is_busy
            case When.IDLE:
                return not self._is_stoppable
            case When.STILL:
                return self._core.replies.live is None
            case When.EMPTY:
                return not self._core.session.conversation.path
        return True

    @property
    def _is_stoppable(self) -> bool:
        core = self._core
        is_replying = core.replies.live is not None
        return is_replying or core.loader.loading or core.side.is_writing

    @property
    def _is_busy(self) -> bool:
        return self._is_stoppable or bool(self._importing())

    def run(self, action_id: str, argument: str = "") -> None:
        """Run an action. Work that takes time continues in the background."""
        if action_id in self._plain:
            done = self._plain[action_id]()
        else:
            done = self._with_argument[action_id](argument)
        if inspect.iscoroutine(done):
            self._screen.run_worker(
                done,
                group=action_id,
                description=action_id,
                exclusive=action_id not in _ALONGSIDE,
            )

    def run_typed(self, command: Command) -> None:
        """Run a command that was typed into the composer, or report that it is not available right now."""
        action = command.action
        if self.is_possible(action.id):
            self.run(action.id, command.argument)
        else:
            self._ui.tell(f"/{action.commands[0]} is not available right now.", severity="warning")
