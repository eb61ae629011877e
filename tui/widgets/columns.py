"""Text in columns: truncated or padded to a number of cells. Wide characters take two."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from tui.sanitize import sanitize_line

_MOST_CHARACTERS = 400


def cut(text: str, cells: int) -> str:
    """Return untrusted text on one line of at most `cells` cells, with an ellipsis if it is truncated."""
    line = sanitize_line(text, _MOST_CHARACTERS)
    return (
        line if cell_len(line) <= cells else f"{set_cell_size(line, max(0, cells - 1)).rstrip()}…"
    )


def fitted(text: str, cells: int) -> str:
    """Return untrusted text on one line of exactly `cells` cells."""
    return set_cell_size(cut(text, cells), max(0, cells))
