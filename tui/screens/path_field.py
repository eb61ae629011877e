"""A field for the path of something new: how the folders in it may go on stands behind the cursor, and Tab takes that."""

from __future__ import annotations

import asyncio

from textual import events, work
from textual.suggester import Suggester

from tui.screens.path_offers import path_offers
from tui.widgets.editor import LineInput


class PathField(LineInput):
    """A field of one line. Tab completes the folder that is being typed; where there is none, it leaves the field."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(value, placeholder=placeholder, compact=True, suggester=_Folders(), id=id)

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "tab":
            event.stop()
            event.prevent_default()
            self.complete()
        else:
            await super()._on_key(event)

    @work(exclusive=True, group="complete")
    async def complete(self) -> None:
        """Take the folder that is offered, else go to the next field."""
        typed = self.value
        offer = await _offer(typed) if self.cursor_at_end else None
        if not self.has_focus or self.value != typed:
            return
        if offer is None:
            self.app.action_focus_next()
        else:
            self.value = offer
            self.cursor_position = len(offer)


class _Folders(Suggester):
    """Offers the folder whose path goes on from what was typed. Folders come and go, so that nothing is remembered."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return the path of the first such folder."""
        return await _offer(value)


async def _offer(typed: str) -> str | None:
    if not typed.strip():
        return None
    offers = await asyncio.to_thread(path_offers, typed, only_folders=True)
    return offers[0] if offers else None
