"""A message on its way: as it was typed, with what goes with it and the chat that it was written in."""

from __future__ import annotations

from dataclasses import replace

from tui.commands import message_text
from tui.conversation.parts import FilePart, fenced
from tui.dataclass import dataclass
from tui.settings.history import Attachment


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that was sent or is about to be.

    Attributes:
        typed: what stood in the composer, a doubled sign at its beginning included.
        attachments: the texts that go with it.
        chat_id: the chat that it was written in.
        draft_key: what it is kept under if that chat is not open any more; empty where it can't be kept, as for a chat that has
            not begun or is temporary.
    """

    typed: str
    attachments: tuple[Attachment, ...] = ()
    chat_id: str = ""
    draft_key: str = ""

    @property
    def text(self) -> str:
        """What was written, as it is sent."""
        return message_text(self.typed)

    @property
    def files(self) -> tuple[FilePart, ...]:
        """What goes with it, as parts of the turn that it becomes."""
        return tuple(FilePart(one.name, one.text) for one in self.attachments)

    @property
    def message(self) -> str:
        """What the model is sent: the text, and behind it each attachment in a fence that its text can't close."""
        files = [fenced(one.name, one.text) for one in self.attachments]
        return "\n\n".join([*([self.text] if self.text.strip() else []), *files])

    def followed_by(self, other: Outgoing) -> Outgoing:
        """Return both as one message."""
        # Only at the very beginning does a sign have to be doubled.
        texts = [text for text in (self.typed, message_text(other.typed)) if text.strip()]
        typed = "\n\n".join(texts) if self.typed.strip() else other.typed
        attachments = (*self.attachments, *other.attachments)
        return replace(self, typed=typed, attachments=attachments)

    @property
    def label(self) -> str:
        """What stands for it on one line."""
        return " ".join([self.typed, *(f"[{one.name}]" for one in self.attachments)]).strip()


class Outbox:
    """The message that waits until the reply under way has ended."""

    def __init__(self) -> None:
        self._waiting: Outgoing | None = None

    @property
    def waiting(self) -> Outgoing | None:
        """What waits; None for nothing."""
        return self._waiting

    def wait(self, outgoing: Outgoing) -> None:
        """Have a message wait, behind the one that waits already if there is one."""
        self._waiting = self._waiting.followed_by(outgoing) if self._waiting else outgoing

    def take(self) -> Outgoing | None:
        """Return what waits, and have nothing wait."""
        taken, self._waiting = self._waiting, None
        return taken
