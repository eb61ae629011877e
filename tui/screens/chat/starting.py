"""What starts after the first frame: notices, loading the model, and everything else that takes time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from tui.chat.core import Core
from tui.dataclass import dataclass
from tui.engine.base import LoadRequest
from tui.engine.worker import EngineWorker
from tui.late import imported
from tui.screens.chat.painter import ChatPainter
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.sessions import Loaded

if TYPE_CHECKING:
    from tui.screens.chat.handlers import Handlers

_log = logging.getLogger(__name__)

HOLD_S: Final = 2.0
"""How long loading waits for the first frame at most, in seconds."""
_MOST_NOTICES: Final = 3


@dataclass(frozen=True, slots=True)
class Start:
    """What the app starts with.

    Attributes:
        opened: the chat to continue; None for a new one.
        request: the model to load; None to ask for one.
        notices: sentences to show once.
    """

    opened: Loaded | None = None
    request: LoadRequest | None = None
    notices: tuple[str, ...] = ()


class Starting:
    """Delays the engine's imports until the screen is painted, then shows the notices and loads the model."""

    def __init__(
        self,
        core: Core,
        view: View,
        worker: EngineWorker,
        painter: ChatPainter,
        ui: ScreenUi,
        start: Start,
        ask_for_model: Callable[[str], object],
        handlers: Callable[[], Handlers],
    ) -> None:
        """Create it.

        Args:
            core: owns the chat.
            view: the screen's widgets.
            worker: runs the engine's jobs.
            painter: shows the memory in use.
            ui: shows notifications.
            start: what to open, load and show.
            ask_for_model: asks for a model, with a sentence about the reason.
            handlers: creates what carries out the actions, and returns it.
        """
        self._core = core
        self._view = view
        self._worker = worker
        self._painter = painter
        self._ui = ui
        self._begin_with = start
        self._ask_for_model = ask_for_model
        self._handlers = handlers

    def begin(self, *, has_sidebar: bool) -> None:
        """Start, when the screen is laid out but not painted.

        Args:
            has_sidebar: whether the settings are shown beside the chat, so that they are part of the first frame.
        """
        screen = self._view.screen
        self._ui.start(self._view.area.read_kept())
        # Imports would delay what is still to be painted.
        self._worker.hold()
        # Asked for at once, so that a message sent before the first frame waits for the model.
        if self._begin_with.request is not None:
            self._core.loader.load(self._begin_with.request)
        if has_sidebar:
            self._view.sidebar.when_filled("release", self._plan_release)
        else:
            screen.call_after_refresh(self._plan_release)
        screen.set_timer(HOLD_S, self._release)
        screen.call_after_refresh(self._start)

    def _plan_release(self) -> None:
        self._ui.start(self._release_soon())

    async def _release_soon(self) -> None:
        await imported("tui.screens.chat.handlers")
        self._release()

    def _release(self) -> None:
        # They hear of the end of the load.
        self._handlers()
        self._worker.release()

    def _start(self) -> None:
        start = self._begin_with
        if start.notices:
            self._tell(start.notices)
        if start.opened is not None:
            self._handlers().chats.tell_opened(start.opened)
        if start.request is None:
            self._ask_for_model("Welcome. Choose a model to chat with.")
        self._core.writer.index_texts()
        self._ui.start(self._read_memory())

    async def _read_memory(self) -> None:
        await imported("psutil")
        self._painter.read_memory()

    def _tell(self, notices: Sequence[str]) -> None:
        """Show the problems found at the start in one notification. The log has all of them."""
        for notice in notices:
            _log.warning("%s", notice)
        shown = list(notices[:_MOST_NOTICES])
        if more := len(notices) - len(shown):
            shown.append(
                f"… and {more} more. Run `chat-tui config` to check the configuration, or see the log."
            )
        self._ui.tell("\n".join(shown), severity="warning")
