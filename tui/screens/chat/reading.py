"""Reading a chat: following the reply, searching, links."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import urlsplit

from textual import on, work
from textual.widgets import Static

from tui.browser import open_address
from tui.sanitize import sanitize_line
from tui.screens.ask import Answer, Ask
from tui.screens.chat.files import Files
from tui.widgets.find_bar import FindBar
from tui.widgets.transcript import Transcript

_SCHEMES: Final = ("http", "https", "mailto")


class Reading(Files):
    """What concerns the eye of the reader."""

    # -- following

    @on(Transcript.FollowChanged)
    def _follow_changed(self, event: Transcript.FollowChanged) -> None:
        badge = self.query_one("#unseen", Static)
        badge.set_class(not event.following and event.unseen, "-shown")

    def action_transcript_page_up(self) -> None:
        """Scroll back by a page."""
        self.transcript.scroll_page_up(animate=False)

    def action_transcript_page_down(self) -> None:
        """Scroll on by a page."""
        self.transcript.scroll_page_down(animate=False)

    def action_transcript_first(self) -> None:
        """Go to the first turn."""
        self.set_focus(self.transcript)
        self.transcript.cursor_first()

    def action_transcript_follow(self) -> None:
        """Go to the end and stay there."""
        self.transcript.follow()

    def action_turn_previous_user(self) -> None:
        """Move the cursor to the user turn before."""
        self.set_focus(self.transcript)
        self.transcript.move_cursor_user(-1)

    def action_turn_next_user(self) -> None:
        """Move the cursor to the user turn after."""
        self.set_focus(self.transcript)
        self.transcript.move_cursor_user(1)

    def action_transcript_line_numbers(self) -> None:
        """Show or hide line numbers in code."""
        self.transcript.toggle_line_numbers()

    # -- searching

    @property
    def _find_bar(self) -> FindBar:
        return self.query_one(FindBar)

    def action_transcript_find(self) -> None:
        """Search the chat."""
        self._find_bar.open()

    @on(FindBar.Wanted)
    def _find(self, event: FindBar.Wanted) -> None:
        if event.query.strip():
            self.transcript.find(event.query)
        else:
            self.transcript.clear_find()
        self._find_bar.show_count(*self.transcript.found)

    @on(FindBar.Stepped)
    def _find_next(self, event: FindBar.Stepped) -> None:
        self.transcript.find_next(event.step)
        self._find_bar.show_count(*self.transcript.found)

    @on(Transcript.HitsCounted)
    def _hits_counted(self) -> None:
        self._find_bar.show_count(*self.transcript.found)

    def action_composer_focus(self) -> None:
        """Put the cursor into the composer, and end a search that was left with Shift+Tab."""
        if self._find_bar.has_class("-open"):
            self._find_bar.action_close()
        super().action_composer_focus()

    @on(FindBar.Closed)
    def _find_closed(self) -> None:
        self.transcript.clear_find()
        self.set_focus(self.composer)

    # -- links

    @on(Transcript.LinkClicked)
    def _link_clicked(self, event: Transcript.LinkClicked) -> None:
        self._offer_link(event.url)

    @work(exclusive=True, group="link")
    async def _offer_link(self, url: str) -> None:
        """Show where a link leads before anything is opened."""
        answers = [Answer("leave", "Leave it", "escape"), Answer("copy", "Copy the address", "c")]
        if can_be_opened(url):
            answers.append(Answer("open", "Open in the browser", "o"))
        chosen = await self.app.push_screen_wait(Ask("A link", sanitize_line(url, 2000), answers))
        if chosen == "copy":
            self.copy(url, "The address")
        elif chosen == "open" and not await asyncio.to_thread(open_address, url):
            self.copy(url, "No browser could be opened here; the address")


def can_be_opened(url: str) -> bool:
    """Return whether an address may be handed to the browser: a web or mail address that holds nothing odd."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in _SCHEMES and sanitize_line(url) == url and " " not in url
