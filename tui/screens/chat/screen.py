"""The main screen whole: its keys, what is possible when, copying and leaving."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar, Final

from textual import work
from textual.binding import BindingType
from textual.widgets import TextArea

from tui.actions import actions
from tui.keymap import keymap
from tui.sanitize import sanitize
from tui.screens.ask import Answer, Ask
from tui.screens.bindings import bindings
from tui.screens.chat.comforts import Comforts
from tui.screens.chat.frame import NOTICE_S
from tui.screens.chat.pane import TurnPane
from tui.screens.help import HelpScreen
from tui.screens.stats import StatsScreen
from tui.widgets.composer import Composer
from tui.widgets.parameter_field import ValueInput
from tui.widgets.sidebar import SystemPrompt

SETTLE_S: Final = 3.0
"""How long leaving waits for the disk before it says that a chat is not saved."""
AGAIN: Final = "again"
COPY: Final = "copy"
WITHOUT: Final = "without"
_UNSAVED_ANSWERS: Final = (
    Answer(AGAIN, "Try again", "t"),
    Answer(COPY, "Leave, with a copy elsewhere", "c"),
    Answer(WITHOUT, "Leave without it", "l", "error"),
)
LEAVE: Final = "leave"
_IMPORT_ANSWERS: Final = (
    Answer("wait", "Stay until it is done", "s"),
    Answer(LEAVE, "Quit now", "q", "error"),
)
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
    leave_without = False
    """Whether the user wants to leave without the chats that could not be saved, and without a copy of them."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Allow, and show in the footer, what is possible now."""
        match _WHEN.get(action):
            case "busy":
                return self.busy or bool(self.side_work)
            case "idle":
                return not self.busy
            case "still":
                return self.reply is None
        return True

    def action_app_help(self) -> None:
        """Show the keys."""
        wanted = self.preferences.values.keys
        keys = keymap(wanted.map, wanted.bindings).keys
        where = next(
            (text for kind, text in _PLACES.items() if isinstance(self.focused, kind)),
            "in the chat",
        )
        what = str(getattr(self.focused, "HELP", None) or "").replace("**", "")
        self.app.push_screen(HelpScreen(keys, where=where, what=what))

    def action_app_stats(self) -> None:
        """Show what replies cost."""
        chat = [turn.generation.stats for turn in self.conversation.path if turn.generation]
        self.app.push_screen(StatsScreen(chat, self.session_stats, self.worker.memory()))

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
        elif time.monotonic() - self._interrupted < NOTICE_S:
            self.action_app_quit()
        else:
            self._interrupted = time.monotonic()
            self.tell("Press Ctrl+C again to quit.")

    def action_app_quit(self) -> None:
        """Keep what was said of a reply, and leave; a chat that is not saved is asked about first."""
        if not self.quitting:
            self.quitting = True
            self._keep_all()
            self._quit()

    def leave_at_once(self) -> None:
        """Keep what was said of a reply, and leave without a question, since nobody may be there to answer it."""
        self.quitting = True
        self._keep_all()
        self._quit_unasked()

    def _keep_all(self) -> None:
        """Put everything that is being written where it lasts."""
        self.keep_reply()
        self.keep_prompt()
        self.take_back_waiting()
        self.take_back_edit()
        self.keep_draft()

    @work(group="quit")
    async def _quit(self) -> None:
        if not await self._may_end_import():
            self.quitting = False
            return
        await self._settle()
        while self.sessions.failures or self.sessions.unsaved:
            answer = await self.app.push_screen_wait(
                Ask("A chat is not saved", self._why_unsaved(), _UNSAVED_ANSWERS)
            )
            if answer is None:
                self.quitting = False
                self.take_back_waiting()
                return
            if answer != AGAIN:
                self.leave_without = answer == WITHOUT
                break
            self.sessions.retry()
            await self._settle()
        self.app.exit()

    async def _may_end_import(self) -> bool:
        """Ask whether to leave in the middle of an import; return whether to."""
        if self._import is None:
            return True
        text = "The chats that it has so far stay. Import the same files again to go on: what is here already is not taken twice."
        answer = await self.app.push_screen_wait(
            Ask("An import is under way", text, _IMPORT_ANSWERS)
        )
        if answer == LEAVE:
            self.stop_import()
        return answer == LEAVE or self._import is None

    @work(group="quit")
    async def _quit_unasked(self) -> None:
        await self._settle()
        self.app.exit()

    async def _settle(self) -> None:
        """Give the disk time to do what was asked for."""
        # A chat whose file another window has written becomes one of its own in between, and is saved once more.
        for _ in range(2):
            try:
                await asyncio.wait_for(
                    asyncio.wrap_future(self.sessions.run(lambda: None)), SETTLE_S
                )
            except TimeoutError:
                return

    def _why_unsaved(self) -> str:
        failures = self.sessions.failures
        reasons = dict.fromkeys(error.what_happened for error in failures.values())
        count = len({*failures, *self.sessions.unsaved})
        chats = f"{count} chats are not on the disk" if count > 1 else "It is not on the disk"
        return (
            f"{' '.join(reasons) or 'The disk does not answer.'}\n\n{chats} in the newest state and would be lost. "
            "A copy goes to your home folder, or else to the temporary folder; where it is, is told after leaving. "
            "Esc goes back."
        )
