"""What of a file could not be taken over as it is, counted by kind, so that an import can say it."""

from __future__ import annotations

from collections import Counter


class Problems:
    """Counts what of a file could not be taken over."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: dict[str, None] = {}

    @property
    def count(self) -> int:
        """How many parts were counted so far, of whatever kind."""
        return self._counts.total()

    def note(self, what: str, count: int = 1) -> None:
        """Note `count` parts that were left out, named as in "an image"."""
        self.tell(f"{what} was left out", count)

    def tell(self, what: str, count: int = 1) -> None:
        """Note what happened `count` times, as in "a message has no role"."""
        if count > 0:
            self._counts[what] += count

    def say(self, sentence: str) -> None:
        """Note a sentence as it is; one that was said before isn't said again."""
        self._said[sentence] = None

    def add(self, other: Problems) -> None:
        """Take over what another has counted."""
        self._counts += other._counts
        self._said |= other._said

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each kind of part."""
        counted = [f"{count} × {what}" for what, count in self._counts.items()]
        return (*self._said, *counted)
