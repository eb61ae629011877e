"""The text field of one line for untrusted text; what it shares with larger ones is in `editor`."""

from __future__ import annotations

from textual import events
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Input

from tui.widgets.editor import act_in_order, is_still
from tui.widgets.ground import ground, has_styles


class LineInput(Input):
    """A one-line field."""

    def _toggle_cursor(self) -> None:
        if is_still(self):
            self._cursor_visible = True
        else:
            super()._toggle_cursor()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of `crop`, in cells of the widget."""
        return super().render_lines(crop) if has_styles(self) else ground(self, crop)

    async def _on_key(self, event: events.Key) -> None:
        # Enter bubbles up as usual. It must not overtake arrow keys that the dialog around the field handles.
        if event.key != "enter":
            await act_in_order(self, event)
