"""One chat on disk: reading, writing, checkpoints, and locks, so that no text is ever lost.

- A chat is one JSON file. It is replaced whole (temporary file, fsync, rename, fsync of the folder). While a reply streams, its growth goes to a
  sidecar (see `reply`), so that a checkpoint costs the same in a chat of any length.
- Who writes a chat holds its lock (see `locks`) until `unlock`; who can't have it reads only.
- A save names no file that it has not read or written itself in its present state: a stale copy raises
  `SessionConflictError`, and the caller makes it a chat of its own.
- A damaged file is set aside as `<id>.json.damaged-<n>` before anything takes its place; one that would not be written back as it
  was read, say of another tool or edited by hand, as `<id>.json.original-<n>`.

What concerns the folder as a whole, such as lists, search and trash, is `store`'s.
"""

from __future__ import annotations

import errno
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.conversation import Conversation, Status, new_id
from tui.dataclass import dataclass
from tui.files import (
    StagedFile,
    Stamp,
    make_private_folder,
    read_regular,
    reason,
    set_aside,
    stamp,
)
from tui.pattern import pattern
from tui.sessions.errors import SessionConflictError, SessionFileError, SessionWriteError
from tui.sessions.locks import ChatLocks, Taken
from tui.sessions.originals import keep_original, loses
from tui.sessions.reply import Checkpoint, ReplyLog, fold, read_checkpoints

if TYPE_CHECKING:
    from tui.conversation.codec import ChatEncoder, Decoded

CHAT_ID: Final = pattern(r"[0-9a-f]{32}")
MARKS: Final = ("pinned", "tags")
_MOST_REPLY_BYTES: Final = 1 << 26
_ENCODERS: Final = 4
"""Chats whose encoded turns are kept in memory; more are only slower to write again."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A chat that was read from a file.

    Attributes:
        conversation: what could be read; a reply that a dead process was writing is marked as interrupted.
        problems: sentences for the user about what could not be read, or why the chat can't be written.
        read_only: saving it would raise; a copy under a new id can be saved.
        path: the file.
    """

    conversation: Conversation
    problems: tuple[str, ...] = ()
    read_only: bool = False
    path: Path = Path()


@dataclass(slots=True)
class _Known:
    """What this store knows of a chat's file since it last read or wrote it."""

    stamps: tuple[Stamp | None, ...] = (None,)
    reply_bytes: int = 0
    is_reply_unread: bool = False
    """Whether there is a sidecar that could not be read, and so must not be dropped."""
    is_newer: bool = False
    is_damaged: bool = False
    loaded: Decoded | None = None
    """What was read, until the first save has checked that nothing in the file is lost by writing it back."""
    marks: dict[str, Any] | None = None
    said: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Characters of text and reasoning that are on disk of each unfinished reply."""


class ChatFiles:
    """The chat files of one folder, as one window reads and writes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mutex = threading.RLock()
        self._was_there = folder.is_dir()
        self._was_remade = False
        self._kept = ""
        self._locks = ChatLocks(folder)
        self._known: dict[str, _Known] = {}
        self._replies: dict[str, ReplyLog] = {}
        self._encoders: OrderedDict[str, ChatEncoder] = OrderedDict()

    # -- names

    def path(self, chat_id: str) -> Path:
        """Return the file of a chat, whether it is there or not.

        Raises:
            SessionFileError: that is no id of a chat; no other text becomes part of a path.
        """
        return self.folder / f"{checked_id(chat_id)}.json"

    def _reply_path(self, chat_id: str) -> Path:
        return self.folder / f"{checked_id(chat_id)}.reply"

    # -- writing

    def save(self, conversation: Conversation) -> None:
        """Write the whole chat durably to disk, and lock it from then on.

        Raises:
            SessionWriteError: it could not be written; the file has its old content, and a later save may work.
            SessionConflictError: the file is another window's, or was changed since this store read it, or is of a newer
                version. Save it under a new id.
            SessionFileError: the chat's ID isn't valid.
        """
        path = self.path(conversation.id)
        with self._mutex, writing(path), self._holding(conversation.id):
            self._write(conversation)

    @contextmanager
    def _holding(self, chat_id: str) -> Iterator[None]:
        """Take a chat's lock, and keep it unless a conflict shows that the chat is not this window's."""
        had = self._locks.holds(chat_id)
        self._make_folder()
        if self._locks.take(chat_id) is Taken.BUSY:
            raise SessionConflictError(
                "This chat is open in another window, so it can't be saved from this one.",
                "Duplicate it to continue in a copy.",
            )
        try:
            yield
        except SessionConflictError:
            if not had:
                self._locks.release(chat_id)
            raise

    def _make_folder(self) -> None:
        """Make the chats' folder again when it alone has vanished; a missing disk must not get a folder in its place."""
        if not self.folder.is_dir():
            self.folder.parent.mkdir(mode=0o700, exist_ok=True)
            make_private_folder(self.folder)
            self._was_remade = self._was_there
        self._was_there = True

    def take_remade(self) -> bool:
        """Return, once, whether the folder had disappeared while the app ran and was re-created."""
        was_remade, self._was_remade = self._was_remade, False
        return was_remade

    def take_kept(self) -> str:
        """Return, once, the name of the copy that a save has kept of a file with more in it than the chat; empty for none."""
        kept, self._kept = self._kept, ""
        return kept

    def _write(self, conversation: Conversation) -> None:
        chat_id = conversation.id
        path = self.path(chat_id)
        known = self._known.get(chat_id) or _Known()
        self._refuse_conflict(chat_id, known)
        encoder = self._encoder(chat_id)
        if known.is_damaged:
            keep_original(path, "damaged")
        elif known.loaded is not None and _loses(path, known.loaded, encoder):
            there = set(path.parent.glob(f"{path.name}.original-*"))
            kept = keep_original(path, "original")
            # A copy kept when the chat was opened was reported then.
            self._kept = kept.name if kept not in there else ""
        conversation = replace(conversation, extra=_with_marks(conversation.extra, known.marks))
        staged = StagedFile(path, encoder.pieces(conversation))
        # From here on either file may be in place: a failed fsync of the folder leaves that open.
        self._known[chat_id] = known
        known.stamps = (*known.stamps, staged.stamp)
        staged.commit()
        known.stamps = (staged.stamp,)
        self._written(conversation, staged.stamp)
        known.is_damaged = False
        known.loaded = None
        known.marks = _marks(conversation.extra)
        self._settle_reply(conversation, known)

    def _encoder(self, chat_id: str) -> ChatEncoder:
        from tui.conversation.codec import ChatEncoder

        encoder = self._encoders.setdefault(chat_id, ChatEncoder())
        self._encoders.move_to_end(chat_id)
        while len(self._encoders) > _ENCODERS:
            self._encoders.popitem(last=False)
        return encoder

    def _written(self, conversation: Conversation, stamp: Stamp) -> None:
        """Called after a chat was written."""

    def _refuse_conflict(self, chat_id: str, known: _Known) -> None:
        if known.is_newer:
            raise SessionConflictError(
                "This chat was written by a newer version of chat-tui and is not overwritten.",
                "Duplicate it to continue in a copy.",
            )
        found = stamp(self.path(chat_id))
        if found is not None and found not in known.stamps:
            raise SessionConflictError(
                "This chat was changed on disk after it was opened here, so it is not overwritten.",
                "Duplicate it to continue in a copy, or reopen it.",
            )
        is_ours = chat_id in self._replies
        if not is_ours and _size(self._reply_path(chat_id)) > known.reply_bytes:
            raise SessionConflictError(
                "A reply was added to this chat after it was opened here.", "Reopen it."
            )

    def _settle_reply(self, conversation: Conversation, known: _Known) -> None:
        """Drop the sidecar, unless the reply in it goes on."""
        streaming = {
            turn.id: (len(turn.text), len(turn.reasoning))
            for turn in conversation.turns.values()
            if turn.status is Status.STREAMING
        }
        if any(turn_id in known.said for turn_id in streaming) and conversation.id in self._replies:
            known.said = {key: known.said.get(key, at) for key, at in streaming.items()}
            return
        known.said = streaming
        self._drop_reply(conversation.id, known)

    def _drop_reply(self, chat_id: str, known: _Known) -> None:
        log = self._replies.pop(chat_id, None)
        if log is not None:
            log.close()
        # It does no harm if it stays: the chat's file says that its replies have ended.
        path = self._reply_path(chat_id)
        with suppress(OSError):
            if known.is_reply_unread:
                set_aside(path)
            elif path.is_file():
                path.unlink()
        known.is_reply_unread = False
        known.reply_bytes = _size(self._reply_path(chat_id))

    def checkpoint(
        self, chat_id: str, turn_id: str, text_delta: str, reasoning_delta: str = ""
    ) -> None:
        """Write the text that an unfinished reply gained since its last checkpoint.

        The first one after the save that began the reply continues the text that the turn had there; saves while it streams
        change nothing in that. The cost does not depend on the length of the chat or of the reply.

        Raises:
            SessionWriteError: it could not be written. Pass the same text again, with what followed.
            SessionConflictError: the chat is another window's.
        """
        if not text_delta and not reasoning_delta:
            return
        with self._mutex, writing(self.path(chat_id)), self._holding(chat_id):
            known = self._known.setdefault(chat_id, _Known())
            text_at, reasoning_at = known.said.get(turn_id, (0, 0))
            log = self._reply_log(chat_id)
            log.append(Checkpoint(turn_id, text_at, reasoning_at, text_delta, reasoning_delta))
            known.said[turn_id] = (text_at + len(text_delta), reasoning_at + len(reasoning_delta))

    def _reply_log(self, chat_id: str) -> ReplyLog:
        log = self._replies.get(chat_id)
        if log is not None and not log.is_in_place:
            log.close()
            log = None
        if log is None:
            log = self._replies[chat_id] = ReplyLog(self._reply_path(chat_id))
        return log

    # -- reading

    def load(self, chat_id: str, *, lock: bool = True) -> Loaded:
        """Read a chat, with what a reply said before its process died.

        Args:
            lock: take the chat for this window, until `unlock`. If another window has it, what is returned is read-only. Without
                it the chat is only looked at.

        Raises:
            SessionFileError: there is no such chat, or nothing in its file can be read.
        """
        path = self.path(chat_id)
        with self._mutex:
            had = self._locks.holds(chat_id)
            taken = self._locks.take(chat_id) if lock and path.exists() else None
            try:
                may_write = taken in (Taken.HELD, Taken.UNAVAILABLE)
                loaded, known = self._read(chat_id, for_writing=may_write)
            except SessionFileError:
                if not had:
                    self._locks.release(chat_id)
                raise
            if taken is Taken.BUSY:
                self._known.pop(chat_id, None)
                return replace(loaded, read_only=True, problems=(*loaded.problems, _BUSY))
            if taken is not None:
                self._known[chat_id] = known
            return loaded

    def _read(
        self, chat_id: str, *, for_writing: bool, folded: bool = True
    ) -> tuple[Loaded, _Known]:
        """Return a chat, and what to remember of its file if this window is to write it.

        Args:
            for_writing: keep the file beside the chat where writing the chat would lose something of it.
            folded: with what the sidecar says, and no reply left unfinished.
        """
        path = self.path(chat_id)
        before = stamp(path)
        try:
            data = read_regular(path, follow_links=False)
        except FileNotFoundError as error:
            raise SessionFileError(f"There is no chat with the ID {chat_id}.") from error
        except OSError as error:
            raise SessionFileError(f"{path} can't be read ({reason(error)}).") from error
        decoded, is_damaged = decoded_file(path, data, is_ours=True)
        conversation = replace(decoded.conversation, id=chat_id)
        known = _Known((before,), is_newer=decoded.is_newer, is_damaged=is_damaged)
        known.marks = _marks(conversation.extra)
        known.loaded = replace(decoded, conversation=conversation)
        problems = (*decoded.problems, *decoded.notes)
        if decoded.is_newer:
            problems = (*problems, _NEWER)
        elif is_damaged:
            problems = (*problems, self._kept_note(path, "damaged", _DAMAGED, for_writing))
        elif not decoded.is_whole:
            problems = (*problems, self._kept_note(path, "original", _FOREIGN, for_writing))
        if folded:
            conversation, problem = self._with_reply(conversation, known)
            conversation = conversation.recovered()
            problems = (*problems, *problem)
        return Loaded(conversation, problems, decoded.is_newer, path), known

    def _with_reply(
        self, conversation: Conversation, known: _Known
    ) -> tuple[Conversation, tuple[str, ...]]:
        """Return a chat with what its sidecar says, and a sentence where that can't be read."""
        path = self._reply_path(conversation.id)
        known.reply_bytes = _size(path)
        try:
            data = read_regular(path, follow_links=False, most_bytes=_MOST_REPLY_BYTES)
        except FileNotFoundError:
            return conversation, ()
        except OSError as error:
            known.is_reply_unread = True
            sentence = f"{path.name}, which contains an interrupted reply, can't be read ({reason(error)}). The file is kept."
            return conversation, (sentence,)
        known.reply_bytes = len(data)
        return fold(conversation, read_checkpoints(data)), ()

    @staticmethod
    def _kept_note(path: Path, mark: str, what: str, for_writing: bool) -> str:
        """Keep a file that a save would damage, and return a sentence about it."""
        if for_writing:
            with suppress(OSError):
                kept = keep_original(path, mark)
                return f"{path.name} {what}, and the original is kept as {kept.name}."
        return f"{path.name} {what}."

    def open_file(self, path: Path) -> Loaded:
        """Read a chat from any file: one of this folder's is opened as `load` does, any other becomes a new chat.

        A file outside the folder, such as a `transformers chat` save, is never written to.

        Raises:
            SessionFileError: it can't be read, or holds no chat.
        """
        name = path.name.removesuffix(".json")
        with suppress(OSError):
            if CHAT_ID.fullmatch(name) and path.parent.resolve() == self.folder.resolve():
                return self.load(name)
        try:
            decoded, is_damaged = decoded_file(path, read_regular(path), is_ours=False)
        except FileNotFoundError as error:
            raise SessionFileError(f"The file {path} doesn't exist.") from error
        except (OSError, ValueError) as error:
            why = reason(error) if isinstance(error, OSError) else str(error)
            raise SessionFileError(f"{path} can't be read ({why}).") from error
        problems = (*decoded.problems, *decoded.notes)
        if is_damaged:
            problems = (*problems, f"{path.name} {_DAMAGED}. The file is left unchanged.")
        if decoded.is_newer:
            problems = (*problems, _NEWER)
        conversation = replace(decoded.conversation, id=new_id()).recovered()
        return Loaded(conversation, problems, decoded.is_newer, path)

    # -- locks

    def lock(self, chat_id: str) -> bool:
        """Lock a chat for this window; return False if another window has it.

        A folder that can't have locks gives none to anybody; then a save still finds out what another window wrote.
        """
        checked_id(chat_id)
        with self._mutex:
            return self._locks.take(chat_id) is not Taken.BUSY

    def unlock(self, chat_id: str) -> None:
        """Release a chat's lock, so that another window can write it; does nothing if it isn't held."""
        checked_id(chat_id)
        with self._mutex:
            if (log := self._replies.pop(chat_id, None)) is not None:
                log.close()
                self._known[chat_id].reply_bytes = _size(self._reply_path(chat_id))
            self._locks.release(chat_id)

    def close(self) -> None:
        """Release all locks and close all files."""
        with self._mutex:
            for chat_id in list(self._replies):
                self.unlock(chat_id)
            self._locks.release_all()


_NOT_SAVED: Final = "The chat is not saved"
_LATER: Final = "The chat stays in memory and is saved as soon as possible."
_BUSY: Final = (
    "This chat is open in another window and is read-only here. Duplicate it to continue in a copy."
)
_DAMAGED: Final = "is damaged; only the readable parts are shown"
_FOREIGN: Final = "contains parts that chat-tui can't show or save"
_NEWER: Final = "This chat was written by a newer version of chat-tui and is read-only. Duplicate it to continue in a copy."


def checked_id(chat_id: str) -> str:
    """Return an id that can be part of a path.

    Raises:
        SessionFileError: it isn't a valid chat ID and could point anywhere.
    """
    if not CHAT_ID.fullmatch(chat_id):
        raise SessionFileError(
            f"There is no saved chat or file {chat_id[:80]!r}.",
            "Run `chat-tui list` to list the chats.",
        )
    return chat_id


def decoded_file(path: Path, data: bytes, *, is_ours: bool) -> tuple[Decoded, bool]:
    """Return what a file holds, and whether it is damaged.

    Raises:
        SessionFileError: nothing in it can be read.
    """
    from tui.conversation import codec
    from tui.conversation.entries import ChatFormatError
    from tui.sessions.salvage import salvage

    try:
        decoded = codec.loads(data)
        return decoded, bool(decoded.problems)
    except ChatFormatError as error:
        unread = SessionFileError(
            f"{path} can't be opened. {error.message} The file is left unchanged.", error.hint
        )
        is_complete = error.__cause__ is None
        if is_complete and not is_ours:
            raise unread from error
        try:
            return salvage(data), True
        except ChatFormatError:
            raise unread from error


@contextmanager
def writing(path: Path, what: str = _NOT_SAVED, hint: str = _LATER) -> Iterator[None]:
    """Convert file errors into a message: what happened, why, and what happens next."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = "the disk is full; free some space"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            why = f"{path.parent} can't be written to; check its permissions"
        elif not path.parent.is_dir():
            why = f"the folder {path.parent} is missing; restore it"
        else:
            why = f"{path.parent}: {reason(error)}"
        raise SessionWriteError(f"{what}: {why}.", hint) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise SessionWriteError(f"{what}: a value in it can't be written ({error}).") from error


def _loses(path: Path, loaded: Decoded, encoder: ChatEncoder) -> bool:
    """Return whether writing what was read of a file would lose something that the file holds."""
    if not loaded.is_whole:
        return True
    with suppress(FileNotFoundError):
        data = read_regular(path, follow_links=False)
        base = replace(loaded.base or loaded.conversation, id=loaded.conversation.id)
        return loses(data, base, encoder)
    return False


def _marks(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {key: extra[key] for key in MARKS if key in extra}


def _with_marks(extra: Mapping[str, Any], marks: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if marks is None or marks == _marks(extra):
        return extra
    return {key: value for key, value in extra.items() if key not in MARKS} | dict(marks)


def _size(path: Path) -> int:
    """Return the size of a file in bytes; 0 for what is none, as a folder."""
    with suppress(OSError):
        found = path.lstat()
        return found.st_size if stat.S_ISREG(found.st_mode) else 0
    return 0
