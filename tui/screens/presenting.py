"""Turns in the form that the transcript shows: captions, and texts for a turn's state."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Final, NamedTuple

from tui.chat.loader import short_name
from tui.conversation import (
    ASSISTANT,
    USER,
    Conversation,
    FilePart,
    ReasoningPart,
    ReplyStats,
    TextPart,
    Turn,
)
from tui.conversation.parts import label_of
from tui.widgets.figures import seconds_text, speed_text
from tui.widgets.shown_turn import ShownTurn

if TYPE_CHECKING:
    from tui.widgets.other_parts import ShownPart


class Presenter:
    """Converts turns for the transcript. Turns are immutable, so results are cached."""

    def __init__(self, user: str = "") -> None:
        """Create it; `user` is the name above the user's turns, empty for the default."""
        self.user = user
        self._made: dict[str, tuple[Turn, tuple[int, int], bool, Maker, ShownTurn]] = {}

    def turn(self, conversation: Conversation, turn: Turn) -> ShownTurn:
        """Return one turn in the form that the transcript shows."""
        before = _NOBODY
        if _maker(turn) != _NOBODY:
            way = reversed(conversation.ancestors(turn.id)[:-1])
            before = next((made for one in way if (made := _maker(one)) != _NOBODY), _NOBODY)
        place, in_context = conversation.place(turn.id), turn.id not in conversation.unseen
        return self._shown(turn, place, in_context, before)

    def turns(self, conversation: Conversation) -> Sequence[ShownTurn]:
        """Return the active path in the form that the transcript shows."""
        hidden = frozenset(conversation.unseen)
        shown, before = [], _NOBODY
        for turn in conversation.path:
            place = conversation.place(turn.id)
            shown.append(self._shown(turn, place, turn.id not in hidden, before))
            if (made := _maker(turn)) != _NOBODY:
                before = made
        return shown

    def _shown(
        self, turn: Turn, place: tuple[int, int], in_context: bool, before: Maker
    ) -> ShownTurn:
        made = self._made.get(turn.id)
        if made is not None and made[0] is turn and made[1:4] == (place, in_context, before):
            return made[4]
        generation = turn.generation
        change = _change(before, turn)
        shown = ShownTurn(
            id=turn.id,
            role=turn.role,
            text=turn.text,
            reasoning=turn.reasoning,
            status=turn.status,
            error=turn.error,
            caption=caption(turn, _named(before, turn, is_said=bool(change))),
            variant=place[0],
            variants=place[1],
            reasoning_caption=reasoning_caption(generation.stats) if generation else "",
            in_context=in_context,
            change=change,
            speaker=self.user if turn.role == USER else "",
            parts=tuple(_shown_parts(turn)),
        )
        self._made[turn.id] = (turn, place, in_context, before, shown)
        return shown


def _shown_parts(turn: Turn) -> Iterator[ShownPart]:
    """Yield the parts of a turn that are neither text nor reasoning."""
    from tui.widgets.other_parts import ShownPart

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


class Maker(NamedTuple):
    """The model that wrote a reply, and its quantization."""

    model: str = ""
    quantization: str = ""


_NOBODY: Final = Maker()


def _maker(turn: Turn) -> Maker:
    """Return the model that wrote a reply; `_NOBODY` for other turns."""
    made = turn.generation
    if turn.role != ASSISTANT or made is None or not (made.name or made.model):
        return _NOBODY
    return Maker(made.name or made.model, made.quantization)


def _change(before: Maker, turn: Turn) -> str:
    """Return the mark for a reply by another model than the one before; empty if none is needed."""
    model = _maker(turn).model
    is_other = before != _NOBODY and model not in ("", before.model)
    return f"model changed to {short_name(model)}" if is_other else ""


def _named(before: Maker, turn: Turn, *, is_said: bool) -> str:
    """Return the model of a reply if it differs from that of the reply before; without its name if `is_said`, because the name
    is shown elsewhere.
    """
    made = _maker(turn)
    if made == before:
        return ""
    quantization = "" if made.quantization == "none" else made.quantization
    return " · ".join(filter(None, ("" if is_said else short_name(made.model), quantization)))


def caption(turn: Turn, made_by: str = "", *, stats: ReplyStats | None = None) -> str:
    """Return a turn's caption: when it was written, the time and speed, and `made_by`.

    Args:
        turn: the turn.
        made_by: the model, in words.
        stats: the current figures of a reply in progress; by default those of the turn.
    """
    # The least important part comes last, because a narrow screen truncates the line.
    parts = [
        _clock(turn.created_at) if turn.created_at else "",
        "edited" if turn.origin is not None else "",
    ]
    if turn.role == ASSISTANT:
        if stats is None:
            stats = turn.generation.stats if turn.generation is not None else ReplyStats()
        count = stats.new_tokens
        parts.append(f"{count:,} token{'' if count == 1 else 's'}" if count else "")
        parts.append(speed_text(stats.tokens_per_s))
        parts.append(made_by)
    return " · ".join(filter(None, parts))


def reasoning_caption(stats: ReplyStats) -> str:
    """Return how long the model thought, for example `thought for 3.20 s · 120 tokens`; empty if unknown."""
    if not stats.reasoning_s:
        return ""
    count = stats.reasoning_tokens
    tokens = f" · {count:,} token{'' if count == 1 else 's'}" if count else ""
    return f"thought for {seconds_text(stats.reasoning_s)}{tokens}"


def _clock(created_at: float) -> str:
    """Return the time of today's turns, and the date of older ones."""
    try:
        then = time.localtime(created_at)
    except (OverflowError, ValueError, OSError):
        return ""
    today = time.localtime()
    same_day = then[:3] == today[:3]
    return time.strftime("%H:%M" if same_day else "%Y-%m-%d %H:%M", then)
