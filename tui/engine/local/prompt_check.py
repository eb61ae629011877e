"""Checks that the messages are in a prompt. Templates are third-party programs; some silently omit what they don't support.

They may trim a text, write it as JSON or HTML, or change its case; a text counts as there when its letters are, in their order.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from typing import Final

from tui.conversation.turn import SYSTEM, USER, Message
from tui.engine.local.chat_shape import DEVELOPER

_FEWEST_LETTERS: Final = 8
"""Fewer are in any text."""


class PromptText:
    """The text of a prompt, to be looked at for messages."""

    def __init__(self, text: str, commands: Collection[str] = ()) -> None:
        """Look at a prompt.

        Args:
            text: of the prompt.
            commands: what a template may take out of what was said, as it obeys it: `/no_think`.
        """
        self._plain = _Reading(text)
        longest_first = sorted(commands, key=len, reverse=True)
        self._commands = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def left_out(self, messages: Sequence[Message]) -> Iterator[Message]:
        """Yield the messages whose words are not there; it takes a moment for each of them."""
        return (message for message in messages if not self._holds(message.content))

    def _holds(self, said: str) -> bool:
        if self._finds(said):
            return True
        rest = self._commands.sub("", said)
        return rest != said and (not rest.strip() or self._finds(rest))

    def _finds(self, said: str) -> bool:
        if self._plain.finds(said.strip()):
            return True
        writings = list(_writings(said))
        if any(self._without_spaces.finds(_squeezed(one)) for one in writings):
            return True
        letters = (_letters(one) for one in writings)
        return any(len(one) >= _FEWEST_LETTERS and self._letters.finds(one) for one in letters)

    @cached_property
    def _without_spaces(self) -> _Reading:
        return _Reading(_squeezed(self._plain.text))

    @cached_property
    def _letters(self) -> _Reading:
        return _Reading(_letters(self._plain.text))


class _Reading:
    """A text in which messages are looked for, most of which stand there one after another."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._read = 0

    def finds(self, said: str) -> bool:
        """Return whether a text is there; first where the one before it ended, so that all of them take one pass."""
        at = self.text.find(said, self._read)
        if at < 0:
            return said in self.text
        self._read = at + len(said)
        return True


def needed(messages: Sequence[Message]) -> list[Message]:
    """Return the messages without which no reply makes sense: what the user said last, and the system prompt."""
    last = [message for message in messages if message.role == USER and message.content.strip()]
    return [*(message for message in messages if message.role in (SYSTEM, DEVELOPER)), *last[-1:]]


def _writings(text: str) -> Iterator[str]:
    """Yield the ways in which templates write a text."""
    yield text
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield json.dumps(text)[1:-1]
    yield html.escape(text)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
