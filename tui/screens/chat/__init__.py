"""The main screen. `screen` lays it out and connects its objects, `painter` is the only one that paints, `commands` maps actions to
methods, and each of the others does one kind of thing. What a chat is and does belongs to the core: see `tui.chat`.
"""

from tui.screens.chat.screen import ChatScreen
from tui.screens.chat.starting import Start

__all__ = ["ChatScreen", "Start"]
