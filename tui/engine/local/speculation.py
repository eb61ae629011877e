"""Drafts tokens for the model to verify in one pass, and measures whether drafting is faster.

The drafts of prompt lookup are copied from what the chat says already, which is right often when code is edited or a text is
quoted, and nearly never otherwise. So it is measured: what a pass costs with and without a draft, and how many tokens were
right. Drafting goes on only as long as that makes more tokens per second than doing without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Final, Protocol

from tui.dataclass import dataclass
from tui.engine.base import Speculation
from tui.engine.local.decoding import Drafter, NoDrafter

_GRAM: Final = 3
"""A draft is what followed when these many tokens last stood in the chat."""
_LONG_MATCH: Final = 6
"""A match of so many tokens is worth a try when drafts did not pay before."""
_MOST_DRAFTED: Final = 10
_PRIOR_ACCEPTANCE: Final = 0.6
_PRIOR_WEIGHT: Final = 2.0
_MEMORY: Final = 0.95
"""How much of what was measured before counts after each new draft."""
_MARGIN: Final = 1.05
_FIRST_GUESS_OF_COST: Final = 0.25
"""Of a drafted token, in passes without a draft."""
_LEAST_PAUSE: Final = 16
_GREATEST_PAUSE: Final = 256


@dataclass(slots=True)
class Costs:
    """What passes of a model take, in seconds; measured over all replies, each new one counting a little.

    Attributes:
        plain_s: with one token; 0 when none was measured yet.
        drafted_s: more for each token that was drafted; 0 when none was.
    """

    plain_s: float = 0.0
    drafted_s: float = 0.0

    def learn(self, drafted: int, elapsed_s: float) -> None:
        """Take note of a pass."""
        if not drafted:
            self.plain_s = _blend(self.plain_s, elapsed_s)
        elif self.plain_s:
            each = max(0.0, elapsed_s - self.plain_s) / drafted
            self.drafted_s = _blend(self.drafted_s, each)

    def of(self, drafted: int) -> float:
        """Return what a pass takes, in passes with one token."""
        if not self.plain_s:
            return 1 + _FIRST_GUESS_OF_COST * drafted
        each = self.drafted_s / self.plain_s if self.drafted_s else _FIRST_GUESS_OF_COST
        return 1 + each * drafted


@dataclass(slots=True)
class Payoff:
    """Whether drafting pays in one reply, and how many tokens at a time.

    Attributes:
        costs: of passes.
    """

    costs: Costs
    _right: float = _PRIOR_ACCEPTANCE * _PRIOR_WEIGHT
    _tried: float = _PRIOR_WEIGHT
    _pause: int = 0
    _next_pause: int = _LEAST_PAUSE

    @property
    def acceptance(self) -> float:
        """How likely the next drafted token is right."""
        return self._right / self._tried

    def length(self) -> int:
        """Return how many tokens to draft; 0 when it does not pay."""
        best, most = 0, 1.0
        expected, chance = 1.0, 1.0
        for count in range(1, _MOST_DRAFTED + 1):
            chance *= self.acceptance
            expected += chance
            rate = expected / self.costs.of(count)
            if rate > most * (_MARGIN if not best else 1.0):
                best, most = count, rate
        return best

    def is_time_to_try(self) -> bool:
        """Return whether drafts that did not pay were left alone for long enough; called once for each token."""
        self._pause += 1
        if self._pause < self._next_pause:
            return False
        self._pause = 0
        self._next_pause = min(2 * self._next_pause, _GREATEST_PAUSE)
        return True

    def learn(self, drafted: int, accepted: int) -> None:
        """Take note of what became of a draft."""
        # What comes after the first wrong token was never looked at.
        looked_at = min(drafted, accepted + 1)
        self._right = self._right * _MEMORY**looked_at + accepted
        self._tried = self._tried * _MEMORY**looked_at + looked_at
        if accepted == drafted:
            self._next_pause = _LEAST_PAUSE


@dataclass(slots=True)
class Lookup:
    """Drafts what followed when the last tokens stood in the chat before.

    Attributes:
        costs: of passes.
        payoff: tells how much to draft; None to draft always.
        most: how many tokens to draft when that is always done.
        grams: how many of the last tokens must have stood there before; the first of these numbers that finds a place holds.
    """

    costs: Costs
    payoff: Payoff | None = None
    most: int = _MOST_DRAFTED
    grams: Sequence[int] = (_GRAM,)
    _places: dict[tuple[int, ...], int] = field(default_factory=dict)
    """Where what follows each gram begins; of its last occurrence."""
    _indexed: int = 0

    def draft(self, ids: Sequence[int]) -> Sequence[int]:
        """Return what may come next; empty when nothing is found, or when it does not pay."""
        self._index(ids)
        for gram in self.grams:
            place = self._places.get(tuple(ids[-gram:]))
            if place is not None:
                return tuple(ids[place : place + self._length(ids, place)])
        return ()

    def learn(self, drafted: int, accepted: int, elapsed_s: float) -> None:
        """Take note of a pass."""
        self.costs.learn(drafted, elapsed_s)
        if drafted and self.payoff is not None:
            self.payoff.learn(drafted, accepted)

    def _length(self, ids: Sequence[int], place: int) -> int:
        if self.payoff is None:
            return self.most
        count = self.payoff.length()
        if count:
            return count
        may_try = self.payoff.is_time_to_try() and _matching(ids, place) >= _LONG_MATCH
        return _GRAM if may_try else 0

    def _index(self, ids: Sequence[int]) -> None:
        """Note what follows each gram up to the end, but not what follows the last, which is not known yet."""
        for gram in self.grams:
            for at in range(max(self._indexed, gram), len(ids)):
                self._places[tuple(ids[at - gram : at])] = at
        self._indexed = len(ids)


def _matching(ids: Sequence[int], place: int) -> int:
    """Return how many tokens before a place are those at the end, as far as that matters."""
    count = 0
    while count < _LONG_MATCH and place > count and ids[place - 1 - count] == ids[-1 - count]:
        count += 1
    return count


class Beginning(Protocol):
    """A drafter that goes on from reply to reply."""

    def begin(self) -> Drafter:
        """Return the drafter of one reply."""
        ...

    def forget(self) -> None:
        """Forget what was computed for replies before."""
        ...


@dataclass(slots=True)
class Speculator:
    """Chooses the drafter of each reply of one model; keeps what passes cost.

    Attributes:
        can_cut: whether what was drafted wrongly can be taken off the model's cache; nothing is drafted otherwise.
        assistant: drafts with a second model, if one is loaded.
        early_exit: drafts with the model's own first layers, where that can be done.
    """

    can_cut: bool
    assistant: Beginning | None = None
    early_exit: Beginning | None = None
    _costs: Costs = field(default_factory=Costs)

    def forget(self) -> None:
        """Forget what was computed for replies before, which may be no numbers."""
        for drafter in (self.assistant, self.early_exit):
            if drafter is not None:
                drafter.forget()

    def drafter(
        self, choice: Speculation, tokens: int | None = None, longest_gram: int = 0
    ) -> Drafter:
        """Return the drafter of one reply; what is not there is replaced by prompt lookup as long as it pays.

        Args:
            choice: how to draft.
            tokens: draft so many by prompt lookup always, whatever the choice is; 0 for no prompt lookup; None to leave it
                to the choice.
            longest_gram: the longest run of tokens to look for then; 0 for the usual one.
        """
        if not self.can_cut:
            return NoDrafter()
        if tokens:
            grams = range(longest_gram, 0, -1) if longest_gram else (_GRAM,)
            return Lookup(self._costs, most=tokens, grams=grams)
        if choice is Speculation.OFF:
            return NoDrafter()
        if choice is Speculation.LOOKUP:
            return Lookup(self._costs) if tokens is None else NoDrafter()
        if choice is Speculation.EARLY_EXIT and self.early_exit is not None:
            return self.early_exit.begin()
        if choice is not Speculation.EARLY_EXIT and self.assistant is not None:
            return self.assistant.begin()
        return NoDrafter() if tokens == 0 else Lookup(self._costs, Payoff(self._costs))


def _blend(known: float, new: float) -> float:
    return 0.9 * known + 0.1 * new if known else new
