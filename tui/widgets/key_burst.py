"""Tells commands from prose where single letters are commands.

A user who doesn't notice that a turn has the cursor keeps typing, and each letter would act on the chat. So a key that does
more than move is delayed for a moment: if another letter follows, both are prose. This module knows neither widgets nor commands.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from tui.dataclass import dataclass

BURST_S: Final = 0.3
"""Two letters in less than this time, in seconds, are prose. Slow typists take about as long for each letter."""


class KeyKind(Enum):
    """What a key does on a turn."""

    NONE = auto()
    """None: the key is prose."""
    MOVES = auto()
    """It only moves the cursor, so it acts at once."""
    REPEATS = auto()
    """It is pressed several times in a row, as undo is."""
    ACTS = auto()


class Verdict(Enum):
    """What to do with a key."""

    RUN = auto()
    HOLD = auto()
    """Run it if no other key follows within `BURST_S`."""
    TYPE = auto()
    """`text` belongs to the message, and so does what follows."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a key, and the text that it completes."""

    verdict: Verdict
    text: str = ""


class KeyBurst:
    """The letters typed on a turn just now."""

    def __init__(self, burst_s: float = BURST_S) -> None:
        """Start without letters.

        Args:
            burst_s: letters in less than this time, in seconds, are prose; with 0, every letter is a command.
        """
        self._burst_s = burst_s
        self._recent = ""
        self._last_s = float("-inf")
        self._is_prose = False

    def press(self, character: str, kind: KeyKind, at_s: float) -> Decision:
        """Decide about a key.

        Args:
            character: the character that the key types.
            kind: what the key does on a turn.
            at_s: the time of the key press, in seconds of any clock.
        """
        is_quick = at_s - self._last_s < self._burst_s
        self._last_s = at_s
        if not is_quick:
            self._recent = ""
        if self._is_prose or kind is KeyKind.NONE:
            return self._typed(character)
        can_repeat = kind in (KeyKind.MOVES, KeyKind.REPEATS)
        if self._recent and not (can_repeat and set(self._recent) == {character}):
            return self._typed(character)
        self._recent += character
        holds = self._burst_s > 0 and kind is not KeyKind.MOVES and len(self._recent) == 1
        return Decision(Verdict.HOLD if holds else Verdict.RUN)

    def end(self) -> None:
        """Forget the letters, because keys go elsewhere now."""
        self._recent = ""
        self._last_s = float("-inf")
        self._is_prose = False

    def _typed(self, character: str) -> Decision:
        text, self._recent, self._is_prose = self._recent + character, "", True
        return Decision(Verdict.TYPE, text)
