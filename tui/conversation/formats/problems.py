"""Counts, by kind, the parts of a file that could not be imported unchanged, so that an import can report them."""

from __future__ import annotations

from collections import Counter


class Problems:
    """Counts the parts of a file that could not be imported."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: dict[str, None] = {}

    @property
    def count(self) -> int:
        """The total number of parts counted."""
        return self._counts.total()

    def note(self, what: str, count: int = 1) -> None:
        """Record `count` omitted parts, named in the plural, for example "messages without text"."""
        self.tell(f"Left out: {what}", count)

    def tell(self, what: str, count: int = 1) -> None:
        """Record what happened to `count` parts; the text ends with their name in the plural, before the count.

        For example, "Left out: images" becomes "Left out: images (1)", which is right for one part and for many.
        """
        if count > 0:
            self._counts[what] += count

    def say(self, sentence: str) -> None:
        """Record a complete sentence; duplicates are ignored."""
        self._said[sentence] = None

    def add(self, other: Problems) -> None:
        """Add the counts of another instance."""
        self._counts += other._counts
        self._said |= other._said

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each kind of part."""
        counted = [f"{what} ({count:,})" for what, count in self._counts.items()]
        return (*self._said, *counted)
