"""A screen over another one that closes once, however often it is asked to."""

from __future__ import annotations

from typing import Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

Result = TypeVar("Result")


class ClosedOnce(ModalScreen[Result | None], Generic[Result]):
    """A screen over another that can be asked to close more than once, as by Enter and Escape typed in a burst."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with a result; does nothing once the screen is closed, or lies below another one."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
