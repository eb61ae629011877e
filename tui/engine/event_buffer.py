"""Buffer for events that jobs have emitted and the screen hasn't read yet.

It stays small however much is said and however long nobody looks: neighboring pieces of text are joined as they come, of progress only
the newest is kept, and whoever says more than fits waits.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Final

from tui.dataclass import dataclass
from tui.engine.base import Event, Progress, ReasoningDelta, TextDelta

_MOST_CHARACTERS: Final = 1_000_000
_MOST_EVENTS: Final = 10_000
_LONGEST_DELTA: Final = 100_000
_LOOK_S: Final = 0.05


@dataclass(slots=True)
class _Said:
    """One event, or several neighboring pieces of the same text."""

    job: int
    event: Event
    pieces: list[str] = field(default_factory=list)
    tokens: int = 0

    def takes(self, job: int, event: Event) -> bool:
        """Join an event to this one where nothing is lost by that; return whether it was."""
        if job != self.job or type(event) is not type(self.event):
            return False
        if isinstance(event, TextDelta | ReasoningDelta):
            self.pieces.append(event.text)
            self.tokens += event.tokens
            return True
        if isinstance(event, Progress):
            self.event = event
            return True
        return False

    @property
    def whole(self) -> Event:
        """All of it as one event."""
        if len(self.pieces) > 1 and isinstance(self.event, TextDelta | ReasoningDelta):
            return type(self.event)("".join(self.pieces), self.tokens)
        return self.event


class EventBuffer:
    """Holds the events of jobs until they are drained. Any thread may fill or drain it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._said: deque[_Said] = deque()
        self._characters = 0

    def put(self, job: int, event: Event, gives_up: Callable[[], bool]) -> None:
        """Add an event of a job that runs; wait while there is too much already.

        Args:
            gives_up: tells when it must not wait any more.
        """
        for part in _parts(event):
            with self._changed:
                while self._is_full and not gives_up():
                    self._changed.wait(_LOOK_S)
                self._add(job, part)

    def put_last(self, job: int, event: Event) -> None:
        """Add the event that ends a job, however much there is."""
        with self._changed:
            self._add(job, event)

    def drain(self) -> list[tuple[int, Event]]:
        """Remove and return all events, oldest first."""
        with self._changed:
            said, self._said = self._said, deque()
            self._characters = 0
            self._changed.notify_all()
        return [(one.job, one.whole) for one in said]

    @property
    def _is_full(self) -> bool:
        return self._characters >= _MOST_CHARACTERS or len(self._said) >= _MOST_EVENTS

    def _add(self, job: int, event: Event) -> None:
        if isinstance(event, TextDelta | ReasoningDelta):
            self._characters += len(event.text)
        if self._said and self._said[-1].takes(job, event):
            return
        said = _Said(job, event)
        if isinstance(event, TextDelta | ReasoningDelta):
            said.pieces, said.tokens = [event.text], event.tokens
        self._said.append(said)


def _parts(event: Event) -> Iterator[Event]:
    """Yield an event, a very long piece of text in several."""
    if not isinstance(event, TextDelta | ReasoningDelta) or len(event.text) <= _LONGEST_DELTA:
        yield event
        return
    tokens = event.tokens
    for start in range(0, len(event.text), _LONGEST_DELTA):
        yield type(event)(event.text[start : start + _LONGEST_DELTA], tokens)
        tokens = 0
