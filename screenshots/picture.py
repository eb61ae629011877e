"""Converts a screenshot of a Textual app to an SVG that needs nothing from the network, and to a PNG.

It knows nothing of the app: `take.py` decides what is in the picture.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import cairosvg

_FONT: Final = "DejaVu Sans Mono"
CELL_WIDTH_PX: Final = 12.2
# At this size, the font's advance is exactly one cell, so that lines and bars join.
_FONT_SIZE_PX: Final = CELL_WIDTH_PX / 0.60205
# Cairo rounds an advance to whole pixels, so a cell must have a whole number of them.
_PNG_CELL_WIDTH_PX: Final = 12


def portable(svg: str) -> str:
    """Return the SVG with an installed font instead of one from the web, and without IDs that change each time."""
    svg = re.sub(r"@font-face \{[^}]*\}\s*", "", svg)
    svg = svg.replace(
        "font-family: Fira Code, monospace;\n        font-size: 20px;",
        f"font-family: '{_FONT}', Menlo, Consolas, monospace;\n        font-size: {_FONT_SIZE_PX:.3f}px;",
    )
    svg = svg.replace("font-family: arial;", f"font-family: '{_FONT}', monospace;")
    return re.sub(r"terminal-\d+", "terminal", svg)


def write(svg: str, path: Path) -> None:
    """Write `path` as SVG, and the same picture as PNG beside it.

    Args:
        svg: as Textual's `export_screenshot` returns it.
        path: with or without a suffix.
    """
    svg = portable(svg)
    path.with_suffix(".svg").write_text(svg, encoding="utf-8")
    cairosvg.svg2png(
        bytestring=svg.encode(),
        write_to=str(path.with_suffix(".png")),
        scale=_PNG_CELL_WIDTH_PX / CELL_WIDTH_PX,
    )
