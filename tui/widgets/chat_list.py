"""The saved chats in a narrow column: a line for each, grouped by the day of its last use."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final

from textual import on
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import var
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.widgets.bindings import bindings

_TITLE_LIMIT: Final = 80
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class ChatRow:
    """One chat.

    Attributes:
        id: the chat's ID.
        title: the title, untrusted.
        at: the Unix time of its last change, in seconds; 0 if unknown.
        is_pinned: whether it stays at the top.
        has_draft: whether something is written in it that was not sent.
    """

    id: str
    title: str
    at: float = 0.0
    is_pinned: bool = False
    has_draft: bool = False


class ChatList(OptionList):
    """Lists chats. Posts `Chosen` for a chat that is clicked or entered, `Unwanted` for one to move to the trash, and `WantedBack` to
    restore the one that was moved there last.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.COLUMN)

    DEFAULT_CSS: ClassVar[str] = """
    ChatList {
        height: 1fr; width: 1fr; border: none; padding: 0; background: $surface;
        scrollbar-size-vertical: 1; text-wrap: nowrap; text-overflow: ellipsis;
        &:focus { border: none; background-tint: $foreground 0%; }
        & > .option-list--option { padding: 0 1; }
        & > .option-list--option-disabled { color: $text-muted; text-style: none; }
        & > .option-list--option-highlighted { color: $foreground; background: $surface-lighten-1; text-style: none; }
        &:focus > .option-list--option-highlighted { color: $foreground; background: $primary 30%; text-style: none; }
    }
    """

    @dataclass
    class Chosen(Message):
        """The user wants to open a chat."""

        chat_id: str

    @dataclass
    class Unwanted(Message):
        """The user wants to move a chat to the trash. The title is as displayed."""

        chat_id: str
        title: str

    class WantedBack(Message):
        """The user wants to restore the chat that was moved to the trash last."""

    can_restore: var[bool] = var(False, bindings=True)
    """Whether there is a chat to restore, which the line of keys says."""

    has_highlight: var[bool] = var(False, bindings=True)
    """Whether there is a chat for the keys to act on, which the line of keys says."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, markup=False)
        self._titles: dict[str, str] = {}
        self._shown: tuple[object, ...] = ()
        """The rows, the open chat, and the day, because the headings are relative to it."""

    def show(self, rows: Sequence[ChatRow], current: str) -> None:
        """List chats in the given order, and mark the open one."""
        shown = (tuple(rows), current, time.localtime()[:3])
        if self._shown == shown:
            return
        self._shown = shown
        self._titles = {row.id: _title(row) for row in rows}
        before, highlighted = self.highlighted, self.highlighted_option
        wanted = highlighted.id if self.has_focus and highlighted else current
        self.set_options(_options(rows, current))
        if wanted and any(row.id == wanted for row in rows):
            self.highlighted = self.get_option_index(wanted)
        elif self.has_focus:
            # The chat is gone, or the list was empty. Highlight the neighbor, or else the first chat.
            places = [at for at, one in enumerate(self.options) if not one.disabled]
            below = [at for at in places if at >= (before or 0)]
            self.highlighted = next(iter([*below, *reversed(places)]), None)

    def on_focus(self) -> None:
        """Highlight the first chat if none is highlighted, so that the keys act on one."""
        if self.highlighted is None:
            self.action_first()

    def watch_highlighted(self, highlighted: int | None) -> None:
        """Tell whether the keys act on a chat."""
        super().watch_highlighted(highlighted)
        self.has_highlight = highlighted is not None

    def action_trash(self) -> None:
        """Post `Unwanted` for the highlighted chat."""
        option = self.highlighted_option
        if option is not None and option.id is not None:
            title = self._titles.get(option.id, "")
            self.post_message(self.Unwanted(option.id, title))

    def action_untrash(self) -> None:
        """Post `WantedBack`, also if there is nothing to restore: the key must not undo something in the open chat."""
        self.post_message(self.WantedBack())

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_id is not None:
            self.post_message(self.Chosen(event.option_id))


def _options(rows: Iterable[ChatRow], current: str) -> Iterator[Option]:
    heading = ""
    for row in rows:
        if (named := _heading(row)) != heading:
            if heading:
                yield Option("", disabled=True)
            yield Option(Content.styled(named, "$text-muted"), disabled=True)
            heading = named
        title = _title(row)
        is_open = row.id == current
        # The draft of the open chat is on the screen.
        mark = (
            ("● ", "$text-success")
            if is_open
            else ("✎ ", "$text-warning")
            if row.has_draft
            else ("  ", "")
        )
        yield Option(Content.assemble(mark, (title, "bold" if is_open else "")), id=row.id)


def _title(row: ChatRow) -> str:
    return sanitize_line(row.title, _TITLE_LIMIT) or "Untitled"


def _heading(row: ChatRow) -> str:
    """Return the heading that a chat belongs under."""
    if row.is_pinned:
        return "Pinned"
    now = time.localtime()
    midnight = time.mktime((*now[:3], 0, 0, 0, 0, 0, -1))
    for name, since in (("Today", 0), ("Yesterday", 1), ("Last 7 days", 7), ("Last 30 days", 30)):
        if row.at >= midnight - since * _DAY_S:
            return name
    return "Older"
