"""The main screen: lays out its widgets, creates and connects its objects, and runs the actions of keys and commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.message import Message
from textual.screen import Screen

from tui.chat.alerts import Alerts
from tui.chat.core import make_core
from tui.chat.live_reply import LiveReply
from tui.chat.loader import ModelLoader
from tui.chat.servers import Servers
from tui.chat.settings import ChatSettings
from tui.conversation import Conversation
from tui.dataclass import dataclass
from tui.engine.client import EngineClient
from tui.engine.worker import EngineWorker
from tui.scopes import Scope
from tui.screens.chat.body import Body
from tui.screens.chat.chat_column import ChatColumn
from tui.screens.chat.chats_column import ChatsColumn
from tui.screens.chat.commands import Commands
from tui.screens.chat.composing import ComposerArea
from tui.screens.chat.drafts_elsewhere import DraftsElsewhere
from tui.screens.chat.empty_state import EmptyState
from tui.screens.chat.focus_control import SIDEBAR_WIDTH, FocusControl
from tui.screens.chat.model_rescue import ModelRescue
from tui.screens.chat.offered_actions import OfferedActions
from tui.screens.chat.painter import ChatPainter
from tui.screens.chat.pump import Pump
from tui.screens.chat.starting import Start, Starting
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import make_view
from tui.sessions.writer import SessionWriter
from tui.settings.measurements import Measurements
from tui.settings.paths import AppPaths
from tui.settings.preferences import Preferences
from tui.settings.state import AppState
from tui.widgets.bindings import bindings, key_name
from tui.widgets.composer import Composer
from tui.widgets.footer import Footer
from tui.widgets.ground import ground

if TYPE_CHECKING:
    from tui.engine.hub.downloads import Downloads
    from tui.engine.hub.hub import Hub
    from tui.screens.chat.handlers import Handlers
    from tui.widgets.turn_editor import TurnEditor

MEMORY_S: Final = 2.0
"""How often memory use is read, in seconds."""
_TALL: Final = 16
_HIGH: Final = 30
"""The least height, in lines, for a blank line above the columns."""


class ChatScreen(Screen[None]):
    """The screen of one chat."""

    AUTO_FOCUS = "Composer"
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.CHAT)
    render_lines = ground
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (SIDEBAR_WIDTH, "-wide")]  # noqa: RUF012 - Textual's type
    VERTICAL_BREAKPOINTS = [(0, "-short"), (_TALL, "-tall"), (_HIGH, "-high")]  # noqa: RUF012 - Textual's type

    @dataclass
    class StateChanged(Message):
        """The state that the app remembers has changed."""

        state: AppState

    @dataclass
    class TitleChanged(Message):
        """The title of the terminal window should change."""

        title: str

    @dataclass
    class AlertWanted(Message):
        """Something has finished that the user may be waiting for elsewhere."""

        text: str

    def __init__(
        self,
        worker: EngineWorker,
        sessions: SessionWriter,
        preferences: Preferences,
        *,
        hub: Callable[[], Hub],
        downloads: Callable[[], Downloads],
        measurements: Measurements,
        servers: Servers,
        start: Start,
        paths: AppPaths | None,
    ) -> None:
        """Create the screen.

        Args:
            worker: runs the engine's jobs.
            sessions: accesses the chat files.
            preferences: the settings in force.
            hub: returns what asks the Hub; called when that is needed.
            downloads: returns the downloads from it; called when they are needed.
            measurements: figures measured on this machine.
            servers: the servers in the settings.
            start: what the app starts with.
            paths: the app's folders; None to store nothing.
        """
        super().__init__()
        self._was_shown = False
        opened, request = start.opened, start.request
        self.ui = ui = ScreenUi(self, lambda text: self.composer.take_typed(text))
        settings = ChatSettings(
            preferences,
            opened.conversation if opened is not None else None,
            quantization=request.quantization if request is not None else "",
            keep=lambda state: self.post_message(self.StateChanged(state)),
        )
        client = EngineClient(worker, lambda: self._pump.asked())
        loader = ModelLoader(client, settings)
        rescue = ModelRescue(
            worker, measurements, loader, settings, ui, lambda: self.do("model.choose")
        )
        self.core = core = make_core(
            client,
            sessions,
            settings,
            ui,
            loader=loader,
            rescue=rescue,
            measurements=measurements,
            draft=lambda: self._area.message,
            opened=opened,
            drafts_file=paths.drafts if paths is not None else None,
            history_file=paths.history if paths is not None else None,
        )
        self._chats = ChatsColumn(
            core,
            lambda chat_id: ui.start(self.handlers.chats.open_saved(chat_id)),
            lambda: self.handlers.chats.begin(),
            id="chats",
        )
        self._area = ComposerArea(
            core,
            ui,
            run=lambda command: self._commands.run_typed(command),
            choose_model=self._ask_for_model,
        )
        self.view = view = make_view(self, self._area, settings)
        self._focus_control = focus_control = FocusControl(view, core.session, settings, ui)
        self._pump = Pump(
            self,
            client,
            wanted_interval=lambda: view.transcript.drain_interval,
            show_status=lambda: self._painter.show_status(),
            show_figures=lambda: self._painter.show_figures(),
        )
        self._painter = ChatPainter(
            core,
            view,
            focus_control,
            memory=worker.memory,
            beside=lambda: core.side.label or self._importing_label,
            name_window=lambda title: self.post_message(self.TitleChanged(title)),
            empty=EmptyState(
                core,
                DraftsElsewhere(core),
                keys=lambda action_id: key_name(self.app, action_id),
                has_tour=(
                    paths is not None
                    and not settings.state.toured
                    and preferences.values.screen.tour
                ),
                draws=lambda: not (self.app.has_class("-plain") or self.app.has_class("-ascii")),
            ),
        )
        self._handlers: Handlers | None = None

        def make_handlers() -> Handlers:
            from tui.screens.chat import handlers

            return handlers.make_handlers(
                self,
                core,
                view,
                focus_control,
                rescue,
                ui,
                hub=hub,
                downloads=downloads(),
                servers=servers,
                show_downloads=self._painter.show_downloads,
                show_activity=self._painter.show_activity,
                first_model=request.model if request is not None else "",
                offers=lambda action_id: self.offered.offers(action_id),
                run=self.do,
            )

        self._make_handlers = make_handlers
        self._commands = Commands(
            self,
            core,
            focus_control,
            ui,
            handlers=lambda: self.handlers,
            importing=lambda: self._importing_label,
        )
        self.offered = OfferedActions(core, view, downloads, self.can_do)
        self._starting = Starting(
            core, view, worker, self._painter, ui, start, self._ask_for_model, lambda: self.handlers
        )
        Alerts(
            core.session,
            settings,
            core.replies,
            is_watched=lambda: self.app.app_focus,
            call=lambda text: self.post_message(self.AlertWanted(text)),
        )

    # -- what others read

    @property
    def handlers(self) -> Handlers:
        """What carries out the actions: imported and created when the first is asked for, at the latest after the first frame."""
        if self._handlers is None:
            self._handlers = self._make_handlers()
        return self._handlers

    @property
    def _importing_label(self) -> str:
        return self._handlers.importing.label if self._handlers is not None else ""

    @property
    def conversation(self) -> Conversation:
        """The open chat."""
        return self.core.session.conversation

    @property
    def model(self) -> ModelLoader:
        """The model, and the progress of loading it."""
        return self.core.loader

    @property
    def reply(self) -> LiveReply | None:
        """The reply that is being written."""
        return self.core.replies.live

    @property
    def composer(self) -> Composer:
        """The widget in which messages are written."""
        return self.view.composer

    # -- life cycle

    def compose(self) -> ComposeResult:
        """Lay out the screen."""
        # Set before there are widgets, because each class added later restyles all of them.
        width, height = self.app.size
        self._focus_control.fit(width, update=False)
        self.set_class(True, "-wide" if width >= SIDEBAR_WIDTH else "-narrow", update=False)
        height_class = "-high" if height >= _HIGH else "-tall" if height >= _TALL else "-short"
        self.set_class(True, height_class, update=False)
        yield Body(
            self._chats,
            ChatColumn(self.view, self._focus_control, self.ui, lambda: self.handlers),
            self.view.sidebar,
            settings=self.core.settings,
            undoing=self.core.undoing,
            ui=self.ui,
            requantize=lambda name: self.handlers.models.requantize(name),
            run=self.do,
        )
        yield self.view.status
        yield Footer(self.offered.word)

    def on_mount(self) -> None:
        """Show the chat. Everything slow starts after the first frame."""
        self._pump.start()
        self.set_interval(MEMORY_S, self._look)
        self._painter.show_conversation()
        self._painter.show_settings()
        self._starting.begin(has_sidebar=self._focus_control.shows_sidebar)

    def _look(self) -> None:
        self.core.recovery.look()
        self._painter.read_memory()

    def on_unmount(self) -> None:
        """Stop starting new work."""
        self.core.counting.close()

    def on_resize(self, event: events.Resize) -> None:
        """Show or hide the columns beside the chat when the width crosses a threshold."""
        self._focus_control.fit(event.size.width)

    def on_screen_suspend(self) -> None:
        """Hide notifications and keys, because the screen above shows its own."""
        self.query("ToastRack").set(display=False)
        self.query(Footer).set(visible=False)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        """Show notifications and keys again."""
        # When it is shown first, all widgets have just got their styles.
        event.refresh_styles = self._was_shown
        self._was_shown = True
        self.query("ToastRack").set(display=True)
        self.query(Footer).set(visible=True)
        # A dialog may have renamed chats or moved them to the trash.
        self._chats.look()

    def take_configuration(self) -> None:
        """Apply a changed configuration, except for what was changed in this chat."""
        self.core.settings.take_configuration()
        self._area.take_configuration()

    # -- commands

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow actions, and show them in the footer, only while they are possible."""
        return self.can_do(str(parameters[0])) if action == "do" else True

    def action_do(self, action_id: str) -> None:
        """Run an action of the registry."""
        self.do(action_id)

    def do(self, action_id: str, argument: str = "") -> None:
        """Run an action of the registry with its argument."""
        self._commands.run(action_id, argument)

    def can_do(self, action_id: str) -> bool:
        """Return whether an action of the registry belongs to this screen and is possible now."""
        return action_id in self._commands and self._commands.is_possible(action_id)

    def action_scroll_or_move(self, step: int, may_leave: bool = True) -> None:
        """Scroll within a turn, or else move the cursor; see `FocusControl`."""
        self._focus_control.scroll_or_move(step, may_leave=may_leave)

    def _ask_for_model(self, message: str) -> None:
        self.ui.start(self.handlers.models.pick(message))

    def take_typing(self, event: events.Key | events.Paste) -> None:
        """Pass text typed into a widget that takes none to the message; see `FocusControl`."""
        self.ui.acted()
        self._focus_control.take_typing(event)

    # -- the editor of a turn, which is mounted on the screen

    def on_turn_editor_left(self) -> None:
        """Keep what was written, and return to the chat."""
        self.handlers.editing.leave()

    def on_turn_editor_edited(self, event: TurnEditor.Edited) -> None:
        """Take over the edited text."""
        self.handlers.editing.end(event)
