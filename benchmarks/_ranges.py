"""What repeated measurements allow to be said: a median with its range, and a ratio only where every pair agrees on its side of 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

FEWEST_PAIRS: Final = 3
"""With fewer pairs, nothing is said about which contestant is ahead."""


@dataclass(frozen=True, slots=True)
class Range:
    """The smallest, the middle and the largest of some measurements."""

    low: float
    median: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the range of at least one measurement."""
        return cls(min(values), median(values), max(values), len(values))

    def text(self, digits: int | None = None) -> str:
        """Return it as `median (low to high)`, or as one number where there is one measurement.

        Args:
            digits: decimals; None for three significant digits.
        """
        if self.count == 1:
            return plain(self.median, digits)
        low, high = plain(self.low, digits), plain(self.high, digits)
        return f"{plain(self.median, digits)} ({low} to {high})"


def plain(value: float, digits: int | None = None) -> str:
    """Return a number as people write it: without an exponent, and without more digits than it is good for."""
    if digits is None:
        size = abs(value)
        digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How two contestants compare, pair by pair.

    Attributes:
        ratio: of the first to the second.
    """

    ratio: Range

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Self | None:
        """Compare measurements that were made in turn; those without a partner are left out. None where there is no pair."""
        ratios = [one / other for one, other in zip(ours, theirs, strict=False) if other > 0]
        return cls(Range.of(ratios)) if ratios else None

    @property
    def is_clear(self) -> bool:
        """Whether all pairs, as they are printed, are on the same side of 1."""
        low, high = round(self.ratio.low, 2), round(self.ratio.high, 2)
        return self.ratio.count >= FEWEST_PAIRS and not low <= 1 <= high

    def text(self) -> str:
        """Return the ratio with its range, or that there is no difference."""
        if self.ratio.count < FEWEST_PAIRS:
            return f"too few pairs (needs {FEWEST_PAIRS})"
        if not self.is_clear:
            return f"no difference ({self.ratio.low:.2f} to {self.ratio.high:.2f})"
        return self.ratio.text(2)
