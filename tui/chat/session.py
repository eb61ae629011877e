"""The open chat: the one owner of what was said in it, and of getting that onto the disk.

Every change goes through here, so that a chat that is read-only goes on as a copy, the system prompt in force becomes the chat's own,
and whoever shows the chat hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from enum import Enum, auto

from tui.chat.settings import Area, ChatSettings
from tui.chat.signal import Signal
from tui.chat.ui import Ui
from tui.conversation import Conversation, new_id
from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.sessions import Loaded, SessionConflictError, SessionError
from tui.sessions.writer import SessionWriter

NOT_SAVED_YET = "The chat is not saved yet"
"""The title of the message that a save has failed and will be tried again."""
_LONGEST_TITLE = 200
Operation = Callable[[Conversation], Conversation]


class Change(Enum):
    """What of the open chat is another."""

    OPENED = auto()
    """Another chat is open."""
    TURNS = auto()
    """Any of its turns."""
    GROWN = auto()
    """A turn was added at the end."""
    TURN = auto()
    """One turn."""
    TITLE = auto()
    """The title, or what stands beside it: that the chat is read-only, temporary or not saved."""


@dataclass(frozen=True, slots=True)
class Changed:
    """Says that the open chat is another.

    Attributes:
        change: what of it.
        turn_id: of `Change.TURN`: which one.
        follow: whether the end of the chat is what matters now.
    """

    change: Change
    turn_id: str = ""
    follow: bool = True


class ChatSession:
    """The open chat."""

    def __init__(
        self,
        writer: SessionWriter,
        settings: ChatSettings,
        ui: Ui,
        opened: Loaded | None = None,
    ) -> None:
        """Open a chat.

        Args:
            writer: does all work on chat files.
            settings: what the chat is set to.
            ui: who is told.
            opened: a chat to go on with; None for a new one.
        """
        self.changed: Signal[Changed] = Signal()
        self._writer = writer
        self._settings = settings
        self._ui = ui
        self._conversation = (
            opened.conversation
            if opened is not None
            else Conversation(system_prompt=settings.system_prompt)
        )
        self.read_only = opened.read_only if opened is not None else False
        self.temporary = False
        """A temporary chat is never written."""
        self._saving: set[asyncio.Future[bool]] = set()
        self._forks: dict[str, str] = {}
        """Chats that went on as a copy, and the ids of the copies."""
        settings.changed.listen(self._settings_changed)

    @property
    def conversation(self) -> Conversation:
        """What was said in the open chat."""
        return self._conversation

    @property
    def is_unsaved(self) -> bool:
        """Whether the disk has refused the chat's newest state."""
        return self._conversation.id in self._writer.failures

    def is_open(self, chat_id: str) -> bool:
        """Return whether a chat is open, under this id or as the copy that it went on as."""
        while chat_id in self._forks:
            chat_id = self._forks[chat_id]
        return chat_id == self._conversation.id

    # -- changing it

    def change(
        self,
        operation: Operation,
        change: Change = Change.TURNS,
        *,
        follow: bool = False,
        saves: bool = True,
    ) -> None:
        """Change the chat.

        Args:
            operation: returns the chat as it is to be.
            change: what of it is another then.
            follow: whether to show its end.
            saves: whether it is put on the disk; otherwise the caller does that.
        """
        self._prepare()
        self._become(operation(self._conversation), Changed(change, follow=follow))
        if saves:
            self.save()

    def amend(self, operation: Operation, change: Change, turn_id: str = "") -> None:
        """Write what a reply under way is due: no new change of the user's, so no copy of a read-only chat comes of it."""
        self._become(operation(self._conversation), Changed(change, turn_id))
        self.save()

    def navigate(self, operation: Operation) -> None:
        """Lead the active path elsewhere; a chat that is read-only stays so, and is not written."""
        self._become(operation(self._conversation), Changed(Change.TURNS, follow=False))
        if not self.read_only:
            self.save()

    def undo(self) -> str:
        """Undo the last change; return what it was, empty where there is none."""
        self.keep_prompt()
        if not self._conversation.can_undo:
            return ""
        label = self._conversation.history.undo[-1].label
        self._step(Conversation.undo)
        return label

    def withdraw(self) -> None:
        """Take the last change back for good, since its words are elsewhere now: redo does not bring it again."""
        self.keep_prompt()
        self._step(Conversation.withdraw)

    def redo(self) -> str:
        """Redo what was undone last; return what it is, empty where there is nothing."""
        self.keep_prompt()
        if not self._conversation.can_redo:
            return ""
        label = self._conversation.history.redo[-1].label
        self._step(Conversation.redo)
        return label

    def _step(self, operation: Operation) -> None:
        changed = operation(self._conversation)
        if self.read_only:
            self._prepare()
            changed = replace(changed, id=self._conversation.id)
        self._settings.show_prompt_of(changed)
        self.navigate(lambda _chat: changed)

    def rename(self, title: str) -> None:
        """Give the chat another title."""
        self._prepare()
        title = sanitize_line(title, _LONGEST_TITLE)
        self._become(self._conversation.rename(title), Changed(Change.TITLE))
        if self._conversation.turns:
            self.save()

    def take_facts(self, changed: Conversation) -> None:
        """Take over title, pin and tags of the chat, which were changed on the disk."""
        if changed.id == self._conversation.id:
            renamed = self._conversation.rename(changed.title)
            self._become(replace(renamed, extra=dict(changed.extra)), Changed(Change.TITLE))

    def keep_prompt(self) -> None:
        """Put into the chat what was typed as its system prompt, before something else takes the prompt's place."""
        changed = self._conversation.set_system_prompt(self._settings.system_prompt)
        if changed is not self._conversation and changed.turns and not self.read_only:
            self._conversation = changed
            self.save()

    def _settings_changed(self, area: Area) -> None:
        """Keep with a saved chat what it is set to, also where no reply follows; a copy of a read-only one is not worth that."""
        chat = self._conversation
        if area not in (Area.PARAMETERS, Area.TEMPLATE) or not chat.turns or self.read_only:
            return
        changed = chat.with_settings(self._settings.for_file(chat, None))
        if changed is not chat:
            self._conversation = changed
            self.save()

    def replace_prompt(self, text: str) -> None:
        """Have another system prompt from the next reply on; what was typed as the one before stays with what came of it."""
        self.keep_prompt()
        self._settings.set_prompt(text)

    def _prepare(self) -> None:
        """Prepare for a change by the user."""
        if self.read_only:
            self._fork_whole("This chat is read-only, so your changes go to a copy.")
        self._conversation = self._conversation.set_system_prompt(self._settings.system_prompt)

    def _become(self, conversation: Conversation, changed: Changed) -> None:
        self._conversation = conversation
        self.changed.emit(changed)

    # -- another chat

    def open(self, opened: Loaded, *, temporary: bool = False) -> None:
        """Go on with another chat; the one before gives its lock back.

        What was under way in that one is to be ended first.
        """
        self.keep_prompt()
        left = self._conversation.id
        if left != opened.conversation.id:
            self._writer.ask(lambda store: store.unlock(left))
        self._conversation = opened.conversation
        self.read_only = opened.read_only
        self.temporary = temporary
        self._settings.open(opened.conversation)
        self.changed.emit(Changed(Change.OPENED))

    def _fork_whole(self, reason: str) -> None:
        """Go on with a copy of the whole chat under another id."""
        chat = self._conversation
        self._writer.forget(chat.id)
        title = f"{chat.title} (copy)" if chat.title else ""
        self.read_only = False
        self._ui.tell(reason, severity="warning")
        copy = replace(chat, id=new_id(), title=title)
        self._forks[chat.id] = copy.id
        self._become(copy, Changed(Change.TITLE))

    # -- on the disk

    def save(self) -> asyncio.Future[bool]:
        """Put the chat on the disk behind the screen; the answer tells whether it is there."""
        if self.temporary:
            saved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            saved.set_result(False)
            return saved
        chat = self._conversation
        saving = asyncio.ensure_future(self._saved(chat, self._writer.save(chat)))
        self._saving.add(saving)
        saving.add_done_callback(self._saving.discard)
        return saving

    async def settled(self) -> None:
        """Wait until every save that was asked for is done or has failed, those as a copy included."""
        while self._saving:
            await asyncio.gather(*self._saving)

    async def _saved(self, chat: Conversation, future: Future[None]) -> bool:
        try:
            await asyncio.wrap_future(future)
        except SessionConflictError as error:
            return await self._save_as_copy(chat, error.message)
        except SessionError as error:
            self._ui.tell(str(error), title=NOT_SAVED_YET, severity="error")
            return False
        was_remade, kept = await self._writer.do(
            lambda store: (store.take_remade(), store.take_kept())
        )
        self._tell_of_file(was_remade=was_remade, kept=kept)
        return True

    def _tell_of_file(self, *, was_remade: bool, kept: str) -> None:
        if was_remade:
            self._ui.tell(
                "The folder with your chats was missing. It was created again, but contains only this chat.",
                severity="warning",
            )
        if kept:
            self._ui.tell(
                f"The chat's file contained data that chat-tui can't show. The original is kept as {kept}.",
                severity="warning",
            )

    async def _save_as_copy(self, chat: Conversation, why: str) -> bool:
        """Keep a chat whose file somebody else has written under another id, also when it is not open any more."""
        if chat.id in self._forks:
            # An earlier save of it has met the same file; what it held is in the copy.
            return await self.save() if self.is_open(chat.id) else True
        if self._conversation.id == chat.id:
            self._fork_whole(f"{why} This window continues with a separate copy.")
            return await self.save()
        copy = replace(chat, id=new_id(), title=f"{chat.title or 'Chat'} (copy)")
        self._forks[chat.id] = copy.id
        self._writer.forget(chat.id)
        self._ui.tell(f"{why} Your changes are kept as “{copy.title}”.", severity="warning")
        return await self._saved(copy, self._writer.save(copy))
