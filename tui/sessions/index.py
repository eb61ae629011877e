"""The index of the chats, which lists and full-text search read instead of the files.

It is a cache. The JSON files are the truth: before each answer, files whose size, time or inode differ from what was indexed
are read again, those that can't be read too. An index that is damaged, or holds anything but what is made here, is made
again, and where there can be no file it lives in memory.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import math
import os
import re
import sqlite3
import stat
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from tui.conversation import Conversation, codec
from tui.conversation.entries import ChatFormatError
from tui.files import Stamp, make_private_folder, open_own, read_regular, reason, set_aside
from tui.sanitize import sanitize, sanitize_line
from tui.sessions.errors import SessionFileError
from tui.sessions.salvage import salvage
from tui.sessions.summary import SearchHit, SessionSummary, clamped_time, read_tags, summarize

_log = logging.getLogger(__name__)

_SCHEMA_VERSION: Final = 1
_MOST_BYTES: Final = 4 << 30
"""A larger index is considered invalid."""
_LOCKED_S: Final = 1.0
"""Seconds that another process may keep the index locked."""
_DAMAGE: Final = (
    sqlite3.Error,
    sqlite3.Warning,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading an index raises that holds something else than it should."""
_MASTER: Final = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
_SCHEMA: Final = """
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, stamp TEXT, text_stamp TEXT, title TEXT, model TEXT, created_at REAL, updated_at REAL,
    turns INTEGER, first_words TEXT, pinned INTEGER, tags TEXT, size_bytes INTEGER, problem TEXT
);
CREATE TABLE entries (
    entry INTEGER PRIMARY KEY, session TEXT NOT NULL, turn TEXT NOT NULL, checksum INTEGER NOT NULL,
    UNIQUE (session, turn)
);
CREATE VIRTUAL TABLE texts USING fts5(body, tokenize = 'unicode61 remove_diacritics 2');
"""
_FILE: Final = re.compile(r"([0-9a-f]{32})\.json")
_WORD: Final = re.compile(r"\w+")
# Scripts without spaces between words: a tokenizer makes a whole clause one word there.
_UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uf900-\ufaff]")
_MATCH_START, _MATCH_END = "\x01", "\x02"  # `sanitize` leaves neither in a text
_SNIPPET_TOKENS: Final = 24
_SNIPPET_BEFORE, _SNIPPET_AFTER = 40, 120
_UNINDEXED_KEPT: Final = 4
_MOST_WORDS: Final = 64
_LONGEST_WORD: Final = 200
"""What of a query is looked for; SQLite refuses longer ones."""

_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_Result = TypeVar("_Result")
Places = tuple[tuple[int, int], ...]


class SessionIndex:
    """Summaries and full text of a folder's chats. Not thread-safe: the store guards it."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._folder = folder
        self._path: Path | None = path
        self._database: sqlite3.Connection | None = None
        self._fresh: OrderedDict[str, tuple[str, Conversation]] = OrderedDict()

    def summaries(self) -> list[SessionSummary]:
        """Return all chats: the pinned ones first, then the newest first."""

        def work(database: sqlite3.Connection) -> list[SessionSummary]:
            self._refresh(database, texts=False)
            rows = database.execute(
                "SELECT id, title, model, created_at, updated_at, turns, first_words, pinned, tags, size_bytes, problem"
                " FROM sessions ORDER BY pinned DESC, updated_at DESC, id"
            )
            return [_summary(row) for row in rows]

        return self._run(work)

    def index_texts(self, budget_s: float) -> int:
        """Index texts that changed for about `budget_s` seconds; return how many chats are still to be indexed."""
        return self._run(lambda database: self._refresh(database, texts=True, budget_s=budget_s))

    def search(self, query: str, limit: int, budget_s: float) -> list[SearchHit]:
        """Return the places that contain all words of `query`, matched as prefixes.

        What changed is indexed before, for about `budget_s` seconds. Hits in titles come first, then the best ones. No text is a
        syntax error: signs that are no letters separate words. Of a text that is too long for SQLite, say a pasted one, only the
        beginning counts.
        """
        needles = [needle[:_LONGEST_WORD] for needle in query.split()[:_MOST_WORDS]]
        if not needles or limit <= 0:
            return []
        words = _WORD.findall(" ".join(needles))[:_MOST_WORDS]
        literal = not words or any(map(_UNSPACED.search, needles))

        def work(database: sqlite3.Connection) -> list[SearchHit]:
            self._refresh(database, texts=True, budget_s=budget_s)
            if literal:
                return _search_literally(database, needles, limit)
            return _search_words(database, words, limit)

        return self._run(work)

    def note(self, conversation: Conversation, stamp: Stamp) -> None:
        """Index a chat that was just written, so that its file need not be read again."""
        key = _key(stamp)
        self._fresh[conversation.id] = (key, conversation)
        self._fresh.move_to_end(conversation.id)
        while len(self._fresh) > _UNINDEXED_KEPT:
            self._fresh.popitem(last=False)

    def close(self) -> None:
        """Close the database."""
        if self._database is not None:
            with contextlib.suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    # -- the database

    def _run(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        for _ in range(2):
            try:
                return self._once(work)
            except _DAMAGE as error:
                _log.warning("the chat index failed and is rebuilt: %s", error)
                self.close()
                if getattr(error, "sqlite_errorcode", None) not in _BUSY:
                    self._remove()
        self._path = None
        try:
            return self._once(work)
        except _DAMAGE as error:
            self.close()
            raise SessionFileError(f"The chats can't be listed or searched ({error}).") from error

    def _once(self, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        database = self._connected()
        with database:
            return work(database)

    def _connected(self) -> sqlite3.Connection:
        if self._database is None:
            name = ":memory:"
            if self._path is not None and self._prepare(self._path):
                name = str(self._path)
            database = sqlite3.connect(name, timeout=_LOCKED_S, check_same_thread=False)
            self._database = database
            # A file that somebody else made must not run functions from its schema.
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            self._make_sure_of_tables(database)
            # It can be made again at any time, so it need not survive a power cut.
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA journal_mode = WAL")
        return self._database

    @staticmethod
    def _make_sure_of_tables(database: sqlite3.Connection) -> None:
        """Make the tables in an empty database.

        Raises:
            sqlite3.Error: there are others in it, or there is anything else, such as a view or a trigger.
        """
        version = database.execute("PRAGMA user_version").fetchone()[0]
        found = database.execute(_MASTER).fetchall()
        if version != _SCHEMA_VERSION or not found:
            if found:
                raise sqlite3.DatabaseError("it has another version")
            _make_tables(database)
        elif found != _expected_tables():
            raise sqlite3.DatabaseError("its tables don't match the schema")

    def _prepare(self, path: Path) -> bool:
        try:
            make_private_folder(path.parent)
            fd = open_own(path, os.O_RDWR)
            size_bytes = os.fstat(fd).st_size
            os.close(fd)
            if size_bytes > _MOST_BYTES:
                path.unlink()
            for companion in _companions(path)[1:]:
                # SQLite would wait forever for a pipe.
                if os.path.lexists(companion) and not stat.S_ISREG(companion.lstat().st_mode):
                    set_aside(companion)
        except OSError:
            return False
        return True

    def _remove(self) -> None:
        if self._path is not None:
            for path in _companions(self._path):
                with contextlib.suppress(OSError):
                    path.unlink()

    # -- keeping it true

    def _refresh(
        self, database: sqlite3.Connection, *, texts: bool, budget_s: float = math.inf
    ) -> int:
        """Read what changed, the newest files first, for `budget_s` seconds; return how many are still to be read."""
        column = "text_stamp" if texts else "stamp"
        indexed = dict(database.execute(f"SELECT id, {column} FROM sessions"))  # noqa: S608
        there = dict(self._files())
        for chat_id in indexed.keys() - there.keys():
            database.execute("DELETE FROM sessions WHERE id = ?", (chat_id,))
            self._put_texts(database, chat_id, {})
        changed = [chat_id for chat_id, key in there.items() if indexed.get(chat_id) != key]
        changed.sort(key=lambda chat_id: -int(there[chat_id].split()[2]))
        end = time.monotonic() + budget_s
        for done, chat_id in enumerate(changed, 1):
            self._reindex(database, chat_id, there[chat_id], texts=texts)
            if time.monotonic() > end:
                return len(changed) - done
        return 0

    def _files(self) -> Iterator[tuple[str, str]]:
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    match = _FILE.fullmatch(entry.name)
                    if match and entry.is_file(follow_symlinks=False):
                        with contextlib.suppress(FileNotFoundError):
                            found = entry.stat(follow_symlinks=False)
                            stamp = Stamp(found.st_ino, found.st_size, found.st_mtime_ns)
                            yield match[1], _key(stamp)
        except OSError:
            return

    def _reindex(
        self, database: sqlite3.Connection, chat_id: str, key: str, *, texts: bool
    ) -> None:
        kept = self._fresh.get(chat_id)
        size_bytes = int(key.split()[1])
        conversation: Conversation | None
        if kept is not None and kept[0] == key:
            conversation = kept[1]
            summary = summarize(conversation, size_bytes)
        else:
            summary, conversation = summarize_file(self._folder / f"{chat_id}.json", size_bytes)
        database.execute("INSERT OR IGNORE INTO sessions (id) VALUES (?)", (chat_id,))
        database.execute(
            "UPDATE sessions SET stamp = ?, title = ?, model = ?, created_at = ?, updated_at = ?, turns = ?,"
            " first_words = ?, pinned = ?, tags = ?, size_bytes = ?, problem = ? WHERE id = ?",
            (
                key, summary.title, summary.model, summary.created_at, summary.updated_at, summary.turns,
                summary.first_words, summary.pinned, json.dumps(summary.tags), size_bytes, summary.problem,
                chat_id,
            ),
        )  # fmt: skip
        if texts:
            bodies = {"": summary.title}
            if conversation is not None:
                bodies |= {
                    turn.id: turn.content
                    for turn in conversation.turns.values()
                    if turn.id and sanitize(turn.id) == turn.id
                }
            self._put_texts(database, chat_id, bodies)
            database.execute("UPDATE sessions SET text_stamp = ? WHERE id = ?", (key, chat_id))
            self._fresh.pop(chat_id, None)

    @staticmethod
    def _put_texts(database: sqlite3.Connection, chat_id: str, bodies: dict[str, str]) -> None:
        """Index a chat's texts instead of those that were; only what changed costs anything."""
        rows = database.execute(
            "SELECT turn, entry, checksum FROM entries WHERE session = ?", (chat_id,)
        )
        old = {turn: (entry, checksum) for turn, entry, checksum in rows}
        for turn, body in bodies.items():
            checksum = zlib.crc32(body.encode("utf-8", "surrogatepass"))
            entry, before = old.pop(turn, (None, None))
            if before == checksum:
                continue
            if entry is not None:
                database.execute("DELETE FROM texts WHERE rowid = ?", (entry,))
            cursor = database.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)",
                (entry, chat_id, turn, checksum),
            )
            database.execute(
                "INSERT INTO texts (rowid, body) VALUES (?, ?)", (cursor.lastrowid, sanitize(body))
            )
        for entry, _checksum in old.values():
            database.execute("DELETE FROM texts WHERE rowid = ?", (entry,))
            database.execute("DELETE FROM entries WHERE entry = ?", (entry,))


def _make_tables(database: sqlite3.Connection) -> None:
    with database:
        database.execute("BEGIN IMMEDIATE")
        # Another process may have been faster.
        if not database.execute(_MASTER).fetchall():
            for statement in _SCHEMA.split(";")[:-1]:
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")


@functools.cache
def _expected_tables() -> list[tuple[Any, ...]]:
    """Return what the tables look like in the SQLite that runs."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        _make_tables(database)
        return database.execute(_MASTER).fetchall()


def _companions(path: Path) -> list[Path]:
    """Return the file of the index, and those that SQLite makes beside it."""
    return [Path(f"{path}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]


def _summary(row: tuple[Any, ...]) -> SessionSummary:
    (
        chat_id,
        title,
        model,
        created_at,
        updated_at,
        turns,
        first_words,
        pinned,
        tags,
        size,
        problem,
    ) = row
    found = json.loads(tags)
    _expect(
        all(isinstance(text, str) and sanitize_line(text) == text for text in row[:3])
        and all(isinstance(text, str) for text in (first_words, problem))
        and all(isinstance(number, int) and number >= 0 for number in (turns, size))
        and all(_is_time(value) for value in (created_at, updated_at))
        and sanitize_line(first_words) == first_words
        and sanitize_line(problem) == problem
        and [*read_tags(found)] == found
    )
    return SessionSummary(
        id=chat_id,
        title=title,
        model=model,
        created_at=created_at,
        updated_at=updated_at,
        turns=turns,
        first_words=first_words,
        pinned=bool(pinned),
        tags=tuple(found),
        size_bytes=size,
        problem=problem,
    )


def _hit(
    session: Any, turn: Any, title: Any, snippet: str, places: Places, updated_at: Any
) -> SearchHit:
    texts = (session, turn, title, snippet)
    _expect(all(isinstance(text, str) and sanitize(text) == text for text in texts))
    _expect(_is_time(updated_at))
    return SearchHit(session, turn or None, title, snippet, places, updated_at)


def _is_time(value: Any) -> bool:
    return isinstance(value, float) and clamped_time(value) == value


def _expect(is_sound: bool) -> None:
    """Check what was read of the index.

    Raises:
        sqlite3.DatabaseError: it is nothing that is written here.
    """
    if not is_sound:
        raise sqlite3.DatabaseError("it contains invalid values")


def _key(stamp: Stamp) -> str:
    return f"{stamp.inode} {stamp.size_bytes} {stamp.mtime_ns}"


def _read(path: Path) -> tuple[Conversation | None, str]:
    """Return the chat in a file, as far as it can be read, and a sentence about what can't."""
    try:
        data = read_regular(path, follow_links=False)
    except OSError as error:
        return None, f"The file can't be read ({reason(error)})."
    damaged = "The file is damaged; parts of it are readable."
    try:
        decoded = codec.loads(data)
        problem = damaged if decoded.problems else ""
        if decoded.is_newer:
            problem = "The file was written by a newer version of chat-tui."
    except ChatFormatError as error:
        try:
            decoded, problem = salvage(data), damaged
        except ChatFormatError:
            return None, f"The file can't be read. {error}"
    return replace(decoded.conversation, id=path.stem), problem


def summarize_file(path: Path, size_bytes: int) -> tuple[SessionSummary, Conversation | None]:
    """Return what a list shows of a chat's file, and the chat if it can be read."""
    problem = "The file can't be read."
    try:
        conversation, problem = _read(path)
        if conversation is not None:
            return summarize(conversation, size_bytes, problem), conversation
    except Exception:  # noqa: BLE001 - no file may take the list of all the others away
        _log.exception("can't read %s", path)
    return SessionSummary(path.stem, "Damaged chat", size_bytes=size_bytes, problem=problem), None


# -- searching

_HIT_COLUMNS: Final = "entries.session, entries.turn, sessions.title, sessions.updated_at"
_HIT_TABLES: Final = "texts JOIN entries ON entries.entry = texts.rowid JOIN sessions ON sessions.id = entries.session"


def _search_words(database: sqlite3.Connection, words: list[str], limit: int) -> list[SearchHit]:
    pattern = " ".join(f'"{word}"*' for word in words)
    rows = database.execute(
        f"SELECT {_HIT_COLUMNS}, snippet(texts, 0, ?, ?, '…', {_SNIPPET_TOKENS}) FROM {_HIT_TABLES}"  # noqa: S608
        " WHERE texts MATCH ? ORDER BY entries.turn <> '', texts.rank LIMIT ?",
        (_MATCH_START, _MATCH_END, pattern, limit),
    )
    hits = []
    for session, turn, title, updated_at, marked in rows:
        snippet, matches = _unmarked(" ".join(marked.split()))
        hits.append(_hit(session, turn, title, snippet, matches, updated_at))
    return hits


def _unmarked(marked: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return a snippet without the marks in it, and where they stood."""
    text = ""
    matches: list[tuple[int, int]] = []
    before, *pieces = marked.split(_MATCH_START)
    text += before
    for piece in pieces:
        match, _, rest = piece.partition(_MATCH_END)
        matches.append((len(text), len(text) + len(match)))
        text += match + rest
    return text, tuple(matches)


def _search_literally(
    database: sqlite3.Connection, needles: list[str], limit: int
) -> list[SearchHit]:
    """Find text as it stands, for signs and for scripts without spaces."""
    needles = [sanitize(needle) for needle in needles]
    patterns = [re.sub(r"([\\%_])", r"\\\1", needle) for needle in needles]
    condition = " AND ".join(["texts.body LIKE ? ESCAPE '\\'"] * len(needles))
    rows = database.execute(
        f"SELECT {_HIT_COLUMNS}, texts.body FROM {_HIT_TABLES} WHERE {condition}"  # noqa: S608
        " ORDER BY entries.turn <> '', sessions.updated_at DESC LIMIT ?",
        (*(f"%{pattern}%" for pattern in patterns), limit),
    )
    wanted = re.compile("|".join(map(re.escape, needles)), re.IGNORECASE)
    hits = []
    for session, turn, title, updated_at, body in rows:
        snippet, matches = _excerpt(body, wanted)
        hits.append(_hit(session, turn, title, snippet, matches, updated_at))
    return hits


def _excerpt(body: str, wanted: re.Pattern[str]) -> tuple[str, tuple[tuple[int, int], ...]]:
    first = wanted.search(body)
    at = first.start() if first else 0
    begin, end = max(0, at - _SNIPPET_BEFORE), at + _SNIPPET_AFTER
    text = " ".join(body[begin:end].split())
    snippet = ("…" if begin else "") + text + ("…" if end < len(body) else "")
    return snippet, tuple(match.span() for match in wanted.finditer(snippet))
