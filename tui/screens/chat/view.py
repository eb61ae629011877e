"""The widgets of the chat screen by name, for the objects that update or query several of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from textual.screen import Screen
from textual.widgets import Static

from tui.chat.settings import ChatSettings
from tui.dataclass import dataclass
from tui.screens.chat.composing import ComposerArea
from tui.screens.chat.pane import TurnPane
from tui.widgets.composer import Composer
from tui.widgets.sidebar import Sidebar
from tui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from tui.widgets.find_bar import FindBar


@dataclass(frozen=True, slots=True)
class View:
    """The widgets of the screen."""

    screen: Screen[None]
    title: Static
    transcript: TurnPane
    unseen: Static
    make_find_bar: Callable[[], FindBar]
    """Returns the search bar, which is created when it is first asked for."""
    area: ComposerArea
    sidebar: Sidebar
    status: StatusBar

    @property
    def find_bar(self) -> FindBar:
        """Where the words to search are written."""
        return self.make_find_bar()

    @property
    def composer(self) -> Composer:
        """Where a message is written."""
        return self.area.composer


def make_view(screen: Screen[None], area: ComposerArea, settings: ChatSettings) -> View:
    """Create the widgets of a screen.

    Args:
        screen: the screen of the widgets.
        area: the composer, which is created elsewhere.
        settings: the initial values of the sidebar.
    """
    return View(
        screen=screen,
        title=Static("", id="title", markup=False),
        transcript=TurnPane(id="transcript"),
        unseen=Static("↓ new text", id="unseen"),
        make_find_bar=cache(_find_bar),
        area=area,
        sidebar=Sidebar(
            quantization=settings.quantization,
            system_prompt=settings.system_prompt,
            parameters=settings.parameters,
            overflow=settings.overflow,
            speculation=settings.speculation,
            id="sidebar",
        ),
        status=StatusBar(id="status"),
    )


def _find_bar() -> FindBar:
    from tui.widgets.find_bar import FindBar

    return FindBar()
