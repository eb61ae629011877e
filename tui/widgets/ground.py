"""Containers that nothing is drawn on but their own background.

The compositor asks each container under a change for all of its lines, at every token. What is only background answers with one
line for all, which Textual's `BLANK` does too, but without the filters that take colors away.
"""

from __future__ import annotations

from textual.containers import Center, Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


def ground(widget: Widget, crop: Region) -> list[Strip]:
    """Return the lines of `crop`, in cells of the widget, with nothing on them but its background."""
    strip = Strip.blank(crop.width, widget.visual_style.rich_style)
    for one in widget.get_line_filters():
        strip = strip.apply_filter(one, widget.background_colors[1])
    return [strip] * crop.height


def has_styles(widget: Widget) -> bool:
    """Return whether the styles of `widget`'s parts can be asked for.

    What was just taken away is painted once more when something else under it changes before the screen is laid out anew, and its
    styles are gone by then: Textual raises `KeyError`, which ends the app.
    """
    return widget.parent is not None


class Row(Horizontal):
    """Children side by side."""

    render_lines = ground


class Column(Vertical):
    """Children below each other."""

    render_lines = ground


class Middle(Center):
    """Children in the middle of each line."""

    render_lines = ground
