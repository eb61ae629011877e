"""Import and export of chats from and to files, for the screen and for the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Final

from tui.conversation import Conversation
from tui.conversation.entries import ChatFormatError
from tui.conversation.formats import (
    FORMATS,
    Format,
    Imported,
    NoChatError,
    export_text,
    import_text,
)
from tui.conversation.formats.archive import (
    MOST_FILES,
    Archive,
    is_archive,
    is_hidden,
    may_hold_chats,
)
from tui.conversation.formats.jan import MESSAGES_FILE, THREAD_FILE
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.reading import may_be_chats
from tui.conversation.formats.signs import HEAD_BYTES, Holds, is_media, sign_of
from tui.dataclass import dataclass
from tui.errors import UserError
from tui.export_html import HTML
from tui.files import FILE_MODE, is_folder, open_regular, read_regular, reason, write_atomic

_log = logging.getLogger(__name__)

EXPORTS: Final[Mapping[str, Format]] = {
    name: one for name, one in {**FORMATS, HTML.name: HTML}.items() if one.write is not None
}
"""The export formats by name."""


_NO_CHAT: Final = "It doesn't contain a chat in a supported format."
_SHOWN_NAMES: Final = 5


class TransferError(UserError):
    """A chat file could not be written."""


def write_chats(
    chats: Sequence[Conversation],
    format_name: str,
    path: Path,
    *,
    overwrite: bool = False,
    selection: Collection[str] | None = None,
) -> None:
    """Write chats to a file of a format, readable by its owner alone.

    Args:
        format_name: a name in `EXPORTS`.
        overwrite: replace a file that is there.
        selection: ids of turns to write; None for all.

    Raises:
        TransferError: it could not be written, or there is a file already.
    """
    try:
        text = export_text(chats, EXPORTS[format_name], selection)
    except ChatFormatError as error:
        raise TransferError(error.message, error.hint) from error
    write_new(path, text, overwrite=overwrite)


def write_new(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text to a file, readable by its owner alone.

    Raises:
        TransferError: it could not be written, or there is a file already.
    """
    data = text.encode("utf-8", "replace")
    try:
        if overwrite:
            write_atomic(path, data)
            return
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb"
        ) as file:
            file.write(data)
    except FileExistsError as error:
        raise TransferError(f"{path} already exists.", "Choose another name.") from error
    except OSError as error:
        raise TransferError(f"{path} can't be written ({reason(error)}).") from error


# -- reading


@dataclass(frozen=True, slots=True)
class Source:
    """One file that was searched for chats.

    Attributes:
        name: the file's, as a person is told.
        imported: what it held; None where there was nothing.
        failure: why there was nothing, in whole sentences that begin with "It", which is the file.
        is_named: whether it was asked for by name, rather than found in a folder or an archive.
        is_other: whether it holds something else than chats, as most files do that are not called as those with chats.
        media: how many pictures and other media it stands for, instead of a source for each.
    """

    name: str
    imported: Imported | None = None
    failure: str = ""
    is_named: bool = True
    is_other: bool = False
    media: int = 0


class _Folder:
    """The files of a folder and of the folders in it; links are not followed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.media = 0
        self.names: dict[str, int] = {}
        self.links: list[str] = []
        self.is_cut = False
        for folder, inner, files in os.walk(path):
            inner[:] = sorted(name for name in inner if not is_hidden(name))
            links = [name for name in inner if Path(folder, name).is_symlink()]
            for name in sorted(name for name in (*files, *links) if not is_hidden(name)):
                self._add(Path(folder, name))

    def _add(self, path: Path) -> None:
        name = str(path.relative_to(self._path))
        if is_media(name):
            self.media += 1
        elif len(self.names) + len(self.links) >= MOST_FILES:
            self.is_cut = True
        elif path.is_symlink():
            self.links.append(name)
        else:
            self.names[name] = 0

    def head(self, name: str) -> bytes:
        with open_regular(self._path / name, follow_links=False) as file:
            return file.read(HEAD_BYTES)

    def read(self, name: str) -> bytes:
        return _read_file(self._path / name)


def read_sources(paths: Iterable[Path]) -> Iterator[Source]:
    """Read the chats of files in any supported format, of ZIP archives, and of folders; every file gets a result."""
    for path in paths:
        try:
            if is_folder(path):
                yield from _all_in(str(path), _Folder(path), depth=0)
                continue
            data = _read_file(path)
            if is_archive(data):
                yield from _all_in(str(path), Archive(data), depth=1)
                continue
            yield _read_one(str(path), data, _thread_beside(path), is_named=True)
        except (ChatFormatError, OSError) as error:
            yield Source(str(path), failure=_why(error))


def _all_in(
    name: str, container: Archive | _Folder, *, depth: int, is_named: bool = True
) -> Iterator[Source]:
    """Yield what the files of an archive or a folder hold, and that nothing is in there where that is so."""
    found = False
    for source in _each_in(name, container, depth=depth):
        found = found or source.imported is not None
        yield source
    if container.media:
        yield Source(name, is_named=False, is_other=True, media=container.media)
    if isinstance(container, _Folder):
        for link in container.links:
            failure = "It is a link, and links in a folder are not followed."
            yield Source(f"{name}: {link}", failure=failure, is_named=False, is_other=True)
        if container.is_cut:
            yield Source(name, failure=f"Only the first {MOST_FILES:,} files in it were checked.")
    if not found:
        called_so = sum(map(may_hold_chats, container.names))
        files = "file" if called_so == 1 else "files"
        looked = f"{called_so} {files} checked" if called_so else "no JSON files"
        yield Source(name, failure=f"It contains no chats ({looked}).", is_named=is_named)


def _each_in(name: str, container: Archive | _Folder, *, depth: int) -> Iterator[Source]:
    threads = {
        str(PurePath(inner).parent) for inner in container.names if _is(inner, MESSAGES_FILE)
    }
    for inner in container.names:
        folder = str(PurePath(inner).parent)
        if _is(inner, THREAD_FILE) and folder in threads:
            continue
        shown = f"{name}: {inner}"
        if not may_hold_chats(inner):
            yield _other_in(shown, inner, container)
            continue
        try:
            data = container.read(inner)
            thread = None
            beside = str(PurePath(folder, THREAD_FILE))
            if _is(inner, MESSAGES_FILE) and beside in container.names:
                thread = container.read(beside)
            if not is_archive(data):
                yield _read_one(shown, data, thread, is_named=False)
            elif depth:
                yield Source(
                    shown,
                    failure="It is an archive inside another archive. Unpack it first.",
                    is_named=False,
                )
            else:
                yield from _all_in(shown, Archive(data), depth=depth + 1, is_named=False)
        except (ChatFormatError, OSError) as error:
            yield Source(shown, failure=_why(error), is_named=False)


def _other_in(shown: str, inner: str, container: Archive | _Folder) -> Source:
    """Return what a file in a folder or an archive holds that is not called as those with chats, going by how it begins."""
    try:
        head = container.head(inner)
        if may_be_chats(head):
            source = _read_one(shown, container.read(inner), None, is_named=False)
            # Any text may start like JSON.
            return source if source.imported is not None else replace(source, is_other=True)
    except (ChatFormatError, OSError) as error:
        return Source(shown, failure=_why(error), is_named=False, is_other=True)
    sign = sign_of(head)
    if sign is None:
        return Source(shown, failure=_NO_CHAT, is_named=False, is_other=True)
    if sign.holds is Holds.MEDIA:
        return Source(shown, is_named=False, is_other=True, media=1)
    is_other = sign.holds is Holds.OTHER
    return Source(
        shown, failure=f"{sign.what} {sign.hint}".rstrip(), is_named=False, is_other=is_other
    )


def _read_one(name: str, data: bytes, thread: bytes | None, *, is_named: bool) -> Source:
    try:
        return Source(name, import_text(data, thread), is_named=is_named)
    except ChatFormatError as error:
        is_other = isinstance(error, NoChatError)
        return Source(name, failure=_why(error), is_named=is_named, is_other=is_other)
    except Exception as error:  # noqa: BLE001 - other files, and the app, go on after whatever a stranger's file brings about
        kind = type(error).__name__
        # The error message may quote a chat, which doesn't belong in the log.
        _log.warning("can't read a chat file: %s", kind)
        return Source(name, failure=f"Part of it can't be read ({kind}).", is_named=is_named)


def _read_file(path: Path) -> bytes:
    return read_regular(path)


def _thread_beside(path: Path) -> bytes | None:
    """Return what describes a thread of Jan, whose messages are in a file of their own."""
    beside = path.with_name(THREAD_FILE)
    if path.name != MESSAGES_FILE or not beside.is_file():
        return None
    with suppress(OSError):
        return _read_file(beside)
    return None


def _is(name: str, wanted: str) -> bool:
    return PurePath(name).name == wanted


def _why(error: Exception) -> str:
    return f"It can't be read ({reason(error)})." if isinstance(error, OSError) else str(error)


class Tally:
    """The results of an import by file, for the summary."""

    def __init__(self) -> None:
        self.chats: list[Conversation] = []
        """The chats found, new or not."""
        self.new = 0
        self.files = 0
        """The number of files that contained chats."""
        self.failures: list[Source] = []
        """The failed files that were specified, or should have contained chats."""
        self.others: list[str] = []
        """The names of files in folders and archives that contain something else."""
        self.media = 0
        """The number of images and other media in them."""
        self.report = Problems()
        """What could not be imported from all the files."""
        self._label = ""
        """The format label of the current file."""
        self._labels: dict[str, None] = {}

    def add(self, source: Source) -> None:
        """Record a file before its chats are kept."""
        if source.imported is None:
            if source.media:
                self.media += source.media
            elif source.is_other and not source.is_named:
                self.others.append(source.name)
            else:
                self.failures.append(source)
            return
        self.files += 1
        self._label = source.imported.format.label
        self.report.add(source.imported.report)

    def add_chat(self, chat: Conversation, *, is_new: bool) -> None:
        """Record a chat that was kept or already existed."""
        self.chats.append(chat)
        if is_new:
            self.new += 1
            self._labels[self._label] = None

    @property
    def is_whole(self) -> bool:
        """Whether every specified file contained chats and no file was damaged."""
        return not self.failures and bool(self.chats)

    def summary(self) -> str:
        """Return how many chats were imported and from where, and how many were not."""
        labels = ", ".join(self._labels)
        sentences = [f"{counted(self.new, 'chat')} imported" + (f" ({labels})" if labels else "")]
        if known := len(self.chats) - self.new:
            sentences.append(f"{counted(known, 'chat')} already imported")
        if self.failures:
            sentences.append(f"{counted(len(self.failures), 'file')} not imported")
        if self.others:
            shown = ", ".join(
                PurePath(name.rpartition(": ")[2]).name for name in self.others[:_SHOWN_NAMES]
            )
            more = ", …" if len(self.others) > _SHOWN_NAMES else ""
            sentences.append(f"{counted(len(self.others), 'file')} without chats ({shown}{more})")
        if self.media:
            sentences.append(f"{counted(self.media, 'media file')} skipped")
        return "; ".join(sentences) + "."

    def account(self) -> str:
        """Return the summary, and what was left out of the chats so far."""
        return " ".join([self.summary(), *(f"{one}." for one in self.report.sentences())])


def counted(count: int, what: str) -> str:
    """Return a count with its noun, for example "2 files"."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def format_for(path: Path) -> str:
    """Return the format for a file's extension; `chat-tui` if there is none."""
    ending = path.suffix.lower()
    own = {
        f".{one.extensions[0].lstrip('.')}": name for name, one in reversed(list(EXPORTS.items()))
    }
    return own.get(ending, "chat-tui")
