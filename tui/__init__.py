"""chat-tui: a full-screen terminal app for talking with local language models."""

__version__ = "0.1.0"
