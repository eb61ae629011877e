"""A value that others hear of: the core says that something is another, and knows nothing of who shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

Payload = TypeVar("Payload")


class Signal(Generic[Payload]):
    """Calls its listeners in the order in which they came, on the thread that emits."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Payload], object]] = []

    def listen(self, listener: Callable[[Payload], object]) -> None:
        """Have a listener called with each payload from now on."""
        self._listeners.append(listener)

    def forget(self, listener: Callable[[Payload], object]) -> None:
        """Call a listener no more, as one that is closed."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def emit(self, payload: Payload) -> None:
        """Call every listener."""
        for listener in tuple(self._listeners):
            listener(payload)
