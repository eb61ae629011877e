"""What the status bar leaves out when it is narrow."""

from dataclasses import replace

from textual.app import App, ComposeResult

from tui.engine.base import MemoryReading
from tui.widgets.status_bar import ModelState, StatusBar, StatusValues

VALUES = StatusValues(
    ModelState.READY, "SmolLM2-135M", "int8", memory=MemoryReading("RAM", "CPU", 8 * 2**30, 16 * 2**30, own=2**30),
    context_used=1200, context_total=8192, tokens_per_s=20.5, ttft_s=0.4,
    download="org/some-model ↓ 43% of 1.2 GB · 12 MB/s · 1:20 min left", download_short="↓ 43%",
)  # fmt: skip


class Host(App[None]):
    def __init__(self, values: StatusValues) -> None:
        super().__init__()
        self.values = values

    def compose(self) -> ComposeResult:
        bar = StatusBar()
        bar.values = self.values
        yield bar


async def line(width: int, values: StatusValues = VALUES) -> str:
    async with Host(values).run_test(size=(width, 3)) as pilot:
        return pilot.app.query_one(StatusBar).render().plain


async def test_a_download_is_said_in_few_cells_where_there_is_no_room_for_more():
    narrow = await line(80)
    assert "↓ 43%" in narrow
    assert "some-model" not in narrow
    assert "ctx 1,200/8,192" in narrow


async def test_a_download_is_said_once_where_there_is_room():
    wide = await line(220)
    assert wide.count("43%") == 1
    assert "org/some-model ↓ 43% of 1.2 GB" in wide


async def test_what_the_cache_saved_goes_before_what_is_said_twice():
    values = replace(VALUES, download="", download_short="", cached_tokens=111, read_tokens=31)
    shown = await line(120, values)
    assert "111 cached +31" in shown
    assert "app" not in shown
