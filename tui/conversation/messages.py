"""What the message entries of many tools mean: their text, and the reasoning that may stand inside it. No files, no tree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.turn import ASSISTANT, USER

REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
"""What tools call the field of the reasoning."""
_THINK: Final = "<think>"
_END_THINK: Final = "</think>"
_ESCAPED: Final = "\\<think\\>"


def content_text(content: Any) -> str:
    """Return a message's content as text: itself, or its text parts joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, Mapping) else part for part in content]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def plain_message(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return a message of any tool as role, content and `reasoning_content`, all of them text.

    The reasoning is taken from a field of its own, else from a `<think>` block that an assistant's text starts with.
    """
    given = entry.get("role")
    role = given if isinstance(given, str) and given else USER
    content = content_text(entry.get("content"))
    fields = [entry.get(key) for key in REASONING_KEYS]
    reasoning = next(filter(None, map(content_text, fields)), "")
    if role == ASSISTANT and not reasoning:
        reasoning, content = split_reasoning(content)
    return {"role": role, "content": content, "reasoning_content": reasoning}


def split_reasoning(text: str) -> tuple[str, str]:
    """Return the reasoning and the rest of a reply whose text starts with a `<think>` block.

    A block that is never closed is all reasoning: the reply was cut off in it. The tags may be escaped, as `transformers
    chat` saves them.
    """
    started = text.lstrip()
    if started.startswith(_ESCAPED):
        started = unescape_reasoning(started)
    if not started.startswith(_THINK):
        return "", text
    reasoning, _, rest = started.removeprefix(_THINK).partition(_END_THINK)
    return reasoning.strip(), rest.lstrip("\r\n")


def unescape_reasoning(text: str) -> str:
    r"""Return text with the `\<think\>` that `transformers chat` stores turned back into `<think>`."""
    return text.replace("\\<think\\>", "<think>").replace("\\</think\\>", "</think>")
