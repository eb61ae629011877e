"""The dialog that shows memory use: each device, with the shares of weights, KV cache and everything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Label, Static

from tui.engine.base import MemoryReading, ModelInfo
from tui.sanitize import sanitize_line
from tui.screens.dialog import Hint, KeyHints
from tui.screens.reading_dialog import ReadingDialog
from tui.widgets.figures import bar_text, bytes_text, count_text, of_total

_EVERY_S: Final = 1.0
_BAR: Final = 24


class MemoryView(ReadingDialog[None]):
    """Shows the memory use, updated every second."""

    CSS: ClassVar[str] = """
    MemoryView {
        & #figures { height: auto; width: 1fr; margin: 1 0; }
    }
    """

    def __init__(self, read: Callable[[], MemoryReading], info: ModelInfo | None) -> None:
        """Create the dialog.

        Args:
            read: reads the memory use; cheap.
            info: the loaded model.
        """
        super().__init__()
        self._read = read
        self._info = info

    def compose(self) -> ComposeResult:
        """Lay out the figures."""
        with Vertical(id="dialog"):
            yield Label("Memory", classes="title")
            yield Static("", id="figures")
            yield KeyHints([Hint("Esc", "close", "close")])

    def on_mount(self) -> None:
        """Show the figures, and keep them up to date."""
        self._show()
        self.set_interval(_EVERY_S, self._show)

    def _show(self) -> None:
        reading = self._read()
        if not reading.total:
            where = sanitize_line(reading.device, 40) or "another device"
            self.query_one("#figures", Static).update(
                f"The model is on {where}. Its memory use is unknown."
            )
            return
        lines = [*device_lines(reading), Content("")]
        if reading.engine:
            lines += [_line("engine process", reading.engine, reading.own)]
        lines += [
            _line("model weights", reading.weights, reading.own),
            _line("KV cache", reading.cache, reading.own),
            _line(
                "everything else",
                max(0, reading.own - reading.weights - reading.cache),
                reading.own,
            ),
        ]
        if self._info is not None and self._info.parameters:
            held = "" if self._info.quantization == "none" else f" {self._info.quantization}"
            text = sanitize_line(
                f"{self._info.name}: {count_text(self._info.parameters)} parameters, {self._info.dtype}{held}"
            )
            lines += [Content(""), Content.styled(text, "$text-muted")]
        for other in reading.others:
            lines += [Content(""), *device_lines(other)]
        self.query_one("#figures", Static).update(Content("\n").join(lines))


def device_lines(reading: MemoryReading) -> list[Content]:
    """Return the device's name, and how much memory this app and other programs use."""
    others = max(0, reading.used - reading.own)
    title = f"{sanitize_line(reading.kind, 12)} of {sanitize_line(reading.device, 40)}"
    return [
        Content.assemble((title, "bold"), f"  {of_total(reading.used, reading.total)} in use"),
        _line("chat-tui", reading.own, reading.total),
        _line("other programs", others, reading.total),
        _line("free", reading.free, reading.total),
    ]


def _line(name: str, count: int, total: int) -> Content:
    share = count / total if total else 0.0
    return Content.assemble(
        f"  {name:<18}",
        (bar_text(share, _BAR), "$text-accent"),
        f" {bytes_text(count):>9}",
        (f" {share:4.0%}", "$text-muted"),
    )
