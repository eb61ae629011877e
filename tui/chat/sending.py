"""What becomes of a message when Enter is pressed: sent, kept until the reply under way has ended, or given back."""

from __future__ import annotations

from tui.chat.drafts import Drafts, SentHistory, draft_key
from tui.chat.live_reply import LiveReply
from tui.chat.loader import ModelLoader
from tui.chat.outbox import Outbox, Outgoing
from tui.chat.replies import ReplyRunner
from tui.chat.session import ChatSession
from tui.chat.side_work import SideWork
from tui.chat.signal import Signal
from tui.chat.ui import Ui
from tui.conversation import SEND, Conversation, Status
from tui.settings.history import Attachment, Sent


class Sender:
    """Sends messages in the chat that they were written in, and in no other."""

    def __init__(
        self,
        session: ChatSession,
        loader: ModelLoader,
        replies: ReplyRunner,
        side: SideWork,
        drafts: Drafts,
        sent: SentHistory,
        ui: Ui,
    ) -> None:
        self._session = session
        self._loader = loader
        self._replies = replies
        self._side = side
        self._drafts = drafts
        self._sent = sent
        self._ui = ui
        self._last: tuple[str, Outgoing] | None = None
        """The message that was sent last, and the turn that it became."""
        self.outbox = Outbox()
        self.waiting: Signal[Outgoing | None] = Signal()
        """What waits to be sent is another."""
        self.returned: Signal[Outgoing] = Signal()
        """A message could not be sent: it belongs into the composer again, in front of what was written since."""
        replies.ended.listen(self._reply_ended)
        replies.given_up.listen(lambda _none: self.take_back_waiting())

    @property
    def must_wait(self) -> bool:
        """Whether a message can't be sent before something else has ended."""
        return self._replies.is_due or self._side.blocks

    @property
    def has_model(self) -> bool:
        """Whether there is a model to send to, or will be soon."""
        return self._loader.ready or self._loader.loading

    @property
    def can_send(self) -> bool:
        """Whether a message has somewhere to go, now or later."""
        return self.must_wait or self.has_model

    def outgoing(self, typed: str, attachments: tuple[Attachment, ...] = ()) -> Outgoing:
        """Return a message that is written in the open chat now."""
        chat = self._session.conversation
        key = "" if self._session.temporary else draft_key(chat)
        return Outgoing(typed, attachments, chat.id, key)

    def dispatch(self, outgoing: Outgoing) -> None:
        """Send a message in the chat that it was written in; where that is not open any more, give it back."""
        if not self._session.is_open(outgoing.chat_id):
            self.give_back(outgoing)
            return
        self._note_sent(outgoing)
        if self.must_wait:
            self.outbox.wait(outgoing)
            self.waiting.emit(self.outbox.waiting)
        else:
            self.send(outgoing)

    def send(self, outgoing: Outgoing) -> None:
        """Have a message answered now."""

        def add(chat: Conversation) -> Conversation:
            changed = chat.add_user(outgoing.text, *outgoing.files)
            self._last = (changed.path[-1].id, outgoing)
            return changed

        self._replies.send(add)

    def _note_sent(self, outgoing: Outgoing) -> None:
        """Keep what is sent for the Up key and the search."""
        if self._session.temporary:
            # The draft of chats that have not begun is not this chat's.
            return
        # Before the chat may go on as a copy, under another id.
        self._drafts.drop(draft_key(self._session.conversation))
        if outgoing.typed.strip():
            self._sent.add(Sent(outgoing.typed, outgoing.chat_id))

    def give_back(self, outgoing: Outgoing) -> None:
        """Put a message back to where it was written: into the composer, or among the drafts of a chat that was left."""
        if self._session.is_open(outgoing.chat_id):
            self.returned.emit(outgoing)
        elif outgoing.draft_key:
            self._drafts.put_in_front(outgoing.draft_key, outgoing)
            self._ui.tell(
                "You opened another chat before your message was sent. It is kept as a draft in the chat where you wrote it."
            )
        else:
            self.returned.emit(outgoing)
            self._ui.tell(
                "You opened another chat before your message was sent. It is in the message box here."
            )

    def take_back_waiting(self) -> bool:
        """Give back the message that waits; return whether there was one."""
        outgoing = self.outbox.take()
        if outgoing is not None:
            self.waiting.emit(None)
            self.returned.emit(outgoing)
        return outgoing is not None

    def _withdraw(self, reply: LiveReply) -> None:
        """Take a message that fits no context out of the chat again, and give it back to be shortened."""
        chat, last = self._session.conversation, self._last
        is_newest = bool(chat.history.undo) and chat.history.undo[-1].label == SEND
        if last is None or not is_newest or reply.sent[-1:] != (last[0],):
            return
        self._last = None
        self._session.withdraw()
        self.returned.emit(last[1])

    def _reply_ended(self, reply: LiveReply) -> None:
        """Send the message that waits after a reply that ended well; otherwise give it back."""
        if self._replies.is_leaving:
            return
        if reply.is_hopeless:
            self._withdraw(reply)
        has_said = reply.overflow is None and reply.status in (Status.COMPLETE, Status.TRUNCATED)
        outgoing = self.outbox.take() if has_said and self.has_model else None
        if outgoing is None:
            self.take_back_waiting()
        else:
            self.waiting.emit(None)
            self.send(outgoing)
