"""Summaries for lists and searches: plain values from a chat or the index. Their text is safe to display."""

from __future__ import annotations

from typing import Any, Final

from tui.conversation import USER, Conversation
from tui.dataclass import dataclass
from tui.sanitize import sanitize_line

_FIRST_WORDS_LIMIT: Final = 120
_TITLE_LIMIT: Final = 200
_LAST_TIME_S: Final = 253_370_764_800.0  # the year 9999


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """One chat in a list.

    Attributes:
        title: as the user sees it; the first words where there is none.
        model: that the chat was last talked with.
        created_at, updated_at: Unix times in seconds.
        turns: on the active path.
        first_words: of the first user turn.
        problem: a sentence when the file can't be read, or only in part.
    """

    id: str
    title: str
    model: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    turns: int = 0
    first_words: str = ""
    pinned: bool = False
    tags: tuple[str, ...] = ()
    size_bytes: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SearchHit:
    """One place where a search found something.

    Attributes:
        turn_id: the turn; None when the words are in the chat's title.
        snippet: text around the hit, on one line.
        matches: where in the snippet the words are, as (start, end) in characters.
    """

    session_id: str
    turn_id: str | None
    title: str
    snippet: str
    matches: tuple[tuple[int, int], ...]
    updated_at: float = 0.0


def summarize(conversation: Conversation, size_bytes: int, problem: str = "") -> SessionSummary:
    """Return the summary of a chat for lists."""
    path = conversation.path
    first = next((turn.gist for turn in path if turn.role == USER), "")
    first_words = sanitize_line(first[: _FIRST_WORDS_LIMIT * 4], _FIRST_WORDS_LIMIT)
    return SessionSummary(
        id=conversation.id,
        title=sanitize_line(conversation.title, _TITLE_LIMIT) or first_words or "Empty chat",
        model=sanitize_line(_model(conversation)),
        created_at=clamped_time(conversation.created_at),
        updated_at=clamped_time(conversation.updated_at),
        turns=len(path),
        first_words=first_words,
        pinned=conversation.extra.get("pinned") is True,
        tags=read_tags(conversation.extra.get("tags")),
        size_bytes=size_bytes,
        problem=sanitize_line(problem),
    )


def read_tags(value: Any) -> tuple[str, ...]:
    """Return the tags of an untrusted value: each once, on one line, none empty."""
    if not isinstance(value, list | tuple):
        return ()
    cleaned = (sanitize_line(tag, 60) for tag in value if isinstance(tag, str))
    return tuple(dict.fromkeys(tag for tag in cleaned if tag))


def clamped_time(seconds: float) -> float:
    """Return a time that a calendar has, whatever a file says."""
    return min(max(seconds, 0.0), _LAST_TIME_S)


def _model(conversation: Conversation) -> str:
    model = conversation.settings.get("model_name") or conversation.settings.get("model_id")
    if isinstance(model, str) and model:
        return model
    made = (turn.generation.model for turn in reversed(conversation.path) if turn.generation)
    return next((name for name in made if name), "")
