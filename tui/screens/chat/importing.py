"""Reads the chats of files behind the screen, so that a long import can be stopped: between two files, or by leaving one behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from tui.sanitize import sanitize_line
from tui.transfer import Source, Tally, counted, read_sources


class Import:
    """One import, from the first file to the last or to where it was stopped."""

    def __init__(self, path: Path) -> None:
        self._sources = read_sources([path])
        self._stop = asyncio.Event()
        self.tally = Tally()
        """What came of it so far."""
        self.said: list[str] = []
        """A line for each file of which something could not be taken over, and why."""

    @property
    def label(self) -> str:
        """What it is, in a few words for the status bar."""
        count = len(self.tally.chats)
        return f"importing ({counted(count, 'chat')})" if count else "importing"

    def note(self, source: Source) -> None:
        """Take note of a file, before its chats are kept."""
        self.tally.add(source)
        name = _short(source.name)
        if source.imported is not None:
            self.said += [f"{name}: {sentence}" for sentence in source.imported.problems]
        elif source in self.tally.failures:
            self.said.append(f"{name}: {source.failure}")

    @property
    def is_stopped(self) -> bool:
        """Whether the user wanted it to end."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Let it end; what was kept of it so far stays."""
        self._stop.set()

    async def sources(self) -> AsyncIterator[Source]:
        """Yield what each file holds, until the last or until it is stopped.

        A file that is being read then is left behind: its thread reads it to the end, and nobody takes what comes of it.
        """
        while not self.is_stopped:
            reading = asyncio.ensure_future(asyncio.to_thread(next, self._sources, None))
            stopping = asyncio.ensure_future(self._stop.wait())
            try:
                await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                reading.add_done_callback(_take_no_notice)
            source = reading.result() if reading.done() and not self.is_stopped else None
            if source is None:
                return
            yield source


def _short(name: str) -> str:
    """Return the name of a file without the folders that lead to it; in a folder or archive, its place in there."""
    _outer, is_inside, inner = name.rpartition(": ")
    return sanitize_line(inner if is_inside else Path(name).name, 60)


def _take_no_notice(reading: asyncio.Future[Source | None]) -> None:
    """Have an error that comes after the end lead to no message about it."""
    if not reading.cancelled():
        reading.exception()
