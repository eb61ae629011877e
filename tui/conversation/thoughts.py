"""Splits the text of a reply into reasoning and answer, whole or while it streams. Text in, pieces of text out.

What is looked for is in `reasoning_marks`. All chunkings of the same text give the same two texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from functools import lru_cache
from typing import Final

from tui.conversation.reasoning_marks import ANY, PLAIN, Marks
from tui.dataclass import dataclass
from tui.pattern import pattern

_JOINT: Final = "\n\n"
"""What stands between two parts of the reasoning, or of the answer."""
_LONGEST_HEADER: Final = 300
_MOST_BLANKS: Final = 100
"""So many behind a mark are as good as the end of a line."""
_MOST_MENTIONS: Final = 16
"""An answer that speaks about closing marks so often is one. Where they stand is looked up in all that was said before."""
_CHUNK: Final = 4096
"""Characters. A text is parted in pieces, since what is held back of one is looked at again and again."""
_QUOTES: Final = "`\"'"
_BEFORE_A_MENTION: Final = "“‘«([{"
_AFTER_A_MENTION: Final = "`\"'”’»)]}*.,;:!?"
_FENCE: Final = pattern(r" {0,3}(`{3,}|~{3,})(.*)")
_INDENTED_CODE: Final = " " * 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a reply's text, and whether it is reasoning or answer.

    Attributes:
        text: what is new.
        is_reasoning: whether it is reasoning.
        tag: set when all that was told as the answer before was reasoning: what ended it. `text` has all of it.
    """

    text: str
    is_reasoning: bool = False
    tag: str = ""


class _State(Enum):
    START = auto()
    UNDECIDED = auto()
    HEADER = auto()
    REASONING_START = auto()
    REASONING = auto()
    BETWEEN = auto()
    ANSWER = auto()


class ThinkSplitter:
    """Separates the reasoning of a reply from its answer.

    An opening mark counts where nothing but whitespace stands before it in the reply, or between it and other reasoning, so that an
    answer may speak about it. A closing mark counts inside the reasoning. One that was never opened counts where it stands like a
    mark and not like a word that is spoken about; what was told as the answer until then is taken back. Marks and the whitespace
    around them belong to neither part.
    """

    def __init__(
        self,
        opened: Marks | None = None,
        marks: Sequence[Marks] = (),
        *,
        is_over: bool = False,
        said: str = "",
    ) -> None:
        """Start a reply.

        Args:
            opened: the marks whose opening the prompt ended with, so that the reply starts inside the reasoning.
            marks: those that the model is known to write, the likeliest first.
            is_over: the prompt ended behind the reasoning, so that the reply is the answer.
            said: the answer that the reply goes on from; empty at its beginning.
        """
        self._known = tuple(marks)
        self._rows = self._sharing(opened.opening) if opened else self._known
        self._state = _State.UNDECIDED if said else _State.START
        if opened:
            self._state = _State.REASONING_START
        elif is_over or (said and self._has_channels):
            self._state = _State.ANSWER
        self._undecided_marks = _undecided_marks(self._known)
        self._held = ""
        self._blanks: list[str] = []
        """What was taken from the held text where it is not known yet what comes after it: kept apart, since a text may hold
        millions, and what is held is looked at with every piece that comes.
        """
        self._told = [said] if said else []
        """The answer so far, as long as it may turn out to be reasoning."""
        self._mentions = 0
        """How many closing marks it spoke about."""
        self._last = ""
        """The character that the reasoning so far ends with."""
        self._has_thought = self._has_said = False
        self._is_wrapped = False
        """Whether a mark stood before the answer that comes."""
        self._joint = ""

    @property
    def _has_channels(self) -> bool:
        return any(row.header for row in self._known)

    @property
    def in_reasoning(self) -> bool:
        """Whether the reply is in its reasoning now."""
        return self._state in (_State.REASONING_START, _State.REASONING)

    def feed(self, text: str) -> list[Piece]:
        """Return the newly classified pieces of the text received so far."""
        return self._pieces(text, at_end=False)

    def finish(self) -> list[Piece]:
        """Return the remaining pieces; a reply that ends inside the reasoning is all reasoning."""
        return self._pieces("", at_end=True)

    def _pieces(self, text: str, *, at_end: bool) -> list[Piece]:
        self._held += text
        pieces: list[Piece] = []
        while self._step(pieces, at_end):
            pass
        return pieces

    def _step(self, pieces: list[Piece], at_end: bool) -> bool:
        """Take what can be told from the held text; return whether there may be more to tell."""
        match self._state:
            case _State.START | _State.BETWEEN:
                return self._begin_part(at_end)
            case _State.HEADER:
                return self._read_header(at_end)
            case _State.REASONING_START:
                return self._begin_reasoning(at_end)
            case _State.REASONING:
                return self._think(pieces, at_end)
            case _State.UNDECIDED:
                return self._look_for_lone_closing(pieces, at_end)
            case _State.ANSWER:
                return self._answer(pieces, at_end)

    # -- where a part may begin

    def _begin_part(self, at_end: bool) -> bool:
        is_start = self._state is _State.START
        start = self._held.lstrip()
        if is_start:
            self._blanks.append(self._held[: len(self._held) - len(start)])
        self._held = start
        marks = self._beginnings()
        if not at_end and any(mark.startswith(start) and mark != start for mark in marks):
            return False
        mark = max((one for one in marks if start.startswith(one)), key=len, default="")
        before, self._blanks = "".join(self._blanks), []
        if mark:
            self._held = start[len(mark) :]
            self._go_behind(mark)
            return True
        self._held = before + start
        if is_start and not self._has_channels:
            self._state = _State.UNDECIDED
        else:
            self._begin_answer()
        return bool(self._held)

    def _beginnings(self) -> set[str]:
        """Return the marks that a part may begin with here."""
        is_start = self._state is _State.START
        rows: Iterable[Marks] = (*self._known, *ANY) if is_start else self._rows
        found: set[str] = set()
        for row in rows:
            found |= {row.role, *(row.header or (row.opening,))}
            if _is_token(row.answer_opening) or row in self._known:
                found.add(row.bare_answer_opening)
            if not is_start:
                found |= {mark for mark in row.answer_closings if _is_token(mark)}
        return found - {""}

    def _go_behind(self, mark: str) -> None:
        """Go on behind the mark that a part begins with."""
        is_start = self._state is _State.START
        rows = (*self._known, *ANY) if is_start else self._rows
        opens = tuple(row for row in rows if row.opening == mark)
        heads = tuple(row for row in rows if row.header and row.header[0] == mark)
        answers = tuple(
            row
            for row in rows
            if mark == row.bare_answer_opening or (row.header and mark == row.header[1])
        )
        if opens:
            self._rows = self._sharing(mark) if is_start else self._rows
            self._state = _State.REASONING_START
        elif heads:
            self._rows, self._state = heads[:1], _State.HEADER
        elif answers:
            self._rows, self._state, self._is_wrapped = answers[:1], _State.BETWEEN, True

    def _read_header(self, at_end: bool) -> bool:
        row = self._rows[0]
        header, mark, rest = self._held.partition(row.header[1] if row.header else "\n")
        if not mark:
            if not at_end and len(self._held) <= _LONGEST_HEADER:
                return False
            self._begin_answer()
            return bool(self._held)
        names = re.findall(r"\w+", header)
        is_answer = not names or (names[0] in row.answer_channels and "to=" not in header)
        self._held = rest
        self._state = _State.BETWEEN if is_answer else _State.REASONING_START
        return True

    def _sharing(self, opening: str) -> tuple[Marks, ...]:
        """Return the rows with an opening, those that the model is known to write first."""
        return tuple(row for row in (*self._known, *ANY) if row.opening == opening)

    # -- reasoning

    def _begin_reasoning(self, at_end: bool) -> bool:
        self._held = self._held.lstrip()
        openings = [row.opening for row in self._rows if not row.header]
        again = next((one for one in openings if self._held.startswith(one)), "")
        if again:
            # The prompt opened it, and the model opened it again.
            self._held = self._held[len(again) :]
            return True
        if not at_end and any(one.startswith(self._held) for one in (*openings, "")):
            return False
        self._joint = _JOINT if self._has_thought else ""
        self._last = ""
        self._state = _State.REASONING
        return bool(self._held)

    def _think(self, pieces: list[Piece], at_end: bool) -> bool:
        closings = {mark for row in self._rows for mark in row.closings}
        # The start of the next part also ends this one.
        ends = closings | {
            mark
            for row in self._rows
            for mark in (row.role, row.bare_answer_opening, *(row.header or ())[:1])
            if _is_token(mark)
        }
        place, mark = _first(self._held, ends)
        if not mark:
            self._tell_thought(
                pieces, len(self._held) - _held_back(self._held, ends, at_end), at_end
            )
            return False
        before = self._held[place - 1] if place else self._last
        if before and before in _QUOTES:
            after = self._held[place + len(mark) :][:1]
            if not after and not at_end:
                self._tell_thought(pieces, place)
                return False
            if after == before:
                self._tell_thought(pieces, place + len(mark) + 1)
                return True
        rest = self._held[place + (len(mark) if mark in closings else 0) :]
        self._tell_thought(pieces, place)
        self._held, self._blanks, self._state = rest, [], _State.BETWEEN
        self._is_wrapped = self._wraps(mark)
        return True

    def _wraps(self, closing: str) -> bool:
        """Return whether what closes the reasoning opens the answer, so that another mark may close that."""
        return any(
            closing in row.closings and bool(row.answer_closings) and not row.answer_opening
            for row in self._rows
        )

    def _tell_thought(self, pieces: list[Piece], upto: int, keeps_end: bool = False) -> None:
        """Tell the held text up to a place, but for the whitespace at its end."""
        text, self._held = self._held[:upto], self._held[upto:]
        told = text if keeps_end else text.rstrip()
        self._last = text[-1:] or self._last
        if told or (keeps_end and any(self._blanks)):
            piece = "".join((self._joint, *self._blanks, told))
            pieces.append(Piece(piece, is_reasoning=True))
            self._has_thought, self._joint, self._blanks = True, "", []
        self._blanks.append(text[len(told) :])

    # -- what may be either

    def _look_for_lone_closing(self, pieces: list[Piece], at_end: bool) -> bool:
        known, lone, marks = self._undecided_marks
        place, mark = _first(self._held, marks)
        if not mark:
            upto = len(self._held) - _held_back(self._held, marks, at_end)
            self._tell_undecided(pieces, upto, at_end)
            return False
        if mark not in lone:
            # Who speaks about the opening speaks about the closing too.
            self._tell_undecided(pieces, place, at_end=True)
            self._begin_answer()
            return True
        behind = self._held[place + len(mark) :][: _MOST_BLANKS + 1]
        after = behind.lstrip(" \t")
        if not after and len(behind) <= _MOST_BLANKS and not at_end:
            self._tell_undecided(pieces, place)
            return False
        before = "".join(self._told) + self._held[:place]
        if not _is_mark(before, after, is_known=mark in known):
            self._tell_undecided(pieces, place + len(mark))
            self._mentions += 1
            if self._mentions >= _MOST_MENTIONS:
                self._begin_answer()
            return True
        if text := before.strip():
            pieces.append(Piece(text, is_reasoning=True, tag=mark if self._told else ""))
            self._has_thought = True
        self._told, self._has_said = [], False
        self._held = self._held[place + len(mark) :]
        self._rows = tuple(row for row in (*self._known, *ANY) if row.lone_closing == mark)
        self._state, self._is_wrapped = _State.BETWEEN, self._wraps(mark)
        return True

    def _tell_undecided(self, pieces: list[Piece], upto: int, at_end: bool = False) -> None:
        """Tell the held text up to a place as answer for the time being; whitespace only when there is something to see."""
        text = self._held[:upto]
        if text and (text.strip() or self._told or at_end):
            self._held = self._held[upto:]
            self._told.append(text)
            self._has_said = True
            pieces.append(Piece(text))

    # -- the answer

    def _begin_answer(self) -> None:
        self._joint = _JOINT if self._has_said and self._state is _State.BETWEEN else ""
        self._state = _State.ANSWER
        self._told = []

    def _answer(self, pieces: list[Piece], at_end: bool) -> bool:
        closings = {
            mark
            for row in self._rows
            for mark in row.answer_closings
            if self._is_wrapped or _is_token(mark)
        }
        marks = closings | {
            mark for row in self._rows if row.header for mark in (row.role, row.header[0]) if mark
        }
        place, mark = _first(self._held, marks)
        if not mark:
            self._tell_answer(pieces, len(self._held) - _held_back(self._held, marks, at_end))
            return False
        rest = self._held[place + (len(mark) if mark in closings else 0) :]
        self._tell_answer(pieces, place)
        self._held, self._state, self._is_wrapped = rest, _State.BETWEEN, False
        return True

    def _tell_answer(self, pieces: list[Piece], upto: int) -> None:
        text, self._held = self._held[:upto], self._held[upto:]
        if text:
            pieces.append(Piece(self._joint + text))
            self._has_said, self._joint = True, ""


@lru_cache(maxsize=16)
def _undecided_marks(
    known: tuple[Marks, ...],
) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the closing marks that a model is known to write, all of them, and all that is looked for beside reasoning."""
    own = frozenset(row.lone_closing for row in known) - {""}
    lone = own | frozenset(row.lone_closing for row in ANY) - {""}
    behind = {mark for row in known for mark in row.answer_closings if _is_token(mark)}
    return own, lone, lone | behind | {row.opening for row in (*known, *ANY)}


def parted(text: str) -> tuple[str, str]:
    """Return the reasoning and the answer of a whole reply of any model."""
    splitter = ThinkSplitter(marks=PLAIN)
    thoughts: list[str] = []
    said: list[str] = []
    starts = range(0, len(text), _CHUNK)
    fed = (piece for start in starts for piece in splitter.feed(text[start : start + _CHUNK]))
    for piece in (*fed, *splitter.finish()):
        if piece.tag:
            said.clear()
        (thoughts if piece.is_reasoning else said).append(piece.text)
    return "".join(thoughts), "".join(said)


def _is_mark(before: str, after: str, *, is_known: bool) -> bool:
    """Return whether a closing mark that was never opened ends reasoning, by where it stands.

    Args:
        before, after: the text around it, without blanks right behind it.
        is_known: whether the model writes it; otherwise it must have a line of its own.
    """
    line = before.rpartition("\n")[2]
    ends_line = not after or after[0] in "\r\n"
    is_own_line = not line.strip()
    if _is_in_code(before) or (is_own_line and line.startswith(_INDENTED_CODE)):
        return False
    if not is_known:
        return is_own_line and ends_line
    if not is_own_line and (line[-1] in _BEFORE_A_MENTION or line[-1].isspace()):
        return ends_line
    return ends_line or after[0] not in _AFTER_A_MENTION


def _is_in_code(text: str) -> bool:
    """Return whether Markdown text ends inside code: a block between fences, or a span on its last line."""
    fence = ""
    lines = text.split("\n")
    for line in lines:
        found = _FENCE.match(line)
        if found is None:
            continue
        if not fence:
            fence = found[1] if "`" not in found[2] else ""
        elif found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return bool(fence) or lines[-1].count("`") % 2 == 1


def _is_token(mark: str) -> bool:
    """Return whether a mark is of a kind that no answer writes by chance."""
    return mark.startswith("<|")


@lru_cache(maxsize=64)
def _finder(marks: frozenset[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))


def _first(text: str, marks: AbstractSet[str]) -> tuple[int, str]:
    """Return where the first of some marks stands in a text, and which; the longest of those that stand there."""
    found = _finder(frozenset(marks)).search(text) if marks else None
    return (found.start(), found[0]) if found else (0, "")


def _held_back(text: str, marks: AbstractSet[str], at_end: bool) -> int:
    """Return how many characters at the end of a text may be the beginning of a mark; none where nothing follows."""
    if at_end or not marks:
        return 0
    longest = max(map(len, marks))
    firsts = {mark[0] for mark in marks}
    start = max(0, len(text) - longest + 1)
    for place in range(start, len(text)):
        if text[place] in firsts and any(mark.startswith(text[place:]) for mark in marks):
            return len(text) - place
    return 0
