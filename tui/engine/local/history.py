"""Detects when a chat template rewrites earlier replies, for example by omitting earlier reasoning.

What comes after such a place has to be computed again each turn, and the user should know why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tui.conversation.turn import ASSISTANT, Message
from tui.dataclass import dataclass
from tui.engine.local.prefix_cache import common_prefix

_SLACK_TOKENS: Final = 2
"""The last token of a reply, and the one that ends it, may be cut differently."""


@dataclass(frozen=True, slots=True)
class LastReply:
    """The most recent reply.

    Attributes:
        messages: what it was made from.
        answer: what it said, without its reasoning.
        ids: of prompt and reply.
    """

    messages: tuple[Message, ...] = ()
    answer: str = ""
    ids: tuple[int, ...] = ()

    def rewritten_by(self, messages: Sequence[Message], ids: Sequence[int]) -> int:
        """Return how many ids of this reply a later prompt has in another form; 0 when it does not go on from this reply.

        Args:
            messages: of the later prompt.
            ids: of the later prompt.
        """
        before = len(self.messages)
        goes_on = (
            before
            and len(messages) > before + 1
            and tuple(messages[:before]) == self.messages
            and messages[before].role == ASSISTANT
            and messages[before].content == self.answer
        )
        if not goes_on:
            return 0
        different = len(self.ids) - common_prefix(self.ids, ids)
        return different if different > _SLACK_TOKENS else 0
