"""Text in columns: cut to so many cells, or filled up to them. Wide characters take two."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui.sanitize import sanitize_line

_MOST_CHARACTERS = 400


def cut(text: str, cells: int) -> str:
    """Return a text of any origin on one line, no wider than so many cells, with an ellipsis where it goes on."""
    line = sanitize_line(text, _MOST_CHARACTERS)
    return (
        line if cell_len(line) <= cells else f"{set_cell_size(line, max(0, cells - 1)).rstrip()}…"
    )


def fitted(text: str, cells: int) -> str:
    """Return a text of any origin on one line that takes exactly so many cells."""
    return set_cell_size(cut(text, cells), max(0, cells))
