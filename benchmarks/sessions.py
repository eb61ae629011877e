"""The cost of chats on disk: opening, saving and checkpointing long ones, listing and searching many.

    python -m benchmarks.sessions [--chats 1000] [--turns 40] [--folder FOLDER] [--json FILE] [--anyway]

It works in a temporary folder (`--folder` names another disk's) and leaves nothing. Figures are medians with their ranges, of as many
calls as the table says. Nothing is published from a machine that isn't quiet.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._quiet import Publisher, add_options
from benchmarks._ranges import Range
from tui.conversation import Conversation, Generation, Status, Turn, codec, new_id
from tui.sessions import SessionStore, SessionWriter

SYLLABLES = (
    "ka",
    "lo",
    "mi",
    "ter",
    "so",
    "ven",
    "ra",
    "ul",
    "pen",
    "di",
    "tor",
    "es",
    "an",
    "qui",
)


@dataclass
class Table:
    """The lines of the result."""

    rows: list[str] = field(default_factory=list)
    below: list[str] = field(default_factory=list)
    times_ms: dict[str, list[float]] = field(default_factory=dict)

    def add(self, what: str, times_ms: list[float], note: str = "") -> None:
        """Add a line."""
        self.times_ms[what] = times_ms
        text = Range.of(times_ms).text(2)
        self.rows.append(f"| {what} | {text} | {len(times_ms)} | {note} |")
        print(self.rows[-1], file=sys.stderr, flush=True)

    def text(self) -> str:
        """Return the table."""
        return "\n".join(("| | ms | calls | |", "|---|--:|--:|---|", *self.rows, "", *self.below))


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where to create the temporary folder")
    parser.add_argument("--chats", type=int, default=1000)
    parser.add_argument(
        "--turns", type=int, default=40, help="number of turns in each of the many chats"
    )
    add_options(parser)
    options = parser.parse_args()
    publisher = Publisher(path=options.json, anyway=options.anyway)
    publisher.begin()
    words = vocabulary(random.Random(1))
    table = Table()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        long_chats(table, Path(name) / "long", words)
        publisher.between()
        many_chats(table, Path(name) / "many", words, options.chats, options.turns)
    return publisher.end(table.text(), {"times_ms": table.times_ms})


def vocabulary(rng: random.Random) -> list[str]:
    """Return 5,000 made-up words."""
    return ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(5000)]


def make_chat(rng: random.Random, words: list[str], turns: int) -> Conversation:
    """Return a chat with turns of 20 to 200 words, built faster than by user operations."""
    made = Generation("org/model", parameters={"temperature": 0.7, "top_p": 0.95, "seed": 1})
    found: dict[str, Turn] = {}
    parent = None
    for number in range(turns):
        role = "assistant" if number % 2 else "user"
        text = " ".join(rng.choices(words, k=rng.randint(20, 200)))
        turn = Turn(
            new_id(), parent, role, text, float(number), generation=made if number % 2 else None
        )
        found[turn.id] = turn
        parent = turn.id
    return Conversation(title=" ".join(rng.choices(words, k=4)), turns=found)


def timed(work: Callable[[], object], runs: int = 5) -> list[float]:
    """Return the times of some calls in milliseconds."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1000)
    return times


def long_chats(table: Table, folder: Path, words: list[str]) -> None:
    """Measure chats of 2,000 and 5,000 turns."""
    rng = random.Random(2)
    store = SessionStore(folder)
    for turns in (100, 2000, 5000):
        chat = make_chat(rng, words, turns)
        long_chat(table, store, chat, f"{turns} turns")
    store.close()
    hitch(table, folder, chat)


def long_chat(table: Table, store: SessionStore, chat: Conversation, name: str) -> None:
    """Measure one chat."""
    first = timed(lambda: store.save(chat), 1)
    table.add(f"{name}: first save", first, f"{store.path(chat.id).stat().st_size / 1e6:.1f} MB")
    table.add(f"{name}: save again after one turn", timed(lambda: store.save(chat.add_user("x"))))
    table.add(f"{name}: open", timed(lambda: SessionStore(store.folder).load(chat.id, lock=False)))
    streaming = chat.begin_reply(None, Generation("m"))
    reply = streaming.path[-1].id
    store.save(streaming)
    piece = "some words " * 10
    table.add(
        f"{name}: checkpoint, fsynced", timed(lambda: store.checkpoint(chat.id, reply, piece), 50)
    )
    store.save(streaming.finish(reply, Status.COMPLETE, text="x"))


def hitch(table: Table, folder: Path, chat: Conversation) -> None:
    """Measure how long another thread, such as the UI thread, waits while the longest chat is saved."""
    writer = SessionWriter(SessionStore(folder))
    chat = writer.store.load(chat.id).conversation
    stop = threading.Event()
    late_ms: list[float] = []

    def tick() -> None:
        while not stop.is_set():
            begin = time.perf_counter()
            time.sleep(0.001)
            late_ms.append((time.perf_counter() - begin - 0.001) * 1000)

    ticker = threading.Thread(target=tick)
    ticker.start()
    asked, longest = [], []
    for number in range(10):
        late_ms.clear()
        chat = chat.add_user(f"turn {number}")
        begin = time.perf_counter()
        future = writer.save(chat)
        asked.append((time.perf_counter() - begin) * 1000)
        future.result()
        longest.append(max(late_ms, default=0.0))
    stop.set()
    ticker.join()
    table.add("5000 turns: asking the writer for a save", asked)
    table.add("5000 turns: longest wait of another thread in a save", longest)
    writer.close(10)


def many_chats(table: Table, folder: Path, words: list[str], chats: int, turns: int) -> None:
    """Measure lists and searches."""
    rng = random.Random(3)
    folder.mkdir()
    for _ in range(chats):
        chat = make_chat(rng, words, turns)
        (folder / f"{chat.id}.json").write_bytes(codec.dumps(chat))
    size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    store = SessionStore(folder)
    many = f"{chats} chats of {turns} turns"
    table.add(
        f"{many}: first list, without an index", timed(store.list, 1), f"{size_mb:.0f} MB of files"
    )
    table.add(f"{many}: list", timed(store.list))
    table.add(f"{many}: list in a new process's store", timed(lambda: SessionStore(folder).list()))
    table.add(f"{many}: all texts indexed", timed(lambda: store.index_texts(1e9), 1))
    store.save(store.load(chat.id).conversation.add_user("one more"))
    table.add(f"{many}: list after a save", timed(store.list, 1))
    table.add(f"{many}: search after a save", timed(lambda: store.search("more"), 1))
    for query in (words[7], f"{words[9]} {words[11]}", "ka", "->"):
        hits = len(store.search(query, 50))
        table.add(
            f"{many}: search for “{query}”",
            timed(lambda query=query: store.search(query, 50)),
            f"{hits} hits",
        )
    index_mb = (folder / "index.sqlite3").stat().st_size / 1e6
    table.below.append(f"The index of {many} takes {index_mb:.0f} MB.")


if __name__ == "__main__":
    sys.exit(main())
