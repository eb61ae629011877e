"""The chat data model: turns, the tree they form, operations on it, and its JSON. No disk, model, or screen access.

The JSON is in `codec`, which is imported by who reads or writes it: a chat that begins does neither.
"""

from tui.conversation.conversation import (
    SEND,
    Conversation,
    UnknownTurnError,
    from_messages,
    title_from,
)
from tui.conversation.parts import (
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
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
    "SEND",
    "SYSTEM",
    "USER",
    "Conversation",
    "FilePart",
    "Generation",
    "ImagePart",
    "Message",
    "Part",
    "ReasoningPart",
    "ReplyStats",
    "Status",
    "TextPart",
    "ToolCallPart",
    "ToolResultPart",
    "Turn",
    "UnknownPart",
    "UnknownTurnError",
    "from_messages",
    "new_id",
    "now",
    "title_from",
]
