"""A box with a tick in it when it is on, and nothing when it is off: Textual's own tells the two apart by color alone."""

from __future__ import annotations

from textual.widgets import Checkbox


class Tick(Checkbox):
    """A checkbox that can be read without color."""

    def __init__(self, label: str, value: bool = False, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        self.BUTTON_INNER = "✓" if value else " "
        super().__init__(label, value, id=id, compact=True)

    def watch_value(self) -> None:
        """Draw the tick, or take it away."""
        self.BUTTON_INNER = "✓" if self.value else " "
        super().watch_value()
        self.refresh()
