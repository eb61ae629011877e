"""The panel of figures, and what is computed ahead of the next message."""

from __future__ import annotations

from tests.screens.conftest import Desk, answered, ready, say, until
from tests.screens.host import screen_text
from tests.scripted import ScriptedEngine
from tui.conversation import ReplyStats
from tui.engine.base import Finished, MemoryReading, PromptReady, TextDelta
from tui.screens.stats import StatsScreen, memory_text, rows
from tui.widgets.status_bar import StatusBar

FAST = ReplyStats(100, 90, new_tokens=21, ttft_s=0.1, prefill_s=0.1, decode_s=1.0)
SLOW = ReplyStats(
    300, 0, new_tokens=11, ttft_s=0.9, prefill_s=1.0, decode_s=1.0, drafted_tokens=8,
    accepted_tokens=2,
)  # fmt: skip


def test_figures_of_groups_of_replies():
    known = {row.name: row.values for row in rows(([FAST], [FAST, SLOW], []))}
    assert known["replies"] == ("1", "2", "–")
    assert known["first token, median"] == ("0.10 s", "0.50 s", "–")
    assert known["reading the prompt"] == ("100.0 tok/s", "281.8 tok/s", "–")
    assert known["writing"] == ("20.0 tok/s", "15.0 tok/s", "–")
    assert known["reused from cache"] == ("90%", "22%", "–")
    assert known["tokens written"] == ("21", "32", "–")
    assert known["drafts accepted"] == ("–", "25%", "–")


def test_figures_that_nobody_measured_are_left_out():
    assert "drafted tokens" not in {row.name for row in rows(([FAST], [FAST], [FAST]))}


def test_memory_is_told_as_far_as_it_is_known():
    reading = MemoryReading("RAM", "CPU", 2**33, 3 * 2**33, 2**29, 2**28, 2**20)
    assert (
        memory_text(reading)
        == "RAM 8.0/24.0 GB · this app 512 MB · weights 256 MB · KV caches 1 MB"
    )
    assert memory_text(MemoryReading()) == "The memory use is unknown."


async def test_the_panel_shows_the_last_reply_the_chat_and_the_session(desk: Desk) -> None:
    engine = ScriptedEngine(replies=["one two three", "four five six seven"])
    async with desk.app(engine).run_test(size=(98, 30)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+n")
        await say(pilot, "y")
        await answered(pilot, screen, 2)
        screen.do("app.stats")
        await until(pilot, lambda: isinstance(pilot.app.screen, StatsScreen))
        await pilot.pause()
        text = screen_text(pilot.app)
        line = next(
            line for line in text.splitlines() if "replies" in line and "for each" not in line
        )
        assert line.split()[-3:-1] == ["1", "1"] or line.split()[-4:-1] == ["1", "1", "2"]
        assert "tokens/s for each reply" in text
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)


async def test_without_a_reply_the_panel_says_so(desk: Desk) -> None:
    async with desk.app().run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        screen.do("app.stats")
        await until(pilot, lambda: "There are no replies yet." in screen_text(pilot.app))


async def test_the_status_bar_says_what_was_cached_new_and_dropped(desk: Desk) -> None:
    events = [
        PromptReady(1242, 1204, dropped_tokens=12),
        TextDelta("Yes."),
    ]

    class Engine(ScriptedEngine):
        def generate(self, request, emit, cancelled):
            for event in events:
                emit(event)
            return Finished(ReplyStats(1242, 1204, dropped_tokens=12, new_tokens=1))

    async with desk.app(Engine()).run_test(size=(200, 40)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        await pilot.pause()
        assert "1,204 reused, 38 read, 12 dropped" in str(screen.query_one(StatusBar).render())


async def test_what_comes_before_the_next_message_is_computed_ahead(desk: Desk) -> None:
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=(98, 30)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: engine.prepared)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: len(engine.prepared) > 1)
        roles = [message.role for message in engine.prepared[-1].messages]
        assert roles == ["user", "assistant"]
        count = len(engine.prepared)
        await pilot.press("a")
        await until(pilot, lambda: screen.core.counting.draft_tokens is not None)
        assert len(engine.prepared) == count
