"""The style names of rendered lines, their colors in CSS, and the conversion between them.

The names are component classes of one widget, so that a theme (or a user's CSS) sets every color, and only one
widget is restyled when the theme changes.
"""

from __future__ import annotations

from typing import ClassVar, Final

from rich.style import Style as RichStyle
from textual.style import Style
from textual.widget import Widget

_RULES: Final = {
    "strong": "text-style: bold;",
    "em": "text-style: italic;",
    "strike": "text-style: strike; color: $text-muted;",
    "heading1": "text-style: bold underline; color: $text-primary;",
    "heading2": "text-style: bold; color: $text-primary;",
    "heading3": "text-style: bold; color: $text-secondary;",
    "heading4": "text-style: bold italic; color: $text-secondary;",
    "code": "color: $text-accent; background: $foreground 7%;",
    "math": "color: $text-accent; text-style: italic;",
    "link": "color: $text-primary; text-style: underline;",
    "quiet": "color: $text-muted;",
    "quote": "color: $text-muted;",
    "bar": "color: $primary;",
    "bullet": "color: $text-primary;",
    "rule": "color: $foreground 30%;",
    "th": "text-style: bold; color: $text-primary;",
    "raw": "color: $text-secondary;",
    "notice": "color: $text-warning; text-style: italic;",
    "fence": "background: $foreground 7%;",
    "line-number": "color: $text-disabled;",
    "footnote": "color: $text-primary;",
    "fence-label": "background: $foreground 7%; color: $text-muted;",
    "tok-comment": "color: $text-muted; text-style: italic;",
    "tok-keyword": "color: $text-accent; text-style: bold;",
    "tok-string": "color: $text-success;",
    "tok-number": "color: $text-warning;",
    "tok-name": "color: $foreground;",
    "tok-function": "color: $text-primary;",
    "tok-type": "color: $text-secondary; text-style: bold;",
    "tok-builtin": "color: $text-accent;",
    "tok-attribute": "color: $text-warning;",
    "tok-operator": "color: $text-secondary;",
    "tok-inserted": "color: $text-success;",
    "tok-deleted": "color: $text-error;",
    "tok-heading": "color: $text-primary; text-style: bold;",
    "user": "background: $foreground 5%;",
    "label-user": "color: $text-accent;",
    "label-assistant": "color: $text-primary;",
    "label-other": "color: $text-secondary;",
    "caret": "color: $text-primary;",
    "bar-user": "color: $accent;",
    "cursor": "color: $warning; text-style: bold;",
    "caption": "color: $text-muted;",
    "variants": "color: $text-primary; text-style: bold;",
    "thought": "color: $text-muted; text-style: italic;",
    "thinking": "color: $text-muted;",
    "status-quiet": "color: $text-muted; text-style: italic;",
    "status-warning": "color: $text-warning;",
    "status-error": "color: $text-error; text-style: bold;",
    "faded": "color: $text-disabled;",
    "marked": "background: $primary 20%;",
    "hit": "background: $warning 40%; text-style: bold;",
    "hit-current": "background: $warning; color: $background; text-style: bold underline;",
}
_PREFIX: Final = "text--"
COMPONENT_CLASSES: Final = frozenset(_PREFIX + name for name in _RULES)


def component_css(widget_type: str) -> str:
    """Return the default CSS of every style name for the widget type with the component classes."""
    return "\n".join(
        f"{widget_type} > .{_PREFIX}{name} {{ {rules} }}" for name, rules in _RULES.items()
    )


class TextColors(Widget):
    """Has the colors, and is never shown. A transcript gets it with its first turn: fifty styles take a while to be parsed."""

    COMPONENT_CLASSES: ClassVar[set[str]] = set(COMPONENT_CLASSES)
    DEFAULT_CSS: ClassVar[str] = "TextColors { display: none; }\n" + component_css("TextColors")


class Palette:
    """Converts style names to colors of the current theme. Call `clear` when the theme changes."""

    def __init__(self, widget: Widget) -> None:
        self._widget = widget
        self._visual: dict[str, Style] = {}
        self._rich: dict[tuple[str, Style | None], RichStyle] = {}
        self.version = 0
        """Increases when the colors change."""

    def visual(self, names: str) -> Style:
        """Return the style of `names` (separated by spaces), later ones over earlier ones."""
        style = self._visual.get(names)
        if style is None:
            style = self._widget.get_visual_style(*(_PREFIX + name for name in names.split()))
            self._visual[names] = style
        return style

    def style(self, names: str, over: Style | None = None) -> RichStyle:
        """Return the style of `names` for a strip, with `over` on top of it."""
        key = (names, over)
        style = self._rich.get(key)
        if style is None:
            visual = self.visual(names)
            style = (visual if over is None else visual + over).rich_style
            self._rich[key] = style
        return style

    def mark(self, name: str) -> Style:
        """Return the style of `name` alone, to be put over another style."""
        return Style.from_styles(self._widget.get_component_styles(_PREFIX + name))

    def clear(self) -> None:
        """Forget the colors of the old theme."""
        self._visual.clear()
        self._rich.clear()
        self.version += 1
