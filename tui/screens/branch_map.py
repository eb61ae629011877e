"""A chat's branches as a map of lines: the row of each turn, and the lanes drawn before it.

A run of turns goes straight down on one lane, however long it is: from its first turn, along the active path or else along its
longest branch. The other variants that it passes hang on a lane beside it, each with its own run, in the order in
which they were created. So the width of the map grows at most with the logarithm of the number of turns, and the active path is the
first lane.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from tui.conversation import Conversation, Turn
from tui.dataclass import dataclass

_FREE: Final = "  "
_TAKEN: Final = " │"
_FORK: Final = "─╮"
_FOLDED: Final = "─▸"
"""What is drawn after a turn's sign: nothing, the lane of the turn before, the turn's own lane, or its folded lane."""


class Lane(NamedTuple):
    """A piece of a lane, two cells wide."""

    text: str
    is_active: bool = False
    """Whether it is part of the active path."""


class MapRow(NamedTuple):
    """One row of the map.

    Attributes:
        turn_id: the turn on this row; None for a row with only lines.
        lanes: what is drawn before the turn's own sign.
        beside: what is drawn after that sign, two cells wide.
        is_active: whether it is on the active path.
        variants: the number of variants on the lane that starts here, shown or folded.
    """

    turn_id: str | None
    lanes: tuple[Lane, ...] = ()
    beside: str = "  "
    is_active: bool = False
    variants: int = 0


@dataclass(slots=True)
class _Hanging:
    """The rows of what hangs on a turn: some before and some after the row of the turn that follows it.

    Attributes:
        start: the first of the rows before it.
        follower: the row of the turn that follows.
        end: the row after the last one.
    """

    start: int
    follower: int
    end: int = 0


class BranchMap:
    """The map of a chat. It is built once; folded parts are cut out of it."""

    def __init__(self, conversation: Conversation) -> None:
        self.places: dict[str, tuple[int, int]] = {}
        """The number of each turn among its variants, counted from 1, and how many variants there are."""
        self._chat = conversation
        self._active = {turn.id for turn in conversation.path}
        self._sizes = sizes(conversation)
        self._rows: list[MapRow] = []
        self._row_of: dict[str, int] = {}
        self._hanging: dict[str, _Hanging] = {}
        self._run(None, (), (), is_active=True)

    def rows(self, folded: Iterable[str] = ()) -> Sequence[MapRow]:
        """Return the rows from top to bottom, without what hangs on the turns in `folded`."""
        foldable = [turn_id for turn_id in folded if turn_id in self._hanging]
        if not foldable:
            return self._rows
        rows = self._rows.copy()
        hidden: list[tuple[int, int]] = []
        # From the top, because what is drawn beside a turn depends on the turn before it.
        for turn_id in sorted(foldable, key=self._row_of.__getitem__):
            hanging, at = self._hanging[turn_id], self._row_of[turn_id]
            if rows[at].beside != _TAKEN:
                rows[at] = rows[at]._replace(beside=_FOLDED)
            rows[hanging.follower] = _beside_free(rows[hanging.follower])
            hidden += [(hanging.start, hanging.follower), (hanging.follower + 1, hanging.end)]
        return _without(rows, hidden)

    # -- building it

    def _run(
        self, at: str | None, first: tuple[Lane, ...], rest: tuple[Lane, ...], *, is_active: bool
    ) -> None:
        """Add the rows of the run that starts at `at`; None stands for the root above all first turns.

        Args:
            at: the first turn.
            first: what is drawn before its first row.
            rest: what is drawn before all its others.
            is_active: whether the run is the active path.
        """
        rows = self._rows
        lanes = first
        later: Sequence[Turn] = ()
        before: _Hanging | None = None
        while True:
            children = self._chat.children(at)
            others = max(0, len(children) - 1)
            if at is not None:
                beside = _TAKEN if later else _FORK if others else _FREE
                self._row_of[at] = len(rows)
                rows.append(MapRow(at, lanes, beside, is_active, others))
            lanes = rest
            self._add_beside(later, rest, is_active=is_active, goes_on=bool(children))
            start = len(rows)
            if others and (later or at is None):
                # The lane beside this row is in use.
                line = "╭─╮" if at is None else "├─╮"
                rows.append(MapRow(None, (*rest, Lane(line, is_active)), "", is_active))
            if before is not None:
                before.end = len(rows)
            if not children:
                return
            place = self._follower(children)
            later = children[place + 1 :]
            self._add_beside(
                children[:place], rest, is_active=is_active, goes_on=True, is_last=not later
            )
            for number, child in enumerate(children, start=1):
                self.places[child.id] = (number, len(children))
            before = _Hanging(start, len(rows)) if others and at is not None else None
            if before is not None and at is not None:
                self._hanging[at] = before
            at = children[place].id

    def _add_beside(
        self,
        heads: Sequence[Turn],
        rest: tuple[Lane, ...],
        *,
        is_active: bool,
        goes_on: bool,
        is_last: bool = True,
    ) -> None:
        """Add the runs on the lane beside a run that continues below them if `goes_on`. The last run ends the lane if `is_last`."""
        if not heads:
            return
        main = Lane("│ " if goes_on else "  ", is_active)
        goes, ends = (*rest, main, Lane("├─")), (*rest, main, Lane("╰─"))
        below, below_end = (*rest, main, Lane("│ ")), (*rest, main, Lane("  "))
        for number, head in enumerate(heads, start=1):
            if is_last and number == len(heads):
                self._run(head.id, ends, below_end, is_active=False)
            else:
                self._run(head.id, goes, below, is_active=False)

    def _follower(self, children: Sequence[Turn]) -> int:
        """Return the index of the variant with which the run continues."""
        if len(children) == 1:
            return 0
        on_way = (at for at, turn in enumerate(children) if turn.id in self._active)
        longest = max(range(len(children)), key=lambda at: self._sizes[children[at].id])
        return next(on_way, longest)


def map_rows(conversation: Conversation, folded: Iterable[str] = ()) -> Sequence[MapRow]:
    """Return the rows of a chat's map from top to bottom, without what hangs on the turns in `folded`."""
    return BranchMap(conversation).rows(folded)


def _beside_free(row: MapRow) -> MapRow:
    """Return the row of a turn with the lane beside it freed."""
    if row.beside != _TAKEN:
        return row
    return row._replace(beside=_FORK if row.variants else _FREE)


def _without(rows: list[MapRow], hidden: list[tuple[int, int]]) -> list[MapRow]:
    """Return rows without those in some ranges, which may overlap."""
    shown: list[MapRow] = []
    at = 0
    for start, end in sorted(hidden):
        shown += rows[at:start]
        at = max(at, end)
    return shown + rows[at:]


def sizes(conversation: Conversation) -> dict[str, int]:
    """Return the number of turns in the branch below each turn, itself included."""
    first = conversation.children(None)
    order = [turn.id for head in first for turn in (head, *conversation.descendants(head.id))]
    found = dict.fromkeys(order, 1)
    for turn_id in reversed(order):
        parent = conversation.turns[turn_id].parent
        if parent is not None:
            found[parent] += found[turn_id]
    return found


def branch_from(conversation: Conversation, turn_id: str, most: int) -> Sequence[Turn]:
    """Return a turn and what follows it, at most `most` turns: along the active path, or else along the newest turns."""
    active = {turn.id for turn in conversation.path}
    found = [conversation.turns[turn_id]]
    while len(found) < most and (children := conversation.children(found[-1].id)):
        found.append(next((turn for turn in children if turn.id in active), children[-1]))
    return found
