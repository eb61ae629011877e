"""Export of the active path for people: Markdown and plain text. What is written is sanitised, as terminals show files too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format
from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Status, Turn
from tui.sanitize import sanitize, sanitize_line

LABELS: Final = {USER: "User", ASSISTANT: "Assistant", SYSTEM: "System"}
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")


def heading(turn: Turn) -> str:
    """Return who said a turn, with the model's name and how it ended unless that is as usual; sanitised."""
    label = LABELS.get(turn.role, turn.role)
    made = turn.generation
    model = (made.name or made.model) if made else ""
    ended = turn.status.value if turn.status is not Status.COMPLETE else ""
    notes = ", ".join(note for note in (model, ended) if note)
    return sanitize_line(f"{label} ({notes})" if notes else label)


def closed(text: str) -> str:
    """Return Markdown with a code fence that was left open closed, so that what follows is not taken for code."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.fullmatch(line)
        if found is None:
            continue
        mark, rest = found.groups()
        if not fence:
            fence = "" if mark[0] == "`" and "`" in rest else mark
        elif mark[0] == fence[0] and len(mark) >= len(fence) and not rest.strip():
            fence = ""
    return f"{text}\n{fence}" if fence else text


def _markdown_blocks(chat: Conversation) -> Iterator[str]:
    yield f"# {sanitize_line(chat.title) or 'Chat'}"
    if chat.system_prompt:
        yield "## System prompt"
        yield closed(sanitize(chat.system_prompt).strip())
    for turn in chat.path:
        yield f"## {heading(turn)}"
        if turn.reasoning:
            quoted = closed(sanitize(turn.reasoning).strip()).splitlines()
            yield "> **Reasoning**\n>\n" + "\n".join(f"> {line}".rstrip() for line in quoted)
        if turn.text.strip():
            yield closed(sanitize(turn.text).strip("\n"))


def _plain_blocks(chat: Conversation) -> Iterator[str]:
    title = sanitize_line(chat.title) or "Chat"
    yield f"{title}\n{'=' * min(len(title), 80)}"
    if chat.system_prompt:
        yield f"System prompt:\n{sanitize(chat.system_prompt).strip()}"
    for turn in chat.path:
        parts = [f"{heading(turn)}:"]
        if turn.reasoning:
            parts.append(f"[reasoning]\n{sanitize(turn.reasoning).strip()}\n[/reasoning]")
        if turn.text.strip():
            parts.append(sanitize(turn.text).strip("\n"))
        yield "\n".join(parts)


def _write_markdown(chats: Sequence[Conversation]) -> str:
    return "\n\n---\n\n".join("\n\n".join(_markdown_blocks(chat)) for chat in chats) + "\n"


def _write_plain(chats: Sequence[Conversation]) -> str:
    return "\n\n\n".join("\n\n".join(_plain_blocks(chat)) for chat in chats) + "\n"


MARKDOWN: Final = Format("markdown", "Markdown", (".md",), lambda _: False, write=_write_markdown)
PLAIN: Final = Format("text", "Plain text", (".txt",), lambda _: False, write=_write_plain)
