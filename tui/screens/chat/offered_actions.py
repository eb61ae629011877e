"""Which actions to offer now. An action that would only be refused is not offered, although it may be possible to request it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from textual.dom import DOMNode

from tui.actions import Action, action
from tui.chat.core import Core
from tui.conversation import ASSISTANT, USER, Turn
from tui.scopes import Scope
from tui.screens.chat.view import View

if TYPE_CHECKING:
    from tui.engine.hub.downloads import Downloads

_OF_TURNS: Final = (
    "chat.title",
    "chat.copy",
    "chat.export",
    "chat.save",
    "chat.duplicate",
    "chat.tree",
    "chat.rename",
)
"""Actions that need a chat with turns, besides those that act on a turn."""
_OUTSIDE_COMPOSER: Final = (
    "composer.focus",
    "edit.save",
    "column.open",
    "column.trash",
    "column.untrash",
    "parameter.next",
    "parameter.reset",
)
"""Actions that have a word in the footer only while the focus is not in the composer."""
_MADE_BY_MODEL: Final = ("turn.regenerate", "turn.regenerate_with", "turn.continue")


class OfferedActions:
    """Decides which actions the footer and the palette offer."""

    def __init__(
        self,
        core: Core,
        view: View,
        downloads: Callable[[], Downloads],
        is_possible: Callable[[str], bool],
    ) -> None:
        """Create it.

        Args:
            core: owns the chat.
            view: the screen's widgets.
            downloads: returns the downloads; called when an action of theirs is asked for.
            is_possible: returns whether an action of the chat is possible at all.
        """
        self._core = core
        self._view = view
        self._downloads = downloads
        self._is_possible = is_possible

    def offers(self, action_id: str) -> bool:
        """Return whether an action of the chat would have an effect now."""
        return self._is_possible(action_id) and self._has_effect(action_id)

    def _has_effect(self, action_id: str) -> bool:
        core = self._core
        chat, loader = core.session.conversation, core.loader
        match action_id:
            case "chat.undo" | "turn.undo":
                return core.undoing.can_undo
            case "chat.redo" | "turn.redo":
                return core.undoing.can_redo
            case "chat.new":
                return core.replies.live is None or not core.session.temporary
            case "chat.temporary" | "chat.example" | "turn.fork" if core.replies.live is not None:
                return False
            case "model.cancel":
                return loader.loading
            case "model.unload" | "model.memory":
                return loader.info is not None
            case "model.reload":
                return bool(loader.model)
            case "download.cancel":
                return bool(self._downloads().running)
        is_of_turn = action(action_id).scope is Scope.TURN or action_id in _OF_TURNS
        return not is_of_turn or (bool(chat.path) and self._suits_turn(action_id))

    def _suits_turn(self, action_id: str) -> bool:
        """Return whether an action applies to the turn under the cursor, or else to the last turn."""
        turn = self._turn
        if turn is None:
            return False
        chat, info = self._core.session.conversation, self._core.loader.info
        if action_id in _MADE_BY_MODEL and (info is None or self._core.loader.loading):
            return False
        match action_id:
            case "turn.older":
                return chat.place(turn.id)[0] > 1
            case "turn.newer":
                at, count = chat.place(turn.id)
                return at < count
            case "turn.regenerate" | "turn.regenerate_with":
                return turn.role in (USER, ASSISTANT)
            case "turn.continue":
                return turn.role == ASSISTANT and info is not None and info.capabilities.continues
            case "turn.reproduce":
                return turn.generation is not None
        return True

    @property
    def _turn(self) -> Turn | None:
        chat = self._core.session.conversation
        return chat.turns.get(self._view.transcript.cursor or "") or next(
            iter(chat.path[-1:]), None
        )

    # -- the footer

    def word(self, one: Action) -> str:
        """Return the footer's label for an action; empty if the footer omits it now."""
        is_here = self._is_here(one)
        if not is_here or (
            one.scope in (Scope.APP, Scope.CHAT, Scope.TURN) and not self.offers(one.id)
        ):
            return ""
        if one.id == "sidebar.toggle" and self._view.sidebar.has_focus_within:
            return "Hide"
        if one.id == "message.send" and self._edits_reply:
            return "Save"
        return one.footer

    @property
    def _is_writing(self) -> bool:
        return self._view.screen.focused is self._view.composer

    @property
    def _edits_reply(self) -> bool:
        if self._is_writing:
            return False
        from tui.widgets.turn_editor import TurnEditor

        focused = self._view.screen.focused
        return isinstance(focused, TurnEditor) and not focused.is_user

    def _is_here(self, one: Action) -> bool:
        """Return whether an action fits the current focus, where its binding alone doesn't decide that."""
        here = self._here_in_composer() if self._is_writing else self._here_elsewhere()
        return here.get(one.id, True)

    def _here_in_composer(self) -> Mapping[str, bool]:
        is_completing = self._view.composer.menu_open
        is_beginning = self._view.composer.is_blank and not is_completing
        return {
            "message.send": not is_completing,
            "message.command": is_beginning,
            "completions.move": is_completing,
            "completions.take": is_completing,
            "completions.close": is_completing,
            "reply.stop": not is_completing,
            "turn.previous": not is_completing and bool(self._core.session.conversation.path),
            # Typing the command sign lists the same actions, so one hint is enough.
            "app.palette": not is_beginning,
            **dict.fromkeys(_OUTSIDE_COMPOSER, False),
        }

    def _here_elsewhere(self) -> Mapping[str, bool]:
        # The first frame has the focus in the composer, and shows none of these.
        from tui.widgets.chat_list import ChatList
        from tui.widgets.find_bar import FindBar
        from tui.widgets.turn_editor import TurnEditor

        focused = self._view.screen.focused
        chats = focused if isinstance(focused, ChatList) else None
        return {
            "message.command": False,
            "completions.move": False,
            "completions.take": False,
            "completions.close": False,
            "turn.previous": False,
            "transcript.find": focused is None or not isinstance(focused.parent, FindBar),
            "edit.save": isinstance(focused, TurnEditor) and focused.is_user,
            "column.open": chats is not None and chats.has_highlight,
            "column.trash": chats is not None and chats.has_highlight,
            "column.untrash": chats is not None and chats.can_restore,
            "parameter.next": self._view.sidebar.has_focus_within,
            "parameter.reset": focused is not None and any(map(_is_changed, focused.ancestors)),
        }


def _is_changed(node: DOMNode) -> bool:
    from tui.widgets.parameter_field import ParameterField

    return isinstance(node, ParameterField) and node.has_class("-changed")
