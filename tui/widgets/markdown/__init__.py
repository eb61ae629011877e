"""Markdown as styled lines: parsed once, laid out at any width, and cheap while it grows."""
