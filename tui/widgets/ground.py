"""Containers that draw only their background.

At every token, the compositor asks each container under a change for all of its lines. These containers return the same
line for all of them. Textual's `BLANK` does that too, but without the filters that remove colors.
"""

from __future__ import annotations

from textual.containers import Center, Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget


def ground(widget: Widget, crop: Region) -> list[Strip]:
    """Return the lines of `crop`, in cells of the widget, with only the background."""
    strip = Strip.blank(crop.width, widget.visual_style.rich_style)
    for one in widget.get_line_filters():
        strip = strip.apply_filter(one, widget.background_colors[1])
    return [strip] * crop.height


def has_styles(widget: Widget) -> bool:
    """Return whether the styles of the widget's parts are available.

    A removed widget is painted once more if something under it changes before the next layout, and its
    styles are gone by then. Textual raises `KeyError`, which ends the app.
    """
    return widget.parent is not None


class Row(Horizontal):
    """Children side by side."""

    render_lines = ground


class Column(Vertical):
    """Children stacked vertically."""

    render_lines = ground


class Middle(Center):
    """Children centered in each line."""

    render_lines = ground
