"""A box with a tick if it is on, and empty if it is off. Textual's own differ only in color."""

from __future__ import annotations

from textual.widgets import Checkbox


class Tick(Checkbox):
    """A checkbox that can be read without color."""

    def __init__(self, label: str, value: bool = False, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        self.BUTTON_INNER = "✓" if value else " "
        super().__init__(label, value, id=id, compact=True)

    def watch_value(self) -> None:
        """Draw or remove the tick."""
        self.BUTTON_INNER = "✓" if self.value else " "
        super().watch_value()
        self.refresh()
