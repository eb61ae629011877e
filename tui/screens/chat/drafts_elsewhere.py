"""Which other chats hold a draft, for the screen of a chat that has not begun."""

from __future__ import annotations

from tui.chat.core import Core
from tui.chat.session import Change, Changed
from tui.chat.signal import Signal
from tui.sessions import SessionError


class DraftsElsewhere:
    """Knows how many other chats hold a draft, and the title of the one that was used last. It looks only while the open chat has
    no turns.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.count = 0
        """How many saved chats besides the open one hold a draft."""
        self.title = ""
        """The title of the one among them that was used last, untrusted."""
        self.changed: Signal[None] = Signal()
        core.drafts.changed.listen(lambda _none: self._look())
        core.session.changed.listen(self._chat_changed)

    def _chat_changed(self, changed: Changed) -> None:
        if changed.change is Change.OPENED:
            self._look()

    def _look(self) -> None:
        chat = self._core.session.conversation
        others = self._core.drafts.chats - {chat.id}
        if not others:
            self._set(0, "")
        elif not chat.turns:
            self._core.ui.start(self._read(others))

    async def _read(self, others: frozenset[str]) -> None:
        try:
            found = await self._core.writer.do(lambda store: store.list())
        except SessionError:
            # The dialog shows the error when the user opens the list of chats.
            return
        kept = [one for one in found if one.id in others]
        newest = max(kept, key=lambda one: one.updated_at, default=None)
        self._set(len(kept), newest.title if newest is not None else "")

    def _set(self, count: int, title: str) -> None:
        if (count, title) != (self.count, self.title):
            self.count, self.title = count, title
            self.changed.emit(None)
