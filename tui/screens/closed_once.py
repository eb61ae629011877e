"""A screen on top of another one that closes only once, however often it is asked to."""

from __future__ import annotations

from typing import Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

Result = TypeVar("Result")


class ClosedOnce(ModalScreen[Result | None], Generic[Result]):
    """A screen on top of another one that may be asked to close more than once, for example by Enter and Escape in one burst."""

    def on_screen_resume(self) -> None:
        """Show notifications where the screen below shows them."""
        stack = self.app.screen_stack
        below = stack[stack.index(self) - 1] if self in stack[1:] else None
        if below is not None:
            for rack, theirs in zip(
                self.query("ToastRack"), below.query("ToastRack"), strict=False
            ):
                rack.styles.width = theirs.styles.width
                rack.styles.margin = theirs.styles.margin

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with a result. Does nothing if the screen is closed already, or lies below another one."""
        return super().dismiss(result) if self.is_active else AwaitComplete()
