"""Where the focus is, and how it moves between the message, the turns and the settings."""

from __future__ import annotations

from typing import Final

from textual import events
from textual.widgets import Input, TextArea
from textual.widgets._select import SelectOverlay

from tui.chat.session import ChatSession
from tui.chat.settings import ChatSettings
from tui.chat.signal import Signal
from tui.chat.ui import Ui
from tui.conversation import USER, Turn
from tui.screens.chat.pane import TurnPane
from tui.screens.chat.view import View

SIDEBAR_WIDTH: Final = 100
"""On a terminal narrower than this, the sidebar is hidden and opens over the chat."""
BROAD: Final = 160
"""From this width on, the saved chats are shown beside the open chat, and the settings are wider."""


_TAKES_TEXT: Final = (Input, TextArea, SelectOverlay, TurnPane)
"""Widgets that handle typed letters themselves."""


class FocusControl:
    """Moves the focus and the cursor on the turns, and shows or hides the sidebar."""

    def __init__(self, view: View, session: ChatSession, settings: ChatSettings, ui: Ui) -> None:
        self._view = view
        self._session = session
        self._settings = settings
        self._ui = ui
        self.sidebar_changed: Signal[None] = Signal()
        """The sidebar was shown or hidden."""
        self._has_room = False
        self._blanks = ""
        """Blanks that were typed into a widget that takes no text, just before other text."""
        self._sidebar_wanted: bool = settings.preferences.values.screen.sidebar

    # -- the message

    def to_composer(self) -> None:
        """Focus the message. Close what covers the chat, and clear the cursor on the turns."""
        if self._view.find_bar.has_class("-open"):
            # The search was left with Shift+Tab.
            self._view.find_bar.action_close()
        self._view.transcript.cursor = None
        self._close_overlay()
        self._view.screen.set_focus(self._view.composer)

    def _close_overlay(self) -> None:
        """Hide the sidebar if it covers the chat."""
        screen = self._view.screen
        if screen.size.width < SIDEBAR_WIDTH or self._is_plain:
            self._show_sidebar(is_shown=False)

    def close_open(self) -> bool:
        """Close what Escape closes first: settings over the chat, or the search. Return whether anything was open."""
        screen = self._view.screen
        if screen.size.width < SIDEBAR_WIDTH and self.has_sidebar:
            self.to_composer()
        elif self._view.find_bar.has_class("-open"):
            self._view.find_bar.action_close()
        else:
            return False
        return True

    # -- the turns

    def acted_turn(self, role: str = "") -> Turn | None:
        """Return the turn under the cursor; without a cursor, the last turn, with `role` if that is given. Tell the user if
        there is none.
        """
        path = self._session.conversation.path
        cursor = self._view.transcript.cursor
        under = next((turn for turn in path if turn.id == cursor), None)
        if under is not None:
            return under
        found = next((turn for turn in reversed(path) if role in ("", turn.role)), None)
        if found is None:
            self._ui.tell("There are no turns yet.")
        return found

    @property
    def is_on_question(self) -> bool:
        """Whether the cursor is on a user turn."""
        turn = self._session.conversation.turns.get(self._view.transcript.cursor or "")
        return turn is not None and turn.role == USER

    def mark_cursor(self) -> None:
        """Put the cursor on a turn when the transcript gets the focus; if there are no turns, focus the message."""
        transcript = self._view.transcript
        if self._view.screen.focused is not transcript or transcript.cursor is not None:
            return
        path = self._session.conversation.path
        if path:
            transcript.cursor = path[-1].id
        else:
            self.to_composer()

    def to_turns(self) -> None:
        """Focus the transcript."""
        self._view.screen.set_focus(self._view.transcript)

    def to_turn(self, turn_id: str) -> None:
        """Put the cursor on a turn of the active path."""
        self.to_turns()
        self._view.transcript.cursor = turn_id
        self._view.transcript.move_cursor(0)

    def to_previous_turn(self) -> None:
        """Move the cursor to the turn above."""
        self.to_turns()
        self._view.transcript.move_cursor(-1 if self._view.transcript.cursor else 0)

    def to_next_turn(self) -> None:
        """Move the cursor to the turn below; from the last turn, focus the composer."""
        transcript, path = self._view.transcript, self._session.conversation.path
        if not path or transcript.cursor in (None, path[-1].id):
            transcript.follow()
            self.to_composer()
            return
        self.to_turns()
        transcript.move_cursor(1)

    def to_user_turn(self, step: int) -> None:
        """Move the cursor to the previous user turn with -1, or to the next with 1."""
        self.to_turns()
        self._view.transcript.move_cursor_user(step)

    def to_first_turn(self) -> None:
        """Move the cursor to the first turn."""
        self.to_turns()
        self._view.transcript.cursor_first()

    def scroll_or_move(self, step: int, *, may_leave: bool = True) -> None:
        """Scroll within a turn that is taller than the screen, or else move the cursor.

        Args:
            step: -1 for up, 1 for down.
            may_leave: whether to focus the composer below the last turn.
        """
        transcript, path = self._view.transcript, self._session.conversation.path
        if transcript.block is not None:
            transcript.move_block(step)
            return
        at_end = transcript.scroll_offset.y >= transcript.max_scroll_y
        if may_leave and step > 0 and at_end and path and transcript.cursor == path[-1].id:
            self.to_composer()
        else:
            transcript.scroll_or_move(step)

    def take_typing(self, event: events.Key | events.Paste) -> None:
        """Focus the message before text is typed into a widget that takes none, for example a button or a list.

        Call this before the key reaches the focused widget. Otherwise, all keys of a burst would reach it before the focus has moved.
        """
        focused = self._view.screen.focused
        blanks, self._blanks = self._blanks, ""
        if isinstance(focused, _TAKES_TEXT):
            return
        if isinstance(event, events.Key):
            if not event.is_printable or event.key in self._view.screen.active_bindings:
                return
            if event.character == " ":
                # A blank alone is no text: elsewhere, it presses buttons.
                self._blanks = f"{blanks} "
                return
        self.to_composer()
        if blanks:
            self._view.composer.take_typed(blanks)

    def type_into_composer(self, text: str) -> None:
        """Put text that was typed or pasted on a turn into the message."""
        self.to_composer()
        self._view.composer.take_typed(text)

    # -- the settings

    @property
    def _is_plain(self) -> bool:
        return bool(self._settings.preferences.values.screen.plain)

    @property
    def shows_sidebar(self) -> bool:
        """Whether the sidebar is shown beside the chat. In plain mode there is only one column."""
        return self._has_room and self._sidebar_wanted and not self._is_plain

    def fit(self, width: int, *, update: bool = True) -> None:
        """Show the columns that fit a screen of `width` cells. In plain mode there is only one column.

        Args:
            width: the width of the screen.
            update: whether to restyle the widgets; False before they exist.
        """
        screen, wide = self._view.screen, width >= SIDEBAR_WIDTH
        screen.set_class(width >= BROAD and not self._is_plain, "-broad", update=update)
        if wide != self._has_room:
            self._has_room = wide
            if update:
                self._show_sidebar(is_shown=self.shows_sidebar)
            else:
                screen.set_class(self.shows_sidebar, "-sidebar", update=False)

    def toggle_sidebar(self) -> None:
        """Focus the settings, showing them if needed; if they have the focus, hide them."""
        screen = self._view.screen
        is_there = self._view.sidebar.has_or_awaits_focus
        if self.has_sidebar and not is_there:
            self._view.sidebar.focus_on("temperature")
            return
        shown = not self.has_sidebar
        self._show_sidebar(is_shown=shown)
        if screen.size.width >= SIDEBAR_WIDTH:
            self._sidebar_wanted = shown
            self._settings.remember(sidebar=shown)
        if shown:
            self._view.sidebar.focus_on("temperature")
        else:
            screen.set_focus(self._view.composer)

    @property
    def wants_sidebar(self) -> bool:
        """Whether the sidebar is shown if there is room."""
        return self._sidebar_wanted

    def want_sidebar(self, is_wanted: bool) -> None:
        """Show or hide the sidebar from now on, where there is room for it."""
        self._sidebar_wanted = is_wanted
        self._settings.remember(sidebar=is_wanted)
        self._show_sidebar(is_shown=self.shows_sidebar)

    @property
    def has_sidebar(self) -> bool:
        """Whether the sidebar is shown, beside the chat or over it."""
        return self._view.screen.has_class("-sidebar")

    def _show_sidebar(self, *, is_shown: bool) -> None:
        if is_shown != self.has_sidebar:
            self._view.screen.set_class(is_shown, "-sidebar")
            self.sidebar_changed.emit(None)

    def to_setting(self, name: str) -> None:
        """Focus a setting: `system-prompt`, or a parameter by name."""
        if not self.has_sidebar:
            self.toggle_sidebar()
        self._view.sidebar.focus_on(name)
