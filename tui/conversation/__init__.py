"""What a chat is: turns, the tree that they form, operations on it, and its JSON. No disk, no model, no screen."""

from tui.conversation.codec import Decoded
from tui.conversation.conversation import Conversation, UnknownTurnError, from_messages, title_from
from tui.conversation.parts import ChatFormatError
from tui.conversation.turn import (
    ASSISTANT,
    SYSTEM,
    USER,
    Generation,
    Message,
    ReplyStats,
    Status,
    Turn,
    new_id,
    now,
)

__all__ = [
    "ASSISTANT",
    "SYSTEM",
    "USER",
    "ChatFormatError",
    "Conversation",
    "Decoded",
    "Generation",
    "Message",
    "ReplyStats",
    "Status",
    "Turn",
    "UnknownTurnError",
    "from_messages",
    "new_id",
    "now",
    "title_from",
]
