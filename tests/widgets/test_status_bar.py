"""What the status bar leaves out when it is narrow."""

from dataclasses import replace

import pytest
from textual.app import App, ComposeResult

from tui.engine.base import MemoryReading
from tui.widgets.status_bar import ModelState, StatusBar, StatusValues

VALUES = StatusValues(
    ModelState.READY, "SmolLM2-135M", "int8", memory=MemoryReading("RAM", "CPU", 8 * 2**30, 16 * 2**30, own=2**31),
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


async def line(width: int, values: StatusValues = VALUES, look: str = "") -> str:
    async with Host(values).run_test(size=(width, 3)) as pilot:
        pilot.app.set_class(bool(look), look or "-none")
        return pilot.app.query_one(StatusBar).render().plain


async def test_a_download_is_said_in_few_cells_where_there_is_no_room_for_more():
    narrow = await line(80)
    assert "↓ 43%" in narrow
    assert "some-model" not in narrow
    assert "1.2k/8.2k" in narrow


async def test_a_download_is_said_once_where_there_is_room():
    wide = await line(220)
    assert wide.count("43%") == 1
    assert "org/some-model ↓ 43% of 1.2 GB" in wide


QUIET = replace(VALUES, download="", download_short="", cached_tokens=1110, read_tokens=31)


@pytest.mark.parametrize("width", [50, 80, 120, 200])
async def test_the_gauge_of_the_context_stays_at_every_width(width: int) -> None:
    shown = await line(width, QUIET)
    assert "█▏░░░░░░ 1.2k/8.2k" in shown


async def test_figures_are_words() -> None:
    shown = await line(200, replace(QUIET, dropped_tokens=12))
    assert "first token 0.4 s" in shown
    assert "1,110 reused, 31 read, 12 dropped" in shown


async def test_the_apps_memory_stands_before_the_machines_and_stays_longer() -> None:
    wide, narrow = await line(200, QUIET), await line(70, QUIET)
    assert wide.index("app 2.0 GB") < wide.index("RAM 8.0/16.0 GB")
    assert "app 2.0 GB" in narrow
    assert "RAM" not in narrow


async def test_memory_that_runs_out_stays_too() -> None:
    memory = MemoryReading("RAM", "CPU", 15 * 2**30, 16 * 2**30, own=2**31)
    assert "RAM 15.0/16.0 GB" in await line(80, replace(QUIET, memory=memory))


async def test_the_speed_of_a_reply_is_drawn_from_zero_with_its_highest_said() -> None:
    shown = await line(200, replace(QUIET, speeds=(5.0, 10.0, 20.0)))
    assert "20 tok/s │ ▂▄▇ max 20" in shown


@pytest.mark.parametrize("look", ["-plain", "-ascii"])
async def test_nothing_is_drawn_where_columns_can_not_be(look: str) -> None:
    shown = await line(200, replace(QUIET, speeds=(5.0, 10.0, 20.0)), look)
    assert "max" not in shown
    assert ("█" in shown) is (look == "-ascii")
    assert "1.2k/8.2k" in shown
