"""Interprets message entries of many tools: their text and the reasoning inside it. No files, no tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.content import content_text, decode_content, is_flat
from tui.conversation.parts import others
from tui.conversation.reasoning_marks import THINK
from tui.conversation.thoughts import parted
from tui.conversation.turn import ASSISTANT, USER

REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""The names that tools use for the reasoning field."""
_WRITTEN_OTHERWISE: Final = (
    ("\\<think\\>", "\\</think\\>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    (":::thinking\n", "\n:::"),
)
"""What tools write for the marks of reasoning at the start of a reply."""
_MOST_BLOCKS: Final = 32
_BARE_CHANNELS: Final = ("analysis", "assistantfinal")
"""The form of a gpt-oss reply whose marks were lost."""


def plain_message(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message of any tool as role, content and `reasoning_content`, all of them text.

    Only a content that holds more than text stays the list of parts that it is.
    The reasoning is taken from a field of its own, else from a `<think>` block that an assistant's text starts with.
    """
    given = entry.get("role")
    role = given if isinstance(given, str) and given else USER
    content = typed_content(entry.get("content"))
    fields = [entry.get(key) for key in REASONING_KEYS]
    reasoning = next(filter(None, map(content_text, fields)), "")
    if role == ASSISTANT and not reasoning and isinstance(content, str):
        reasoning, content = split_reasoning(content)
    return {"role": role, "content": content, "reasoning_content": reasoning}


def typed_content(content: Any) -> str | list[Any]:
    """Return a content as text, or as the list of parts that it is where there are others than text."""
    if isinstance(content, list) and is_flat(content) and others(decode_content(content)):
        return content
    return content_text(content)


def split_reasoning(text: str) -> tuple[str, str]:
    """Return the reasoning and the rest of a reply as a model wrote it.

    The reasoning stands in channels, between marks at the start, several times perhaps, or before a closing mark whose opening
    was part of the prompt. A block that is never closed is all reasoning: the reply was cut off in it.
    """
    opening, final = _BARE_CHANNELS
    if text.startswith(opening) and final in text:
        reasoning, _, rest = text.removeprefix(opening).partition(final)
        return reasoning.strip(), rest
    reasoning, rest = parted(_with_plain_marks(text))
    if not rest or (not reasoning and rest == text):
        return reasoning.strip(), rest
    blanks = text.removesuffix(rest).rpartition("\n")[2] if text.endswith(rest) else ""
    # An answer that begins with code keeps its indentation.
    return reasoning.strip(), rest if blanks.strip() else blanks + rest


def _with_plain_marks(text: str) -> str:
    """Return a reply with the marks at its start as a model writes them, where a tool wrote others."""
    parts: list[str] = []
    rest = text
    for _ in range(_MOST_BLOCKS):
        start = rest.lstrip()
        pair = next((one for one in _WRITTEN_OTHERWISE if start.startswith(one[0])), None)
        if pair is None:
            break
        thought, closing, rest = start.removeprefix(pair[0]).partition(pair[1])
        parts += [THINK.opening, thought, THINK.closings[0] if closing else ""]
    return "".join((*parts, rest))
