"""chat-tui: a full-screen terminal app for chatting with language models on your own machine."""

__version__ = "0.2.0"
