"""The cost of a long chat compared with an empty one: opening, typing, paging, memory, a theme switch.

    python -m benchmarks.opening [--turns 2000] [--rounds 3] [--keys 30] [--json FILE] [--anyway]

The sizes take turns in separate processes, with the real app and a scripted engine; as it is, all of it takes about a minute. Figures
are medians over the rounds with their ranges; ratios are of what was measured in the same round. Keys are timed from the press to the
first painted frame that shows their effect. `start_ms` is how long a user waits from the start of the process to a usable chat, and
`open_ms` is the part of it after Python's imports. Nothing is published from a machine that isn't quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._quiet import Publisher, add_options
from benchmarks._ranges import Comparison, Range

_AT_END_S = 1.0
"""How long a key may take. After that, it had no effect, for example at the top of a chat."""
_SETTLE_S = 1.0
_SIDE_EFFECTS_S = 0.05
TITLES = {
    "start_ms": "start, ms",
    "open_ms": "start without imports, ms",
    "memory_mb": "memory, MB",
    "key_ms": "a key, ms",
    "key_slowest_ms": "the slowest key, ms",
    "page_up_ms": "page up, ms",
    "page_up_slowest_ms": "the slowest page up, ms",
    "theme_ms": "another theme, ms",
}
PARAGRAPH = (
    "Some **bold** words about `code`, and a list:\n\n- one\n- two\n\n```python\nx = 1\n```\n\n"
)


async def measure(chat_id: str, folder: Path, began: float, keys: int) -> dict[str, float]:
    """Open a saved chat and use it.

    Args:
        chat_id: the chat.
        folder: where it is saved.
        began: when the process was started, in seconds since the epoch.
        keys: how many keys of a kind to press.
    """
    from tests.scripted import ScriptedEngine
    from tui.app import ChatApp, Start
    from tui.engine.base import LoadRequest
    from tui.sessions import SessionStore
    from tui.sessions.writer import SessionWriter
    from tui.settings.state import AppState
    from tui.settings.themes import shipped_themes

    store = SessionStore(folder / "sessions", folder / "index.sqlite3")
    started = time.perf_counter()
    start = Start(store.load(chat_id), LoadRequest("scripted"))
    app = ChatApp(
        ScriptedEngine(), SessionWriter(store), AppState(), start=start, themes=shipped_themes()
    )
    found: dict[str, float] = {}
    async with app.run_test(size=(80, 24)) as pilot:
        found["start_ms"] = (time.time() - began) * 1000
        found["open_ms"] = (time.perf_counter() - started) * 1000
        await pilot.pause(_SETTLE_S)
        gc.collect()
        gc.freeze()
        found["memory_mb"] = psutil.Process().memory_info().rss / 1e6
        screen = app.screen
        typed = await _timed(app, "a", keys, lambda: screen.composer.text)
        found["key_ms"], found["key_slowest_ms"] = median(typed), max(typed)
        paged = await _timed(app, "pageup", keys, lambda: screen.view.transcript.scroll_offset)
        if paged:
            found["page_up_ms"], found["page_up_slowest_ms"] = median(paged), max(paged)
        begun = time.perf_counter()
        app.theme = shipped_themes()[1].name
        await pilot.pause()
        found["theme_ms"] = (time.perf_counter() - begun) * 1000
    app.close()
    return found


def _saved(folder: Path, turns: int) -> str:
    from tui.conversation import Conversation, Turn, new_id
    from tui.sessions import SessionStore

    store = SessionStore(folder / "sessions", folder / "index.sqlite3")
    made: dict[str, Turn] = {}
    parent: str | None = None
    for place in range(turns):
        role = "user" if place % 2 == 0 else "assistant"
        turn = Turn(new_id(), parent, role, PARAGRAPH * (1 + place % 3), 1.7e9 + place)
        made[turn.id] = turn
        parent = turn.id
    chat = Conversation(title="long", turns=made)
    store.save(chat)
    store.close()
    return chat.id


async def _timed(app: Any, key: str, times: int, state: Callable[[], object]) -> list[float]:
    """Return the times from a key to the painted frame that shows its effect, in milliseconds.

    It ends early with a key that has no effect: there is nothing more to page through.
    """
    from textual.events import Key

    taken = []
    for _ in range(times):
        painted: list[float] = []
        before = state()
        screen, paint = app.screen, app.screen._compositor_refresh  # noqa: SLF001 - when a frame is painted is said nowhere else

        def painting(
            paint: Callable[[], None] = paint,
            painted: list[float] = painted,
            before: object = before,
        ) -> None:
            paint()
            if state() != before:
                painted.append(time.perf_counter())

        screen._compositor_refresh = painting  # noqa: SLF001
        begun = time.perf_counter()
        app.post_message(Key(key, key if len(key) == 1 else None))
        while not painted and time.perf_counter() - begun < _AT_END_S:
            await asyncio.sleep(0.001)
        del screen._compositor_refresh  # noqa: SLF001
        if not painted:
            break
        taken.append((painted[0] - begun) * 1000)
        # Side effects, such as mounted turns, belong to this key and not to the next.
        await asyncio.sleep(_SIDE_EFFECTS_S)
    return taken


def table(turns: int, empty: list[dict[str, float]], full: list[dict[str, float]]) -> str:
    """Return the figures of both sizes side by side.

    Args:
        turns: of the long chat.
        empty, full: the figures of each round.
    """
    rows = [f"| | empty | {turns:,} turns | ratio, by pairs |", "|---|--:|--:|--:|"]
    for name, title in TITLES.items():
        without, with_them = ([one[name] for one in runs if name in one] for runs in (empty, full))
        cells = [Range.of(values).text(1) if values else "" for values in (without, with_them)]
        # There is nothing to page through in an empty chat.
        ratio = Comparison.of(with_them, without)
        if any(cells):
            rows.append(f"| {title} | {' | '.join(cells)} | {ratio.text() if ratio else ''} |")
    return "\n".join(rows)


def main() -> int:
    """Run both sizes in turn and print them side by side."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--turns", type=int, default=2000, help="of the long chat")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys", type=int, default=30, help="how many keys of a kind to press")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    add_options(parser)
    given = parser.parse_args()
    if given.one is not None:
        chat_id, folder, began = given.one
        print(json.dumps(asyncio.run(measure(chat_id, Path(folder), float(began), given.keys))))
        return 0
    publisher = Publisher(path=given.json, anyway=given.anyway)
    publisher.begin()
    sizes = (0, given.turns)
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for number in range(given.rounds):
        for size in sizes[::-1] if number % 2 else sizes:
            runs[size].append(_one(size, given.keys))
        publisher.between()
    text = table(given.turns, runs[0], runs[given.turns])
    return publisher.end(text, {"turns": given.turns, "empty": runs[0], "full": runs[given.turns]})


def _one(turns: int, keys: int) -> dict[str, float]:
    """Return the figures of a chat with so many turns, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        saved = _saved(Path(folder), turns)
        command = [sys.executable, __file__, "--keys", str(keys), "--one", saved, folder]
        out = subprocess.run(
            [*command, str(time.time())], capture_output=True, text=True, check=True
        ).stdout
    return dict(json.loads(out.splitlines()[-1]))


if __name__ == "__main__":
    sys.exit(main())
