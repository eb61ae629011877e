"""Markdown as styled lines: parsed once, laid out at any width, and cheap while it grows."""

from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.lines import Line, Span
from tui.widgets.markdown.parser import warm_up

__all__ = ["Line", "LiveDocument", "Span", "warm_up"]
