"""Keeps what somebody typed from steering the model: the texts of control tokens in a chat stay texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tui.conversation.turn import Message

_BREAK: Final = "\u200b"
"""A space without width: what it parts is no token any more, and looks as it did."""
_NOTHING: Final = re.compile(r"(?!)")


class ControlTokens:
    """The control tokens of one model."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take them.

        Args:
            texts: as the tokenizer knows them, for example `<|im_end|>`.
        """
        self._texts = frozenset(texts)
        longest_first = sorted((one for one in self._texts if len(one) > 1), key=len, reverse=True)
        found = "|".join(map(re.escape, longest_first))
        self._pattern = re.compile(found) if found else _NOTHING

    def has(self, text: str) -> bool:
        """Return whether a text is one of them."""
        return text in self._texts

    def as_text(self, message: Message) -> Message:
        """Return a message in which they are no tokens."""
        content, reasoning = map(self._broken, (message.content, message.reasoning))
        if (content, reasoning) == (message.content, message.reasoning):
            return message
        return replace(message, content=content, reasoning=reasoning)

    def _broken(self, text: str) -> str:
        return self._pattern.sub(lambda found: f"{found[0][0]}{_BREAK}{found[0][1:]}", text)
