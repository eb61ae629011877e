"""Imports chats in the background. A long import can be stopped between two files, or while one is being read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.chat.core import Core
from tui.conversation import Conversation
from tui.files import is_file, is_folder, typed_path
from tui.sanitize import sanitize_line
from tui.screens.chat.chat_actions import ChatActions
from tui.screens.chat.ui import ScreenUi
from tui.sessions import SessionError, SessionStore

if TYPE_CHECKING:
    from tui.transfer import Source

_SHOWN_PROBLEMS: Final = 3
"""More notes than this are shown in a dialog."""
_SHOWN_AGAIN: Final = 50
"""From this many chats on, the status bar shows the number."""


class Import:
    """One import, from the first file to the last or to the point where it was stopped."""

    def __init__(self, path: Path) -> None:
        from tui.transfer import Tally, read_sources

        self._sources = read_sources([path])
        self._stop = asyncio.Event()
        self.tally = Tally()
        """The result up to now."""
        self.said: list[str] = []
        """A line for each file with something that could not be imported, and why."""

    @property
    def label(self) -> str:
        """A short label for the status bar."""
        from tui.transfer import counted

        count = len(self.tally.chats)
        return f"importing ({counted(count, 'chat')})" if count else "importing"

    def note(self, source: Source) -> None:
        """Add the notes about a file, before its chats are saved."""
        self.tally.add(source)
        name = _short(source.name)
        if source.imported is not None:
            self.said += [f"{name}: {sentence}" for sentence in source.imported.problems]
        elif source in self.tally.failures:
            self.said.append(f"{name}: {source.failure}")

    @property
    def is_stopped(self) -> bool:
        """Whether the user has stopped the import."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stop the import. The chats saved up to now are kept."""
        self._stop.set()

    async def sources(self) -> AsyncIterator[Source]:
        """Yield the content of each file, until the last or until the import is stopped.

        If a file is being read when the import is stopped, its thread reads it to the end, and the result is discarded.
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


class Importing:
    """Imports chats, one file or folder at a time, and opens the newest."""

    def __init__(
        self, core: Core, chats: ChatActions, ui: ScreenUi, show: Callable[[], object]
    ) -> None:
        """Create it.

        Args:
            core: stores the chats.
            chats: opens the imported chat.
            ui: shows questions and notifications.
            show: updates the screen when an import starts or ends.
        """
        self._core = core
        self._chats = chats
        self._ui = ui
        self._show = show
        self._under_way: Import | None = None

    @property
    def label(self) -> str:
        """A short label for the import in progress; empty if there is none."""
        return self._under_way.label if self._under_way is not None else ""

    def stop(self) -> bool:
        """Stop the import in progress; return whether there was one."""
        if self._under_way is None:
            return False
        self._under_way.stop()
        return True

    async def run(self) -> None:
        """Import chats from a file, an archive or a folder, and open the newest."""
        if not self._may_import() or not self._chats.may_leave():
            return
        path = await self._asked_path()
        if path is None or not self._may_import():
            return
        under_way = self._under_way = Import(path)
        tally, end = under_way.tally, ""
        self._show()
        try:
            async for source in under_way.sources():
                await self._keep(source, under_way)
        except SessionError as error:
            end = f"The import failed: {error}"
        finally:
            self._under_way = None
            self._show()
        end = end or ("The import was stopped." if under_way.is_stopped else "")
        told = tally.account() if end else tally.summary()
        summary = " ".join(filter(None, (told, end)))
        if tally.chats and not end:
            await self._open(max(tally.chats, key=lambda chat: chat.updated_at).id)
        self._report(summary, under_way.said, is_whole=bool(tally.chats) and not end)

    async def _asked_path(self) -> Path | None:
        """Ask for a file or folder until an existing one is named; return None if the user cancels."""
        name = problem = ""
        while True:
            name = await self._ui.path(
                "Import chats from a file or folder",
                name,
                accept="import",
                note=problem,
                takes_folders=True,
            )
            if not name.strip():
                return None
            path = typed_path(name.strip())
            if await asyncio.to_thread(lambda at: is_file(at) or is_folder(at), path):
                return path
            problem = f"File not found: {sanitize_line(str(path), 60)}."

    def _may_import(self) -> bool:
        if self._under_way is not None:
            self._ui.tell(
                f"An import is in progress. {self._ui.way('reply.stop')} to stop it.",
                severity="warning",
            )
        return self._under_way is None

    async def _keep(self, source: Source, under_way: Import) -> None:
        """Save the chats of a file. If the import is stopped, the remaining ones are not saved.

        Raises:
            SessionError: a chat could not be written.
        """
        under_way.note(source)
        found, writer = source.imported, self._core.writer
        for chat, origin in zip(found.conversations, found.origins, strict=True) if found else ():
            if under_way.is_stopped:
                break
            is_new = await writer.do(partial(_adopt, chat, origin))
            under_way.tally.add_chat(chat, is_new=is_new)
            if len(under_way.tally.chats) % _SHOWN_AGAIN == 0:
                self._show()

    async def _open(self, chat_id: str) -> None:
        """Open an imported chat."""
        try:
            opened = await self._core.writer.do(lambda store: store.load(chat_id))
        except SessionError:
            # The chat exists already, under another ID.
            return
        if self._chats.may_leave():
            self._chats.open(opened)

    def _report(self, summary: str, said: list[str], *, is_whole: bool) -> None:
        """Report the result of an import: in a notification if it is short, otherwise in a dialog."""
        from tui.screens.report import Report

        if len(said) > _SHOWN_PROBLEMS:
            more = "`chat-tui import` prints all notes."
            self._ui.open(Report("About this import", summary, said, more))
        elif said or not is_whole:
            self._ui.tell(
                "\n".join((summary, *said)), title="About this import", severity="warning"
            )
        else:
            self._ui.tell(summary)


def _adopt(chat: Conversation, origin: str, store: SessionStore) -> bool:
    return store.adopt(chat, origin)


def _short(name: str) -> str:
    """Return a file's name without its parent folders; for a file in a folder or archive, its path within it."""
    _outer, is_inside, inner = name.rpartition(": ")
    return sanitize_line(inner if is_inside else Path(name).name, 60)


def _take_no_notice(reading: asyncio.Future[Source | None]) -> None:
    """Discard an error that occurs after the import was stopped."""
    if not reading.cancelled():
        reading.exception()
