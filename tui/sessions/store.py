"""All chats of a folder: list, search, trash, copies, pins and tags, on top of `chats`, which reads and writes each one.

The trash is a folder of its own below the chats' folder; a chat goes there with all that belongs to it and comes back the
same. Pins and tags belong to the file and not to the copy in a window: what is set here holds for that copy's later saves.

Every method may be called from any thread; they block, on a slow disk for long, and so belong on `SessionWriter`'s.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.conversation import Conversation, new_id
from tui.files import Stamp, fsync_folder, make_private_folder, set_aside, stamp
from tui.sessions.chats import CHAT_ID, ChatFiles, checked_id, writing
from tui.sessions.errors import SessionConflictError, SessionFileError
from tui.sessions.locks import Taken
from tui.sessions.originals import MARKS
from tui.sessions.summary import SearchHit, SessionSummary, read_tags

if TYPE_CHECKING:
    from tui.sessions.index import SessionIndex

TRASH: Final = "trash"
_STALE_S: Final = 3600.0
_SEARCH_BUDGET_S: Final = 0.5

Summaries = list[SessionSummary]
Hits = list[SearchHit]


class SessionStore(ChatFiles):
    """The chats of one folder, as one window sees them."""

    def __init__(self, folder: Path, index: Path | None = None) -> None:
        """Make a store; nothing is read or written yet.

        Args:
            folder: of the chats; made when it is needed.
            index: the file of the search index, which can be deleted at any time; by default it is in `folder`.
        """
        super().__init__(folder)
        self._index_file = index or folder / "index.sqlite3"
        self._is_tidied = False
        self._trashed: dict[tuple[str, Stamp], SessionSummary] = {}

    @cached_property
    def _index(self) -> SessionIndex:
        from tui.sessions.index import SessionIndex

        return SessionIndex(self.folder, self._index_file)

    # -- lists

    def list(self) -> Summaries:
        """Return all chats: the pinned ones first, then the newest first. A folder that is not there has none."""
        with self._mutex:
            self._tidy()
            return self._index.summaries()

    def newest(self) -> str | None:
        """Return the id of the chat that was changed last and can be read; None when there is none."""
        readable = [entry for entry in self.list() if entry.turns or not entry.problem]
        return max(readable, key=lambda entry: entry.updated_at).id if readable else None

    def search(self, query: str, limit: int = 50) -> Hits:
        """Return where all the words of `query` are, in titles first. Any text is a valid query.

        Where very much is not indexed yet, the newest chats are searched first: see `index_texts`.
        """
        with self._mutex:
            return self._index.search(query, limit, _SEARCH_BUDGET_S)

    def index_texts(self, budget_s: float) -> int:
        """Index for search what changed, for about `budget_s` seconds; return how many chats are still to be indexed."""
        with self._mutex:
            return self._index.index_texts(budget_s)

    def close(self) -> None:
        """Give every lock back and close every file; the store can still be used."""
        super().close()
        with self._mutex:
            self._index.close()

    def _written(self, conversation: Conversation, stamp: Stamp) -> None:
        self._index.note(conversation, stamp)

    def _tidy(self) -> None:
        """Remove what processes that died in the middle of a save left, once."""
        if self._is_tidied:
            return
        self._is_tidied = True
        for path in self.folder.glob(".*.json.tmp"):
            with suppress(OSError):
                if path.lstat().st_mtime < time.time() - _STALE_S:
                    path.unlink()

    def adopt(self, conversation: Conversation, origin: str = "") -> bool:
        """Save an imported chat and release it, unless it already exists; return whether it was saved.

        An imported chat is known by its id, which is made of what was said in it; it may have been talked on since.

        Args:
            origin: the id of the chat that it was exported from, where that was one of ours.

        Raises:
            SessionError: as `save`.
        """
        with self._mutex:
            if os.path.lexists(self.path(conversation.id)) or self._says(origin, conversation.id):
                return False
            self.save(conversation)
            self.unlock(conversation.id)
            return True

    def _says(self, chat_id: str, content: str) -> bool:
        """Whether a chat with this ID and the same content exists."""
        if not CHAT_ID.fullmatch(chat_id) or not os.path.lexists(self.path(chat_id)):
            return False
        try:
            from tui.conversation.formats.identity import content_id

            return content_id(self.load(chat_id, lock=False).conversation) == content
        except SessionFileError:
            return False

    # -- changes to one chat, open or not

    def rename(self, chat_id: str, title: str) -> Conversation:
        """Rename a chat (can be undone) and return its new state.

        Of a chat that is open in this window, go on with what is returned.

        Raises:
            SessionError: as `load` and `save`.
        """
        return self._change(chat_id, lambda chat: chat.rename(" ".join(title.split())))

    def set_pinned(self, chat_id: str, pinned: bool) -> Conversation:
        """Pin or unpin a chat, and return its new state.

        Raises:
            SessionError: as `load` and `save`.
        """
        return self._change(chat_id, lambda chat: _marked(chat, "pinned", pinned or None))

    def set_tags(self, chat_id: str, tags: Iterable[str]) -> Conversation:
        """Replace a chat's tags, and return its new state.

        Raises:
            SessionError: as `load` and `save`.
        """
        cleaned = [*read_tags(tuple(tags))]
        return self._change(chat_id, lambda chat: _marked(chat, "tags", cleaned or None))

    def _change(self, chat_id: str, change: Callable[[Conversation], Conversation]) -> Conversation:
        with self._mutex, self._borrowed(chat_id) as is_open, writing(self.path(chat_id)):
            open_here = self._known.get(chat_id) if is_open else None
            if open_here is not None:
                self._refuse_conflict(chat_id, open_here)
            loaded, known = self._read(
                chat_id, for_writing=True, folded=chat_id not in self._replies
            )
            changed = change(loaded.conversation)
            known.marks = None
            if open_here is not None:
                known.said = open_here.said
            self._known[chat_id] = known
            self._write(changed)
            if open_here is None:
                # A copy that this window read earlier may be older than what was changed here.
                del self._known[chat_id]
            return changed

    @contextmanager
    def _borrowed(self, chat_id: str) -> Iterator[bool]:
        """Hold a chat's lock for one operation; yields whether this window held it already.

        Raises:
            SessionConflictError: another window has the chat.
        """
        self.path(chat_id)
        is_open = self._locks.holds(chat_id)
        if self._locks.take(chat_id) is Taken.BUSY:
            raise SessionConflictError(
                "This chat is open in another window.",
                "Make the change there, or close it there first.",
            )
        try:
            yield is_open
        finally:
            if not is_open:
                self._locks.release(chat_id)

    def duplicate(self, chat_id: str) -> str:
        """Make a copy of a chat, as it is on the disk, and return the copy's id.

        Raises:
            SessionError: as `load` and `save`.
        """
        original = self.load(chat_id, lock=False).conversation
        title = f"{original.title} (copy)" if original.title else ""
        copy = replace(original, id=new_id(), title=title)
        self.save(copy)
        self.unlock(copy.id)
        return copy.id

    # -- trash

    @property
    def _trash(self) -> Path:
        return self.folder / TRASH

    def trash(self, chat_id: str) -> None:
        """Move a chat to the trash, with all that belongs to it. A window that has it open has to leave it before.

        Raises:
            SessionFileError: there is no such chat.
            SessionConflictError: it is open in another window.
            SessionWriteError: it could not be moved.
        """
        path = self.path(chat_id)
        with (
            self._mutex,
            self._borrowed(chat_id),
            writing(path, "The chat is not in the trash", ""),
        ):
            if not os.path.lexists(path):
                raise SessionFileError(f"There is no chat with the ID {chat_id}.")
            if (log := self._replies.pop(chat_id, None)) is not None:
                log.close()
            if os.path.lexists(self._trash) and not self._trash.is_dir():
                set_aside(self._trash)
            make_private_folder(self._trash)
            self._move(chat_id, self.folder, self._trash)
            self._known.pop(chat_id, None)
            self._locks.release(chat_id)

    def trashed(self) -> Summaries:
        """Return the chats in the trash, those that were changed last first."""
        found = []
        with self._mutex:
            known, self._trashed = self._trashed, {}
            for path in _chat_files(self._trash):
                found_stamp = stamp(path)
                if found_stamp is None:
                    continue
                summary = known.get((path.name, found_stamp))
                if summary is None:
                    from tui.sessions.index import summarize_file

                    summary = summarize_file(path, found_stamp.size_bytes)[0]
                self._trashed[path.name, found_stamp] = summary
                found.append(summary)
        return sorted(found, key=lambda entry: -entry.updated_at)

    def restore(self, chat_id: str) -> str:
        """Move a chat back out of the trash, and return its id: a new one when the old has been taken.

        Raises:
            SessionFileError: it is not in the trash.
            SessionWriteError: it could not be moved.
        """
        name = f"{checked_id(chat_id)}.json"
        with (
            self._mutex,
            writing(self.path(chat_id), "The chat is still in the trash", ""),
        ):
            if not os.path.lexists(self._trash / name):
                raise SessionFileError(f"There is no chat with the ID {chat_id} in the trash.")
            return self._move(chat_id, self._trash, self.folder)

    def empty_trash(self, chat_ids: Collection[str] | None = None) -> int:
        """Delete everything in the trash permanently, and return the number of chats.

        Args:
            chat_ids: only these, say those that were agreed to; None for all.

        Raises:
            SessionWriteError: not all could be deleted.
        """
        count = 0
        with self._mutex, writing(self._trash, "The trash is not empty", ""):
            for path in _chat_files(self._trash):
                if chat_ids is not None and path.stem not in chat_ids:
                    continue
                for part in (path, *_companions(path)):
                    if part.is_symlink() or not part.is_dir():
                        part.unlink(missing_ok=True)
                count += 1
        return count

    @staticmethod
    def _move(chat_id: str, source: Path, target: Path) -> str:
        """Move a chat's files; under a new id when there is one of that id, since none may be written over."""
        path = source / f"{chat_id}.json"
        moved_id = chat_id if not os.path.lexists(target / path.name) else new_id()
        for part in (*_companions(path), path):
            part.rename(target / part.name.replace(chat_id, moved_id, 1))
        fsync_folder(target)
        fsync_folder(source)
        return moved_id


def _marked(chat: Conversation, key: str, value: object) -> Conversation:
    extra = {name: known for name, known in chat.extra.items() if name != key}
    return replace(chat, extra=extra if value is None else extra | {key: value})


def _chat_files(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        for path in sorted(folder.iterdir()):
            is_chat = path.suffix == ".json" and CHAT_ID.fullmatch(path.stem)
            if is_chat and path.is_file() and not path.is_symlink():
                yield path


def _companions(path: Path) -> Iterator[Path]:
    """Yield what belongs to a chat's file: the sidecar of a reply, damaged originals."""
    reply = path.with_suffix(".reply")
    if os.path.lexists(reply):
        yield reply
    for mark in MARKS:
        yield from path.parent.glob(f"{path.name}.{mark}-*")
