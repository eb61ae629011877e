"""The cost of a long chat compared with an empty one: opening, typing, paging, memory, a theme switch.

Run it with `python benchmarks/opening.py`. The sizes take turns in separate processes, with the real app and a scripted
engine. Figures are medians over the rounds. Keys are timed from the press to the first painted frame
that shows their effect. `start_ms` is how long a user
waits from the start of the process to a usable chat, and `open_ms` is the part of it after Python's imports.
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
from statistics import median, quantiles
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

_AT_END_S = 1.0
"""How long a key may take. After that, it had no effect, for example at the top of a chat."""
PARAGRAPH = (
    "Some **bold** words about `code`, and a list:\n\n- one\n- two\n\n```python\nx = 1\n```\n\n"
)


async def measure(chat_id: str, folder: Path, began: float) -> dict[str, float]:
    """Open a saved chat and use it; `began` is when the process was started, in seconds since the epoch."""
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
        await pilot.pause(2.0)
        gc.collect()
        gc.freeze()
        found["memory_mb"] = psutil.Process().memory_info().rss / 1024**2
        screen = app.screen
        found["key_p99_ms"] = await _timed(app, "a", 100, lambda: screen.composer.text)
        found["page_up_p99_ms"] = await _timed(
            app, "pageup", 100, lambda: screen.view.transcript.scroll_offset
        )
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


async def _timed(app: Any, key: str, times: int, state: Callable[[], object]) -> float:
    """Return the 99th percentile of the time from a key to the painted frame that shows its effect, in milliseconds."""
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
        if painted:
            taken.append((painted[0] - begun) * 1000)
        # Side effects, such as mounted turns, belong to this key and not to the next.
        await asyncio.sleep(0.05)
    return quantiles(taken, n=100)[98] if len(taken) > 1 else 0.0


def main() -> None:
    """Run both sizes in turn and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one is not None:
        chat_id, folder, began = given.one
        print(json.dumps(asyncio.run(measure(chat_id, Path(folder), float(began)))))
        return
    sizes = (0, given.turns)
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(given.rounds):
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                saved = _saved(Path(folder), size)
                command = [sys.executable, __file__, "--one", saved, folder, str(time.time())]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            runs[size].append(json.loads(out.splitlines()[-1]))
    print(f"| | empty | {given.turns:,} turns | ratio |\n|---|--:|--:|--:|")
    for name in runs[0][0]:
        empty, full = (median(run[name] for run in runs[size]) for size in sizes)
        # There is nothing to page through in an empty chat.
        ratio = f"{full / empty:.2f}" if empty else ""
        print(f"| {name} | {empty:.1f} | {full:.1f} | {ratio} |")


if __name__ == "__main__":
    main()
