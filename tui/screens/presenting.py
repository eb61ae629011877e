"""Turns as the transcript shows them: captions, and what stands for a turn's state."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from tui.chat.loader import short_name
from tui.conversation import (
    ASSISTANT,
    USER,
    Conversation,
    FilePart,
    Generation,
    ReasoningPart,
    ReplyStats,
    TextPart,
    Turn,
)
from tui.conversation.parts import label_of
from tui.widgets.figures import seconds_text
from tui.widgets.other_parts import ShownPart
from tui.widgets.shown_turn import ShownTurn


class Presenter:
    """Makes what the transcript shows of a chat. Turns never change, so what was made of one is kept for the next time."""

    def __init__(self, user: str = "") -> None:
        """Make it; `user` is the name above the user's turns, empty for the usual one."""
        self.user = user
        self._made: dict[str, tuple[Turn, tuple[int, int], bool, str, ShownTurn]] = {}

    def turn(self, conversation: Conversation, turn: Turn) -> ShownTurn:
        """Return what the transcript shows of one turn."""
        before = ""
        if _speaker(turn):
            way = reversed(conversation.ancestors(turn.id)[:-1])
            before = next((name for one in way if (name := _speaker(one))), "")
        place, in_context = conversation.place(turn.id), turn.id not in conversation.unseen
        return self._shown(turn, place, in_context, _change(before, turn))

    def turns(self, conversation: Conversation) -> Sequence[ShownTurn]:
        """Return what the transcript shows of the active path."""
        hidden = frozenset(conversation.unseen)
        shown, before = [], ""
        for turn in conversation.path:
            place = conversation.place(turn.id)
            shown.append(self._shown(turn, place, turn.id not in hidden, _change(before, turn)))
            before = _speaker(turn) or before
        return shown

    def _shown(
        self, turn: Turn, place: tuple[int, int], in_context: bool, change: str
    ) -> ShownTurn:
        made = self._made.get(turn.id)
        if made is not None and made[0] is turn and made[1:4] == (place, in_context, change):
            return made[4]
        generation = turn.generation
        shown = ShownTurn(
            id=turn.id,
            role=turn.role,
            text=turn.text,
            reasoning=turn.reasoning,
            status=turn.status,
            error=turn.error,
            caption=caption(turn),
            variant=place[0],
            variants=place[1],
            reasoning_caption=reasoning_caption(generation.stats) if generation else "",
            in_context=in_context,
            change=change,
            speaker=self.user if turn.role == USER else "",
            parts=tuple(_shown_parts(turn)),
        )
        self._made[turn.id] = (turn, place, in_context, change, shown)
        return shown


def _shown_parts(turn: Turn) -> Iterator[ShownPart]:
    """Yield what the transcript shows of the parts of a turn that are neither text nor reasoning."""
    is_above = bool(turn.text)
    for part in turn.parts:
        if isinstance(part, FilePart):
            language = PurePath(part.name[-100:]).suffix[1:]
            is_plain = language.isascii() and language.isalnum()
            yield ShownPart(label_of(part), part.text, language if is_plain else "", is_above)
        elif isinstance(part, TextPart):
            is_above = is_above and not part.text
        elif not isinstance(part, ReasoningPart):
            yield ShownPart(label_of(part), is_above=is_above)


def _speaker(turn: Turn) -> str:
    """Return the model that made a reply; empty for other turns."""
    made = turn.generation
    return (made.name or made.model) if turn.role == ASSISTANT and made is not None else ""


def _change(before: str, turn: Turn) -> str:
    """Return what marks a reply by another model than the one that spoke before; empty where none has to be."""
    speaker = _speaker(turn)
    return f"from here on {short_name(speaker)}" if before and speaker not in ("", before) else ""


def caption(turn: Turn) -> str:
    """Return the quiet line of a turn: what made it, how fast, when."""
    # What matters least stands last: a narrow screen cuts it off.
    parts = []
    if turn.created_at:
        parts.append(_clock(turn.created_at))
    if turn.origin is not None:
        parts.append("edited")
    if turn.role == ASSISTANT and turn.generation is not None:
        parts += _generation_parts(turn.generation)
    return " · ".join(parts)


def _generation_parts(generation: Generation) -> list[str]:
    stats = generation.stats
    parts = []
    if stats.tokens_per_s:
        parts.append(f"{stats.tokens_per_s:.1f} tok/s")
    if stats.new_tokens:
        parts.append(f"{stats.new_tokens:,} token{'' if stats.new_tokens == 1 else 's'}")
    parts.append(short_name(generation.name or generation.model))
    if generation.quantization != "none":
        parts.append(generation.quantization)
    return [part for part in parts if part]


def reasoning_caption(stats: ReplyStats) -> str:
    """Return how long the model thought, as in `thought for 3.20 s · 120 tokens`; empty when it is not known."""
    if not stats.reasoning_s:
        return ""
    count = stats.reasoning_tokens
    tokens = f" · {count:,} token{'' if count == 1 else 's'}" if count else ""
    return f"thought for {seconds_text(stats.reasoning_s)}{tokens}"


def _clock(created_at: float) -> str:
    """Return the hour of today's turns, and the date of older ones."""
    try:
        then = time.localtime(created_at)
    except (OverflowError, ValueError, OSError):
        return ""
    today = time.localtime()
    same_day = then[:3] == today[:3]
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", then)
