"""The main screen: `screen` lays it out and puts its objects together, `show` is the only one that paints, `commands` says what does
each action, and each of the others does one kind of thing. What a chat is and does is the core's: see `tui.chat`.
"""

from tui.screens.chat.screen import ChatScreen
from tui.screens.chat.starting import Start

__all__ = ["ChatScreen", "Start"]
