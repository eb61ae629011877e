"""Human-readable export of the active path: Markdown and plain text. The output is sanitized because files are shown in terminals, too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.apart import kept_apart
from tui.conversation.formats.base import Format
from tui.conversation.parts import (
    FilePart,
    Part,
    ReasoningPart,
    TextPart,
    fenced,
    label_of,
)
from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Status, Turn
from tui.sanitize import sanitize, sanitize_line

LABELS: Final = {USER: "User", ASSISTANT: "Assistant", SYSTEM: "System"}


def heading(turn: Turn) -> str:
    """Return a turn's heading: its role, the model's name, and its status if unusual; sanitized."""
    label = LABELS.get(turn.role, turn.role)
    made = turn.generation
    model = (made.name or made.model) if made else ""
    ended = turn.status.value if turn.status is not Status.COMPLETE else ""
    notes = ", ".join(note for note in (model, ended) if note)
    return sanitize_line(f"{label} ({notes})" if notes else label)


def _headings(chat: Conversation) -> frozenset[str]:
    """Return what the headings of a chat begin with."""
    roles = (sanitize_line(turn.role) for turn in chat.path)
    return frozenset((*LABELS.values(), "System prompt", *roles)) - {""}


def _markdown_blocks(chat: Conversation) -> Iterator[str]:
    names = _headings(chat)
    yield f"# {sanitize_line(chat.title) or 'Chat'}"
    if chat.system_prompt:
        yield "## System prompt"
        yield kept_apart(sanitize(chat.system_prompt).strip(), names)
    for turn in chat.path:
        yield f"## {heading(turn)}"
        if turn.reasoning:
            quoted = kept_apart(sanitize(turn.reasoning).strip(), names).split("\n")
            yield "> **Reasoning**\n>\n" + "\n".join(f"> {line}".rstrip() for line in quoted)
        for words, _ in told_parts(turn):
            yield kept_apart(sanitize(words).strip("\n"), names)


def told_parts(turn: Turn) -> Iterator[tuple[str, Part | None]]:
    """Yield what was said in a turn in its order: texts, and what stands for each of the other parts.

    An image or a step of a tool is one line in brackets, a file its name and its text in a fence. The part stands beside what
    is no text of the turn.
    """
    if not turn.others:
        if turn.text.strip():
            yield turn.text, None
        return
    for part in turn.parts:
        if isinstance(part, TextPart):
            if part.text.strip():
                yield part.text, None
        elif isinstance(part, FilePart):
            yield fenced(sanitize_line(part.name), part.text), part
        elif not isinstance(part, ReasoningPart):
            yield f"[{sanitize_line(label_of(part))}]", part


def _plain_blocks(chat: Conversation) -> Iterator[str]:
    names = "|".join(map(re.escape, sorted(_headings(chat))))
    looks_ours = re.compile(
        rf"^(?=(?:{names})(?: \(.*\))?:[ \t]*$|\[/?reasoning\])", re.IGNORECASE | re.MULTILINE
    )

    def indented(text: str) -> str:
        """Return a text in which no line reads like one of those between the turns."""
        return looks_ours.sub(" ", sanitize(text).strip("\n"))

    title = sanitize_line(chat.title) or "Chat"
    yield f"{title}\n{'=' * min(len(title), 80)}"
    if chat.system_prompt:
        yield f"System prompt:\n{indented(chat.system_prompt.strip())}"
    for turn in chat.path:
        parts = [f"{heading(turn)}:"]
        if turn.reasoning:
            parts.append(f"[reasoning]\n{indented(turn.reasoning.strip())}\n[/reasoning]")
        parts += (indented(words) for words, _ in told_parts(turn))
        yield "\n".join(parts)


def _write_markdown(chats: Sequence[Conversation]) -> str:
    return "\n\n---\n\n".join("\n\n".join(_markdown_blocks(chat)) for chat in chats) + "\n"


def _write_plain(chats: Sequence[Conversation]) -> str:
    return "\n\n\n".join("\n\n".join(_plain_blocks(chat)) for chat in chats) + "\n"


MARKDOWN: Final = Format("markdown", "Markdown", (".md",), lambda _: False, write=_write_markdown)
PLAIN: Final = Format("text", "Plain text", (".txt",), lambda _: False, write=_write_plain)
