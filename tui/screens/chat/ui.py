"""How the core turns to the person in front of the chat screen: passing messages and dialogs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, TypeVar

from textual.geometry import Region
from textual.notifications import Notification, Notify
from textual.screen import Screen

from tui.actions import action
from tui.chat.ui import Answer
from tui.sanitize import sanitize, sanitize_line
from tui.screens.ask import Ask, AskText
from tui.screens.closed_once import ClosedOnce
from tui.screens.path_dialog import PathDialog
from tui.screens.picker import Entry, Picker
from tui.widgets.bindings import way_of

Result = TypeVar("Result")

_WIDEST: Final = 76
"""Cells of a line that is still read at a glance."""
NOTICE_S: Final = 5.0
"""How long a message stays that asks for nothing to be done."""
_PROBLEM_S: Final = 12.0
_MOST_TOLD: Final = 3
"""Problems that stand beside each other until the user has gone on; quiet words give way."""
_SEEN_S: Final = 1.5
_READ_S: Final = 4.0
"""How long a message, and one about a problem, stays at least: an action that comes sooner was on its way already."""


@dataclass
class _Told:
    """A passing message, already safe to show, and until when on the monotonic clock it stands."""

    text: str
    title: str
    severity: str
    until: float = 0.0
    since: float = field(default_factory=monotonic)

    def replaces(self, older: _Told) -> bool:
        """Whether the older one says nothing any more: a quiet word when anything follows, an error when one of its origin does."""
        if older.severity == "information" or older.text == self.text:
            return True
        return self.severity == older.severity == "error" and self.title == older.title

    def notification(self) -> Notification:
        """Return what Textual shows."""
        return Notification(
            self.text,
            self.title,
            self.severity,  # type: ignore[arg-type]
            timeout=max(0.1, self.until - monotonic()),
        )


class ScreenUi:
    """Tells and asks over a screen."""

    def __init__(self, screen: Screen[Any], type_on: Callable[[str], object]) -> None:
        """Make it.

        Args:
            screen: what is told and asked over.
            type_on: takes what somebody goes on typing when a question comes up.
        """
        self._screen = screen
        self._type_on = type_on
        self._told: list[_Told] = []
        self._shown: list[Notification] = []
        """How Textual shows what is told."""
        self._is_due = False

    def tell(
        self,
        text: str,
        *,
        title: str = "",
        severity: str = "information",
        is_shown: bool = False,
    ) -> None:
        """Show a passing message; text of any origin is safe here. It takes the place of a quiet one,
        an error that of an error with the same title. What `is_shown` on the screen too passes sooner.
        """
        new = _Told(sanitize(text), sanitize_line(title), severity)
        is_quick = is_shown or severity == "information"
        new.until = monotonic() + (NOTICE_S if is_quick else _PROBLEM_S)
        self._told = [told for told in self._told if told.until > monotonic()]
        kept = [told for told in self._told if not new.replaces(told)][-(_MOST_TOLD - 1) :]
        self._told = [*kept, new]
        self._show_told()

    def acted(self) -> None:
        """Take away the messages that were there long enough to be read: the user goes on."""
        now = monotonic()
        self._told = [told for told in self._told if told.until > now]
        kept = [
            told
            for told in self._told
            if now - told.since < (_SEEN_S if told.severity == "information" else _READ_S)
        ]
        if len(kept) < len(self._told):
            self._told = kept
            self._show_told()

    def _show_told(self) -> None:
        """Show what is told now, once what was told before has got to the screen: Textual shows a message by and by."""
        if not self._is_due:
            self._is_due = True
            self._screen.app.call_later(self._put_up)

    def _put_up(self) -> None:
        self._is_due = False
        shown, self._shown = self._shown, [told.notification() for told in self._told]
        # Textual has no public way to take away some and leave the app's own.
        for old in shown:
            self._screen.app._unnotify(old)  # noqa: SLF001
        for new in self._shown:
            self._screen.app.post_message(Notify(new))

    def stand_above(self, region: Region) -> None:
        """Have messages stand above a region of the screen, in its columns."""
        for rack in self._screen.query("ToastRack"):
            width = max(20, min(_WIDEST, region.width - 1))
            rack.styles.width = width
            below = self._screen.size.height - region.y
            rack.styles.margin = (0, 0, below, max(0, region.right - 1 - width))

    def way(self, action_id: str) -> str:
        """Return how an action is done: `Press F8`, with the key in force, else `Type /undo`."""
        return way_of(self._screen.app, action(action_id))

    def start(self, work: Coroutine[Any, Any, object]) -> object:
        """Begin work that goes on beside everything else; an exception in it ends the app, as one anywhere does."""
        # Without a description Textual makes one of all that is passed, the whole chat included.
        return self._screen.run_worker(work, group="core", description="core")

    async def show(self, dialog: ClosedOnce[Result]) -> Result | None:
        """Show a dialog and return what it is closed with."""
        closed: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()

        def close(result: Result | None) -> None:
            if not closed.done():
                closed.set_result(result)

        self._screen.app.push_screen(dialog, close)
        return await closed

    def open(self, dialog: Screen[Any]) -> None:
        """Show a dialog of which nothing comes."""
        self._screen.app.push_screen(dialog)

    async def ask(self, title: str, text: str, answers: Sequence[Answer]) -> str | None:
        """Return the id of the answer to a question; None where it was left without one."""
        return await self.show(Ask(title, text, answers, type_on=self._type_on))

    async def text(self, title: str, value: str = "", **options: Any) -> str:
        """Return a text that is asked for; empty for none. The options are those of `AskText`."""
        return await self.show(AskText(title, value, **options)) or ""

    async def path(self, title: str, value: str = "", **options: Any) -> str:
        """Return a path that is asked for; empty for none. The options are those of `PathDialog`."""
        return await self.show(PathDialog(title, value, **options)) or ""

    async def choose(self, title: str, entries: Sequence[Entry], *, empty: str = "") -> str:
        """Return the id of one of some entries; empty where none was chosen.

        Args:
            title: what they are.
            entries: in the order in which they are shown.
            empty: what is said where there are none.
        """
        picker = Picker(title, entries, empty=empty) if empty else Picker(title, entries)
        return await self.show(picker) or ""

    def suspend(self) -> AbstractContextManager[None]:
        """Put the screen away while another program has the terminal."""
        return self._screen.app.suspend()
