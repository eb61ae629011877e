"""What makes two imports of a chat the same chat: what was said in it, and what follows what. No times, no names, no ids."""

from __future__ import annotations

import hashlib
import json

from tui.conversation.content import encode_part
from tui.conversation.conversation import Conversation

_ID_LENGTH = 32


def content_id(chat: Conversation) -> str:
    """Return an id for a chat that only depends on its turns and its system prompt, in the form of all ids of chats."""
    digest = hashlib.sha256(b"chat")
    places: dict[str | None, int] = {None: -1}
    pending = [*reversed(chat.children(None))]
    digest.update(json.dumps(chat.system_prompt).encode())
    while pending:
        turn = pending.pop()
        places[turn.id] = len(places)
        said = [places[turn.parent], turn.role, turn.text, turn.reasoning]
        said += map(encode_part, turn.others)
        digest.update(json.dumps(said, default=str).encode())
        pending += reversed(chat.children(turn.id))
    return digest.hexdigest()[:_ID_LENGTH]
