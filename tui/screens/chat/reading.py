"""Reading a chat: following the reply, searching, opening links."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from tui.browser import open_address
from tui.chat.ui import Answer
from tui.sanitize import sanitize_line
from tui.screens.chat.copying import Copying
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View

_SCHEMES: Final = ("http", "https", "mailto")


class Reading:
    """Scrolling, searching and links."""

    def __init__(self, view: View, copying: Copying, ui: ScreenUi) -> None:
        self._view = view
        self._copying = copying
        self._ui = ui

    def scroll_back(self) -> None:
        """Scroll up by a page."""
        self._view.transcript.scroll_page_up(animate=False)

    def scroll_on(self) -> None:
        """Scroll down by a page."""
        self._view.transcript.scroll_page_down(animate=False)

    def follow(self) -> None:
        """Scroll to the end and keep following it."""
        self._view.transcript.follow()

    def toggle_line_numbers(self) -> None:
        """Show or hide line numbers in code."""
        self._view.transcript.toggle_line_numbers()

    # -- searching

    def open_search(self, words: str = "") -> None:
        """Open the search bar, with words to search for if they are given."""
        self._view.find_bar.open(words)
        self._view.area.place_notices()

    def search(self, query: str) -> None:
        """Highlight the matches of a search."""
        if query.strip():
            self._view.transcript.find(query)
        else:
            self._view.transcript.clear_find()
        self.show_count()

    def search_next(self, step: int) -> None:
        """Go to the next match, or with -1 to the previous one."""
        self._view.transcript.find_next(step)
        self.show_count()

    def show_count(self) -> None:
        """Show the number of matches."""
        self._view.find_bar.show_count(*self._view.transcript.found)

    def end_search(self) -> None:
        """Clear the highlights."""
        self._view.transcript.clear_find()
        self._view.area.place_notices()
        self._view.screen.set_focus(self._view.composer)

    # -- links

    async def offer_link(self, url: str) -> None:
        """Show a link's address before opening it."""
        answers = [Answer("leave", "Don't open", "d"), Answer("copy", "Copy the address", "c")]
        if can_be_opened(url):
            answers.append(Answer("open", "Open in the browser", "o"))
        chosen = await self._ui.ask("Open this link?", sanitize_line(url, 2000), answers)
        if chosen == "copy":
            self._copying.copy(url, "The address")
        elif chosen == "open" and not await asyncio.to_thread(open_address, url):
            self._copying.copy(url, "No browser could be opened here; the address")


def can_be_opened(url: str) -> bool:
    """Return whether an address may be passed to the browser: a web or mail address without unusual characters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and sanitize_line(url) == url and " " not in url
