"""Text fields for untrusted text: what all of the app's fields share, and fixes for Textual's own.

Keys act in the order in which they were typed, pasted text is made safe to show, and undo never leaves the cursor
after the end of the text.
"""

from __future__ import annotations

from typing import Final

from textual import events
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import TextArea

from tui.sanitize import sanitize
from tui.widgets.ground import ground, has_styles

BLINKS: Final = 20
"""How many times the cursor changes, every half second, before it stops blinking."""


async def act_in_order(field: Widget, event: events.Key) -> None:
    """Run the binding of a key in a field at once. Call this before the field handles the key.

    A field handles a character itself, but a binding runs only after the key has bubbled up to the app. In a burst of keys,
    characters would overtake the newline or the backspace before them.
    """
    if event.is_printable:
        return
    active = field.screen.active_bindings.get(event.key)
    if active is None or active.node is not field or active.binding.priority:
        return
    if await field.app.run_action(active.binding.action, field):
        event.stop()
        event.prevent_default()


def is_still(widget: Widget) -> bool:
    """Return whether animations are off in the settings."""
    return widget.app.has_class("-still")


class Editor(TextArea):
    """A text area. Subclasses decide what Enter and the arrow keys do.

    Its cursor stops blinking if nothing is typed for a while, because each blink redraws the screen.
    """

    _blinks_left = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of `crop`, in cells of the widget."""
        return super().render_lines(crop) if has_styles(self) else ground(self, crop)

    def _restart_blink(self) -> None:
        self._blinks_left = 0 if is_still(self) else BLINKS
        super()._restart_blink()

    def _toggle_cursor_blink_visible(self) -> None:
        self._blinks_left -= 1
        if self._blinks_left > 0:
            super()._toggle_cursor_blink_visible()
        else:
            self._pause_blink(visible=True)

    async def _on_key(self, event: events.Key) -> None:
        await act_in_order(self, event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = sanitize(event.text)
        if text and not self.read_only:
            self.replace(text, *self.selection, maintain_selection_offset=False)

    def action_newline(self) -> None:
        """Start a new line at the cursor."""
        self.replace("\n", *self.selection, maintain_selection_offset=False)
        self.scroll_cursor_visible()

    def scroll_cursor_visible(self, center: bool = False, animate: bool = False) -> Offset:
        """Scroll so that the cursor is in view.

        If an undo removes lines, the scrollbar may disappear, and Textual scrolls before it moves the cursor up. The undo
        moves the cursor afterwards, which scrolls again.
        """
        row, column = self.selection.end
        if row >= self.document.line_count or column > len(self.document[row]):
            return Offset(0, 0)
        return super().scroll_cursor_visible(center, animate)
