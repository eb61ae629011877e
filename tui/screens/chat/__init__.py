"""The main screen, one floor upon another: `frame` (layout, settings), `talk` (replies, the model), `turns` (acting on
turns), `full_context` (when a chat no longer fits), `files` (chats on disk), `reading` (following, searching, links), `screen` (keys, copying, leaving)."""

from tui.screens.chat.screen import ChatScreen

__all__ = ["ChatScreen"]
