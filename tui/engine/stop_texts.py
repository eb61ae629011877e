"""Texts that end a reply, found also where they come in pieces."""

from __future__ import annotations

from collections.abc import Sequence

from tui.engine.base import Emit, Event, ReasoningDelta, ReasoningFound, TextDelta


class StopTexts:
    """Ends a reply at stop strings: passes events on, and holds back text that may be the start of one."""

    def __init__(self, texts: Sequence[str], emit: Emit, marks: Sequence[str] = ()) -> None:
        """Watch for texts in what is given to `take`, which goes on to `emit`.

        Args:
            texts: end an answer; reasoning may hold them.
            emit: takes what is passed on.
            marks: end a reply wherever they stand, as the marks of roles do.
        """
        self._texts: dict[type[Event], tuple[str, ...]] = {
            TextDelta: tuple(text for text in (*texts, *marks) if text),
            ReasoningDelta: tuple(text for text in marks if text),
        }
        self._emit = emit
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._held = ""
        self._tokens = 0
        self.found = False

    def take(self, event: Event) -> None:
        """Pass an event on; of text, what stands before a stop text."""
        if self.found:
            return
        if isinstance(event, ReasoningFound):
            # It has what was held back.
            self._held, self._tokens = "", 0
        if not isinstance(event, TextDelta | ReasoningDelta):
            self._emit(event)
            return
        if type(event) is not self._kind:
            self._pass_on(len(self._held))
            self._kind = type(event)
        self._held += event.text
        self._tokens += event.tokens
        places = [at for text in self._texts[self._kind] if (at := self._held.find(text)) >= 0]
        if places:
            self.found = True
            self._pass_on(min(places))
        else:
            self._pass_on(len(self._held) - self._beginning())

    def finish(self) -> None:
        """Pass on what was held back, as the reply ended without a stop text."""
        if not self.found:
            self._pass_on(len(self._held))

    def _beginning(self) -> int:
        """Return how much of the held text's end may be the beginning of a stop text."""
        texts = self._texts[self._kind]
        longest = min(len(self._held), max(map(len, texts), default=1) - 1)
        ends = (size for size in range(longest, 0, -1))
        return next((n for n in ends if any(text.startswith(self._held[-n:]) for text in texts)), 0)

    def _pass_on(self, size: int) -> None:
        text, self._held = self._held[:size], self._held[size:]
        if text:
            self._emit(self._kind(text, self._tokens))
            self._tokens = 0
