"""A field for the path of a new file. A suggested folder appears after the cursor, and Tab accepts it."""

from __future__ import annotations

import asyncio

from textual import events, work
from textual.suggester import Suggester

from tui.screens.path_offers import path_offers
from tui.widgets.line_input import LineInput


class PathField(LineInput):
    """A field of one line. Tab completes the folder that is being typed; without a suggestion, Tab leaves the field."""

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
        """Accept the suggested folder, or else go to the next field."""
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
    """Suggests the first folder whose path starts with the typed text. Nothing is cached, because folders may change."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Return the path of the suggested folder."""
        return await _offer(value)


async def _offer(typed: str) -> str | None:
    if not typed.strip():
        return None
    offers = await asyncio.to_thread(path_offers, typed, only_folders=True)
    return offers[0] if offers else None
