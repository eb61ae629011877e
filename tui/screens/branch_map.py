"""A chat's branches as a map of lines: which turn stands on which row, and the lanes that are drawn before it.

A run of turns goes straight down on one lane, however long it is: from where it begins, along the active path or else along its
longest way. The other variants that it passes hang on a lane beside it, each with the run that begins with it, in the order in
which they were made. So the width of the map grows with the logarithm of the number of turns at most, and the active path is the
first lane.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tui.conversation import Conversation, Turn


class Lane(NamedTuple):
    """A stretch of lines, two cells wide."""

    text: str
    is_active: bool = False
    """Whether it belongs to the active path."""


@dataclass(frozen=True, slots=True)
class MapRow:
    """One row of the map.

    Attributes:
        turn_id: the turn that stands on it; None for a row of lines alone.
        lanes: what is drawn before the turn's own sign.
        beside: what is drawn behind that sign, two cells.
        is_active: whether it is on the active path.
        variants: how many variants hang beside the line from here on, shown or folded away.
    """

    turn_id: str | None
    lanes: tuple[Lane, ...] = ()
    beside: str = "  "
    is_active: bool = False
    variants: int = 0


def map_rows(conversation: Conversation, folded: frozenset[str] = frozenset()) -> Sequence[MapRow]:
    """Return the rows of the map from top to bottom, without what hangs on the turns in `folded`."""
    return tuple(_Surveyor(conversation, folded).run(None, (), (), is_active=True))


class _Surveyor:
    def __init__(self, conversation: Conversation, folded: frozenset[str]) -> None:
        self._chat = conversation
        self._folded = folded
        self._active = {turn.id for turn in conversation.path}
        self._sizes = sizes(conversation)

    def run(
        self, at: str | None, first: tuple[Lane, ...], rest: tuple[Lane, ...], *, is_active: bool
    ) -> Iterator[MapRow]:
        """Yield the rows of the run that begins with `at`, None being what stands above all first turns.

        Args:
            at: where it begins.
            first: what is drawn before its first row.
            rest: what is drawn before all its others.
            is_active: whether it is the one of the active path.
        """
        lanes = first
        later: Sequence[Turn] = ()
        while True:
            children = self._chat.children(at)
            follower = self._follower(children)
            others = [turn for turn in children if turn is not follower]
            is_open = bool(others) and at not in self._folded
            if at is not None:
                fork = "─╮" if is_open else "─▸" if others else "  "
                beside = " │" if later else fork
                yield MapRow(at, lanes, beside, is_active, len(others))
            lanes = rest
            yield from self._beside(later, rest, is_active=is_active, goes_on=bool(children))
            if is_open and (later or at is None):
                # The lane beside this row was taken.
                line = "╭─╮" if at is None else "├─╮"
                yield MapRow(None, (*rest, Lane(line, is_active)), "", is_active)
            if follower is None:
                return
            place = children.index(follower)
            earlier = children[:place] if is_open else ()
            later = children[place + 1 :] if is_open else ()
            yield from self._beside(
                earlier, rest, is_active=is_active, goes_on=True, is_last=not later
            )
            at = follower.id

    def _beside(
        self,
        heads: Sequence[Turn],
        rest: tuple[Lane, ...],
        *,
        is_active: bool,
        goes_on: bool,
        is_last: bool = True,
    ) -> Iterator[MapRow]:
        """Yield the runs that hang on the lane beside a run, which `goes_on` below them; the last one ends that lane if `is_last`."""
        main = Lane("│ " if goes_on else "  ", is_active)
        for number, head in enumerate(heads, start=1):
            ends = is_last and number == len(heads)
            first = (*rest, main, Lane("╰─" if ends else "├─"))
            below = (*rest, main, Lane("  " if ends else "│ "))
            yield from self.run(head.id, first, below, is_active=False)

    def _follower(self, children: Sequence[Turn]) -> Turn | None:
        on_way = next((turn for turn in children if turn.id in self._active), None)
        return on_way or max(children, key=lambda turn: self._sizes[turn.id], default=None)


def sizes(conversation: Conversation) -> dict[str, int]:
    """Return how many turns each turn has from itself downwards."""
    first = conversation.children(None)
    order = [turn.id for head in first for turn in (head, *conversation.descendants(head.id))]
    found = dict.fromkeys(order, 1)
    for turn_id in reversed(order):
        parent = conversation.turns[turn_id].parent
        if parent is not None:
            found[parent] += found[turn_id]
    return found


def branch_from(conversation: Conversation, turn_id: str, most: int) -> Sequence[Turn]:
    """Return a turn and what follows it, `most` turns at most: along the active path, or else what was said last."""
    active = {turn.id for turn in conversation.path}
    found = [conversation.turns[turn_id]]
    while len(found) < most and (children := conversation.children(found[-1].id)):
        found.append(next((turn for turn in children if turn.id in active), children[-1]))
    return found
