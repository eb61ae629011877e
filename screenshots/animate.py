"""Creates the animated picture at the top of the README: the real app with the demo model, from a question to another branch.

    make animation

Decoding is greedy, so the text stays the same on one machine. Frames have fixed durations, regardless of the real ones.
"""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import cairosvg
import picture
import take
from PIL import Image
from textual.pilot import Pilot

from tui.app import ChatApp
from tui.sessions import SessionStore
from tui.settings.paths import AppPaths

SIZE: Final = (100, 28)
CELL_PX: Final = 10
"""A whole number, because the text is set in whole pixels."""
COLORS: Final = 64
TYPED_MS: Final = 45
STREAMED_MS: Final = 90
SEEN_MS: Final = 1600
QUESTION: Final = "Show a Python list comprehension that squares numbers."
EDITED: Final = "What is a list comprehension? Answer in two sentences."


@dataclass
class Film:
    """The frames, each with its duration in milliseconds. A frame that equals the previous one only extends it."""

    frames: list[tuple[str, int]] = field(default_factory=list)

    def take(self, app: ChatApp, shown_ms: int) -> None:
        """Record the current screen."""
        svg = picture.portable(app.export_screenshot(title="chat-tui"))
        if self.frames and self.frames[-1][0] == svg:
            shown_ms += self.frames.pop()[1]
        self.frames.append((svg, shown_ms))

    def write(self, path: Path) -> None:
        """Write an endlessly repeating GIF."""
        pictures = [_painted(svg) for svg, _ in self.frames]
        palette = pictures[len(pictures) // 2].quantize(COLORS)
        first, *others = [
            one.quantize(palette=palette, dither=Image.Dither.NONE) for one in pictures
        ]
        first.save(
            path,
            save_all=True,
            append_images=others,
            duration=[shown_ms for _, shown_ms in self.frames],
            loop=0,
            optimize=True,
        )


async def main() -> None:
    """Create the film."""
    film = Film()
    with tempfile.TemporaryDirectory() as folder:
        paths = AppPaths.under(Path(folder))
        paths.ensure()
        cache = Path(os.environ.get("CHAT_TUI_TEST_CACHE") or paths.cache)
        app = take.new_app(SessionStore(paths.sessions, paths.index), cache)
        async with app.run_test(size=SIZE) as pilot:
            await take.wait(pilot, lambda: take.chat(app).model.ready)
            await _settle(pilot)
            film.take(app, SEEN_MS)
            await _ask(pilot, app, film, QUESTION)
            await pilot.press("alt+up", "alt+up")
            await _settle(pilot)
            film.take(app, SEEN_MS)
            await pilot.press("e")
            await _settle(pilot)
            await pilot.press("ctrl+end", "ctrl+u")
            await _ask(pilot, app, film, EDITED)
            await pilot.press("f6")
            await _settle(pilot)
            film.take(app, 2 * SEEN_MS)
        app.close()
    path = take.FOLDER / "demo.gif"
    film.write(path)
    print(f"{path.parent.name}/{path.name}: {path.stat().st_size // 1000} kB")


async def _ask(pilot: Pilot[None], app: ChatApp, film: Film, text: str) -> None:
    """Type a message, and record the reply until it has ended."""
    for letter in text:
        await pilot.press("space" if letter == " " else letter)
        film.take(app, TYPED_MS)
    await pilot.press("enter")
    await take.wait(pilot, lambda: take.chat(app).reply)
    while take.chat(app).reply:
        await pilot.pause(0.15)
        film.take(app, STREAMED_MS)
    await _settle(pilot)
    film.take(app, SEEN_MS)


async def _settle(pilot: Pilot[None]) -> None:
    pilot.app.clear_notifications()
    await pilot.pause(0.6)


def _painted(svg: str) -> Image.Image:
    data = cairosvg.svg2png(bytestring=svg.encode(), scale=CELL_PX / picture.CELL_WIDTH_PX)
    return Image.open(io.BytesIO(data)).convert("RGB")


if __name__ == "__main__":
    asyncio.run(main())
