"""How the core reaches the user of the chat screen: notifications and dialogs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

from textual.geometry import Region
from textual.notifications import Notification, Notify
from textual.screen import Screen

from tui.actions import action
from tui.chat.ui import Answer
from tui.dataclass import dataclass
from tui.sanitize import sanitize, sanitize_line
from tui.widgets.bindings import way_of

if TYPE_CHECKING:
    from tui.screens.closed_once import ClosedOnce
    from tui.screens.picker import Entry

Result = TypeVar("Result")

_WIDEST: Final = 76
"""The longest line, in cells, that can be read at a glance."""
NOTICE_S: Final = 5.0
"""How long a notification stays that needs no action, in seconds."""
_PROBLEM_S: Final = 12.0
_MOST_NOTICES: Final = 3
"""How many problems are shown at the same time until the user acts. Other notifications make room for them."""
_SEEN_S: Final = 1.5
_READ_S: Final = 4.0
"""How long a notification, and one about a problem, stays at least, in seconds. An action before that was already on its way."""


@dataclass
class _Notice:
    """A notification with text that is safe to show, and the monotonic time when it expires."""

    text: str
    title: str
    severity: str
    until: float = 0.0
    since: float = field(default_factory=monotonic)

    def replaces(self, older: _Notice) -> bool:
        """Whether the older notification is obsolete: an informational one always is, an error if the new one has the same
        title.
        """
        if older.severity == "information" or older.text == self.text:
            return True
        return self.severity == older.severity == "error" and self.title == older.title

    def notification(self) -> Notification:
        """Return Textual's form of the notification."""
        return Notification(
            self.text,
            self.title,
            self.severity,  # type: ignore[arg-type]
            timeout=max(0.1, self.until - monotonic()),
        )


class ScreenUi:
    """Notifies and asks on a screen."""

    def __init__(self, screen: Screen[Any], type_on: Callable[[str], object]) -> None:
        """Create it.

        Args:
            screen: the screen below notifications and dialogs.
            type_on: receives text that the user keeps typing when a question or a dialog without a field appears.
        """
        self._screen = screen
        self._type_on = type_on
        self._notices: list[_Notice] = []
        self._shown: list[Notification] = []
        """The notifications that Textual shows now."""
        self._is_due = False

    def tell(
        self,
        text: str,
        *,
        title: str = "",
        severity: str = "information",
        is_shown: bool = False,
    ) -> None:
        """Show a notification; text from any source is safe. It replaces informational ones, and an error replaces an error with
        the same title. With `is_shown`, the text is visible on the screen too, and the notification expires sooner.
        """
        new = _Notice(sanitize(text), sanitize_line(title), severity)
        is_quick = is_shown or severity == "information"
        new.until = monotonic() + (NOTICE_S if is_quick else _PROBLEM_S)
        self._notices = [notice for notice in self._notices if notice.until > monotonic()]
        kept = [notice for notice in self._notices if not new.replaces(notice)][
            -(_MOST_NOTICES - 1) :
        ]
        self._notices = [*kept, new]
        self._show_notices()

    def acted(self) -> None:
        """Remove the notifications that were shown long enough to be read, because the user has acted."""
        now = monotonic()
        self._notices = [notice for notice in self._notices if notice.until > now]
        kept = [
            notice
            for notice in self._notices
            if now - notice.since < (_SEEN_S if notice.severity == "information" else _READ_S)
        ]
        if len(kept) < len(self._notices):
            self._notices = kept
            self._show_notices()

    def left_chat(self) -> None:
        """Remove notifications about the chat that is being left. Errors stay, because they may be about saving it."""
        kept = [notice for notice in self._notices if notice.severity == "error"]
        if len(kept) < len(self._notices):
            self._notices = kept
            self._show_notices()

    def _show_notices(self) -> None:
        """Show the current notifications, after the previous ones have reached the screen: Textual shows them with a delay."""
        if not self._is_due:
            self._is_due = True
            self._screen.app.call_later(self._put_up)

    def _put_up(self) -> None:
        self._is_due = False
        shown, self._shown = self._shown, [notice.notification() for notice in self._notices]
        # Textual has no public way to remove some notifications and keep the app's own.
        for old in shown:
            self._screen.app._unnotify(old)  # noqa: SLF001
        for new in self._shown:
            self._screen.app.post_message(Notify(new))

    def stand_above(self, region: Region) -> None:
        """Place notifications above a region of the screen, in its columns."""
        # A dialog has notifications of its own.
        for rack in [one for on in self._screen.app.screen_stack for one in on.query("ToastRack")]:
            width = max(20, min(_WIDEST, region.width - 1))
            rack.styles.width = width
            below = self._screen.size.height - region.y
            rack.styles.margin = (0, 0, below, max(0, region.right - 1 - width))

    def way(self, action_id: str) -> str:
        """Return how to run an action: `Press F8` with the key in force, or else `Type /undo`."""
        return way_of(self._screen.app, action(action_id))

    def start(self, work: Coroutine[Any, Any, object]) -> object:
        """Start work in the background. An exception in it ends the app, like any other."""
        # Without a description, Textual builds one from all arguments, the whole chat included.
        return self._screen.run_worker(work, group="core", description="core")

    async def show(self, dialog: ClosedOnce[Result]) -> Result | None:
        """Show a dialog and return its result."""
        closed: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()

        def close(result: Result | None) -> None:
            if not closed.done():
                closed.set_result(result)

        self._have_typed_on(dialog)
        self._screen.app.push_screen(dialog, close)
        return await closed

    def open(self, dialog: Screen[Any]) -> None:
        """Show a dialog that has no result."""
        self._have_typed_on(dialog)
        self._screen.app.push_screen(dialog)

    def _have_typed_on(self, dialog: Screen[Any]) -> None:
        from tui.screens.reading_dialog import ReadingDialog

        if isinstance(dialog, ReadingDialog):
            dialog.type_on = self._type_on

    async def ask(
        self, title: str, text: str, answers: Sequence[Answer], *, interrupts: bool = False
    ) -> str | None:
        """Return the ID of the answer to a question; None if the user leaves it unanswered. See `tui.chat.ui.Ui`."""
        from tui.screens.ask import Ask

        dialog = Ask(title, text, answers, type_on=self._type_on, interrupts=interrupts)
        return await self.show(dialog)

    async def text(self, title: str, value: str = "", **options: Any) -> str:
        """Return a text that the user enters; empty if none. The options are those of `AskText`."""
        from tui.screens.ask import AskText

        return await self.show(AskText(title, value, **options)) or ""

    async def path(self, title: str, value: str = "", **options: Any) -> str:
        """Return a path that the user enters; empty if none. The options are those of `PathDialog`."""
        from tui.screens.path_dialog import PathDialog

        return await self.show(PathDialog(title, value, **options)) or ""

    async def choose(self, title: str, entries: Sequence[Entry], *, empty: str = "") -> str:
        """Return the ID of the chosen entry; empty if none was chosen.

        Args:
            title: the title of the dialog.
            entries: in the order in which they are shown.
            empty: the sentence to show if there are none.
        """
        from tui.screens.picker import Picker

        picker = Picker(title, entries, empty=empty) if empty else Picker(title, entries)
        return await self.show(picker) or ""

    def suspend(self) -> AbstractContextManager[None]:
        """Suspend the app while another program uses the terminal."""
        return self._screen.app.suspend()
