"""The column of saved chats, shown if the terminal is wide enough."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual.containers import Vertical
from textual.timer import Timer

from tui.chat.core import Core
from tui.chat.live_reply import LiveReply
from tui.chat.session import Change, Changed
from tui.late import imported
from tui.sessions import SessionError

if TYPE_CHECKING:
    from tui.widgets.chat_list import ChatList

MOST: Final = 200
"""How many chats are listed. The searchable dialog lists all of them."""
_LATER_S: Final = 0.3
"""Changes within this time, in seconds, are shown together."""


class ChatsColumn(Vertical):
    """Lists the chats again whenever one changes, but only while it is visible."""

    DEFAULT_CSS = """
    ChatsColumn {
        width: 32; height: 1fr; padding: 0 0 0 1; background: $surface;
        & > Label { width: 1fr; height: 1; padding: 0 1; color: $text-muted; text-style: bold; }
    }
    """

    def __init__(
        self,
        core: Core,
        open_chat: Callable[[str], object],
        begin_chat: Callable[[], object],
        *,
        id: str | None = None,  # noqa: A002
    ) -> None:
        """Create it.

        Args:
            core: owns the chats.
            open_chat: opens the chat with a given ID.
            begin_chat: starts a new chat, for example because the open one is moved to the trash.
            id: the widget's ID.
        """
        super().__init__(id=id)
        self._core = core
        self._open = open_chat
        self._begin_new = begin_chat
        self._list: ChatList | None = None
        """Created after the first frame that shows the column."""
        self._is_begun = False
        self._timer: Timer | None = None
        self._trashed: list[tuple[str, str]] = []
        """The IDs and titles of the chats that were moved to the trash here, the last one last."""
        core.session.changed.listen(self._chat_changed)
        core.replies.ended.listen(self._reply_ended)
        core.drafts.changed.listen(lambda _none: self.look())

    def on_show(self) -> None:
        """Lay out the heading and the list when the column is first visible: on most terminals, it never is."""
        if self._is_begun:
            self.look()
        else:
            self._is_begun = True
            self.call_after_refresh(lambda: self._core.ui.start(self._fill()))

    async def _fill(self) -> None:
        await imported("tui.widgets.chat_list")
        from textual.widgets import Label

        from tui.widgets.chat_list import ChatList

        if self.is_attached:
            self._list = ChatList()
            await self.mount(Label("Chats"), self._list)
            self.look()

    def look(self) -> None:
        """List the chats soon."""
        if self.is_mounted and self.display and self._timer is None:
            self._timer = self.set_timer(_LATER_S, self._begin)

    def _chat_changed(self, changed: Changed) -> None:
        if changed.change in (Change.OPENED, Change.TITLE, Change.GROWN):
            self.look()

    def _reply_ended(self, _reply: LiveReply) -> None:
        self.look()

    def _begin(self) -> None:
        self._timer = None
        self._core.ui.start(self._read())

    async def _read(self) -> None:
        try:
            found = await self._core.writer.do(lambda store: store.list())
        except SessionError:
            # The dialog shows the error when the user opens the list of chats.
            return
        if self._list is None:
            # Shown when it is created.
            return
        from tui.widgets.chat_list import ChatRow

        drafts = self._core.drafts.chats
        rows = [
            ChatRow(
                one.id, one.title or one.first_words, one.updated_at, one.pinned, one.id in drafts
            )
            for one in found[:MOST]
            if not one.problem
        ]
        if self.is_attached:
            self._list.show(rows, self._core.session.conversation.id)

    def on_chat_list_chosen(self, event: ChatList.Chosen) -> None:
        """Open the chosen chat."""
        event.stop()
        self._open(event.chat_id)

    def on_chat_list_unwanted(self, event: ChatList.Unwanted) -> None:
        """Move a chat to the trash."""
        event.stop()
        if event.chat_id == self._core.session.conversation.id:
            self._begin_new()
        self._core.ui.start(self._trash(event.chat_id, event.title))

    async def _trash(self, chat_id: str, title: str) -> None:
        ui = self._core.ui
        try:
            await self._core.writer.do(lambda store: store.trash(chat_id))
        except SessionError as error:
            ui.tell(str(error), title="The chat was not moved", severity="error")
            return
        self._trashed.append((chat_id, title))
        self._can_restore()
        ui.tell(f"“{title}” is in the trash. {ui.way('column.untrash')} to restore it.")
        self.look()

    def on_chat_list_wanted_back(self, event: ChatList.WantedBack) -> None:
        """Restore the chat that was moved to the trash last."""
        event.stop()
        if not self._trashed:
            self._core.ui.tell("There is no chat to restore here.")
            return
        chat_id, title = self._trashed.pop()
        self._can_restore()
        self._core.ui.start(self._restore(chat_id, title))

    def _can_restore(self) -> None:
        if self._list is not None:
            self._list.can_restore = bool(self._trashed)

    async def _restore(self, chat_id: str, title: str) -> None:
        ui = self._core.ui
        try:
            await self._core.writer.do(lambda store: store.restore(chat_id))
        except SessionError as error:
            ui.tell(str(error), title="The chat was not restored", severity="error")
            return
        ui.tell(f"“{title}” was restored.")
        self.look()
