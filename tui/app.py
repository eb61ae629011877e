"""The app: wires engine, chats and settings to the screen. It holds no logic of theirs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, Protocol, runtime_checkable

from textual import events, on
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.screen import Screen
from textual.worker import WorkerFailed

from tui.appearance import Appearance
from tui.chat.servers import Servers
from tui.clipboard import copy_natively
from tui.dataclass import dataclass
from tui.engine.base import Engine
from tui.engine.worker import EngineWorker
from tui.paste_guard import guarded
from tui.sanitize import sanitize
from tui.scopes import Scope
from tui.screens.chat import ChatScreen, Start
from tui.sessions import SessionError
from tui.sessions.writer import SessionWriter
from tui.settings.measurements import Measurements
from tui.settings.paths import AppPaths
from tui.settings.preferences import Preferences
from tui.settings.state import AppState
from tui.settings.themes import ThemeColors
from tui.widgets.bindings import bindings

if TYPE_CHECKING:
    from tui.engine.hub.downloads import Downloads
    from tui.engine.hub.hub import Hub
    from tui.screens.settings_screen import SettingsScreen

_log = logging.getLogger(__name__)

CLOSE_S: Final = 2.0
"""How long leaving waits for the engine to notice that it was cancelled."""
SAVE_S: Final = 10.0
"""How long leaving waits for a slow disk."""
_PLAIN_CSS: Final = Path(__file__).parent / "screens" / "chat" / "plain.tcss"
_EARLY_S: Final = 2.0
"""How long keys that were pressed before the first frame wait at most for something that takes them."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the app ended.

    Attributes:
        ended: whether the engine's thread ended in time.
        problems: why chats are not where they belong, a sentence for each, by their ids.
        copies: where copies of such chats are, by their ids.
    """

    ended: bool
    problems: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, Path] = field(default_factory=dict)


@runtime_checkable
class TakesTyping(Protocol):
    """A screen that has typed text go to its text field, wherever the focus is."""

    def take_typing(self, event: events.Key | events.Paste) -> None:
        """Focus the field if the event is text for it."""


class ChatApp(Appearance):
    """chat-tui.

    Takes its parts, so that tests, pictures and benchmarks run it on any engine and in any folder.
    """

    TITLE = "chat-tui"
    CSS_PATH = "screens/chat/chat.tcss"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.APP)
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        engine: Engine,
        sessions: SessionWriter,
        state: AppState,
        *,
        start: Start | None = None,
        themes: Sequence[ThemeColors] = (),
        more_themes: Callable[[], Sequence[ThemeColors]] | None = None,
        save_state: Callable[[AppState], object] | None = None,
        copy_file: Path | None = None,
        hub: Hub | None = None,
        measurements: Measurements | None = None,
        preferences: Preferences | None = None,
        servers: Servers | None = None,
        paths: AppPaths | None = None,
        rescue_folders: Sequence[Path] | None = None,
        on_signal: Callable[[], object] | None = None,
        on_first_frame: Callable[[], object] | None = None,
    ) -> None:
        """Make the app.

        Args:
            engine: what makes replies; the app runs it on a thread of its own.
            sessions: does all work on chat files.
            state: what was remembered from the last time.
            start: what to begin with.
            themes: color themes to offer beside Textual's own.
            more_themes: reads others, on a thread after the first frame; None for no others.
            copy_file: where a copied text goes that is too long for the terminal; None for nowhere.
            hub: where models are looked for and downloaded from; None for the Hugging Face Hub.
            measurements: what was measured of models on this machine; None to keep that in memory only.
            save_state: called off the UI thread with what to remember; None to remember nothing.
            preferences: the settings in force; None for the defaults.
            servers: those that the settings name, with their keys; None to find no keys.
            paths: the app's folders; None to keep nothing in them.
            rescue_folders: where copies of chats go that can't be saved; see `write_copy`.
            on_signal: called when the system or a closed terminal asks the app to end.
            on_first_frame: called once, when the first frame is on the screen.
        """
        super().__init__(
            preferences or Preferences(state=state),
            paths,
            plain_css=_PLAIN_CSS,
            more_themes=more_themes,
        )
        self.servers = servers or Servers(lambda: self.preferences.values.servers, {})
        self._typed_early: list[events.Key | events.Paste] | None = []
        self.worker = EngineWorker(engine)
        self.sessions = sessions
        self.start = start or Start()
        self.crash: Exception | None = None
        self._save_state = save_state
        self._copy_file = copy_file
        self._rescue_folders = rescue_folders
        self._on_signal = on_signal
        self._on_first_frame = on_first_frame
        self._first: ChatScreen | None = None
        self._close_lock = threading.Lock()
        self._ending: Ending | None = None
        self._hub = hub
        self.measurements = measurements or Measurements(None)
        self.offer_themes(themes, state.theme)

    @cached_property
    def downloads(self) -> Downloads:
        """The downloads from the Hub, imported when they are first asked for."""
        from tui.engine.hub.downloads import Downloads

        return Downloads(self._used_hub)

    def _used_hub(self) -> Hub:
        if self._hub is None:
            from tui.engine.hub.hub import Hub

            self._hub = Hub()
        return self._hub

    @property
    def kept_chat(self) -> str:
        """The id of the open chat, if it is one that can be opened again; empty otherwise."""
        session = self._first.core.session if self._first is not None else None
        if session is None or session.temporary or not session.conversation.turns:
            return ""
        return session.conversation.id

    def get_driver_class(self) -> type[Driver]:
        """Return the terminal's driver, guarded against what pastes can hold."""
        return guarded(super().get_driver_class())

    def get_default_screen(self) -> Screen[None]:
        """Return the chat as the app's first screen."""
        self._first = ChatScreen(
            self.worker,
            self.sessions,
            self.preferences,
            hub=self._used_hub,
            downloads=lambda: self.downloads,
            measurements=self.measurements,
            servers=self.servers,
            start=self.start,
            paths=self.paths,
        )
        return self._first

    def on_mount(self) -> None:
        """Leave in good order also when the system or a closed terminal asks for it."""
        self.set_timer(_EARLY_S, self._take_early)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            # Not in a thread other than the main one, as in some tests, nor on every system.
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, self._leave)

    def on_ready(self) -> None:
        """Tell that the first frame is out."""
        if self._on_first_frame is not None:
            self._on_first_frame()

    async def on_descendant_focus(self) -> None:
        """Something can be typed into: what was typed before that goes there."""
        await self._take_early()

    async def _take_early(self) -> None:
        early, self._typed_early = self._typed_early or [], None
        if early and isinstance(early[-1], events.Key) and early[-1].key == "ctrl+j":
            # A terminal that no app has taken over yet makes a line feed of Enter. Within the text, it may have been pasted.
            early[-1] = events.Key("enter", "\r")
        for event in early:
            await self.on_event(event)

    def _leave(self) -> None:
        if self._on_signal is not None:
            self._on_signal()
        if (screen := self._chat_screen) is not None:
            screen.handlers.leaving.quit_at_once()
        else:
            self.exit()

    @property
    def _chat_screen(self) -> ChatScreen | None:
        return next((one for one in self.screen_stack if isinstance(one, ChatScreen)), None)

    @on(ChatScreen.StateChanged)
    def _state_changed(self, event: ChatScreen.StateChanged) -> None:
        event.stop()
        if self._save_state is not None:
            save, state = self._save_state, event.state
            self.sessions.run(lambda: save(state))

    def settings_changed(self) -> None:
        """Hold by another configuration, in the chat too."""
        super().settings_changed()
        for screen in self.screen_stack:
            if isinstance(screen, ChatScreen):
                screen.take_configuration()

    # Found by its name, because that screen is not imported before it is opened.
    def on_settings_screen_changed(self, event: SettingsScreen.Changed) -> None:
        """Hold by what was changed in the settings."""
        event.stop()
        self.settings_changed()

    @on(ChatScreen.TitleChanged)
    def _title_changed(self, event: ChatScreen.TitleChanged) -> None:
        event.stop()
        self.show_terminal_title(event.title)

    @on(ChatScreen.AlertWanted)
    def _alert_wanted(self, event: ChatScreen.AlertWanted) -> None:
        event.stop()
        self.alert(event.text)

    async def on_event(self, event: events.Event) -> None:
        """Make what is pasted safe to show, and a key with Alt no text, for every field there is."""
        if isinstance(event, events.Paste):
            event.text = sanitize(event.text)
        elif isinstance(event, events.Key) and event.key.startswith("alt+"):
            # Most terminals send Alt with a letter as Escape and the letter, and fields would take that for typing.
            event.character = None
        if self._typed_early is not None and isinstance(event, events.Key | events.Paste):
            self._typed_early.append(event)
            return
        screen: object = self.screen_stack[-1] if self.screen_stack else None
        # A key comes back here, forwarded, if no widget handled it.
        if (
            isinstance(event, events.Key | events.Paste)
            and not event.is_forwarded
            and isinstance(screen, TakesTyping)
        ):
            screen.take_typing(event)
        await super().on_event(event)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy, made safe to paste, through the terminal, and through the desktop's own tool where there is one."""
        text = sanitize(text)
        super().copy_to_clipboard(text)
        threading.Thread(target=self._copy_natively, args=(text,), daemon=True).start()

    def _copy_natively(self, text: str) -> None:
        file = copy_natively(text, self._copy_file)
        if file is not None:
            self.call_from_thread(
                self.notify,
                f"Some terminals truncate long text when copying it, so it is also saved in {file}.",
                markup=False,
            )

    def action_do(self, action_id: str) -> None:
        """Do what can be done wherever one is. Leaving is the chat's business, which keeps what was said of a reply first."""
        chat = self._chat_screen
        if chat is not None and (chat is self.screen or action_id == "app.quit"):
            chat.do(action_id)
        elif action_id == "app.quit":
            self.exit()

    def close(self) -> Ending:
        """End the engine's thread and put on disk what waits; what that fails for is copied elsewhere if it may be.

        Any thread may call it, and more than once: all get the same answer.
        """
        self.show_terminal_title("")
        with self._close_lock:
            if self._ending is None:
                ended = self.worker.close(CLOSE_S)
                self.sessions.close(SAVE_S)
                self._ending = self._rescue(ended)
            return self._ending

    def _rescue(self, ended: bool) -> Ending:
        from tui.sessions.rescue import write_copy

        unsaved, failures = self.sessions.unsaved, self.sessions.failures
        problems = dict.fromkeys(unsaved, "The chat isn't saved: the disk isn't responding.")
        problems |= {chat_id: error.message for chat_id, error in failures.items()}
        copies: dict[str, Path] = {}
        for chat_id, chat in (
            unsaved.items()
            if not (self._first and self._first.handlers.leaving.without_copy)
            else ()
        ):
            try:
                copies[chat_id] = write_copy(chat, self._rescue_folders)
            except SessionError as error:
                problems[chat_id] += f" {error.message}"
        return Ending(ended, problems, copies)

    def _handle_exception(self, error: Exception) -> None:
        # What is still at work when the app is left may look in vain for a widget: Textual's Select while it is mounted, our own
        # coroutines, whose errors come wrapped.
        cause = error.error if isinstance(error, WorkerFailed) else error
        if (self._exit or not self.is_running) and isinstance(cause, NoMatches):
            _log.info("a widget was looked up while the app was closing", exc_info=cause)
        else:
            super()._handle_exception(error)

    def _fatal_error(self) -> None:
        # A traceback on the user's screen helps nobody: it goes to the log, and the command line says so in a sentence.
        self.crash = self._exception
        _log.critical("the app failed", exc_info=self._exception)
        self._close_messages_no_wait()
