"""What is on the screen, as a text file that a person can review: its lines, the look of every cell, and what each look is.

A look has the same sign wherever it stands, and keeps the sign that it has in the file from before. A color that changes is then one
line of a diff, and text or a look that moves is no more than the rows where it was and is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import chain
from string import ascii_letters, digits
from typing import Any, Final

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual._context import visible_screen_stack
from textual.app import App

_GROUND: Final = "."
"""The sign of the look that most cells have; left out at the end of a row."""
_SIGNS: Final = ascii_letters + digits
_LINES: Final = ("underline", "underline2", "strike", "overline")
_ATTRIBUTES: Final = ("bold", "dim", "italic", "blink", *_LINES)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is on a screen: the text of each row, and the look of each cell of it in words."""

    rows: tuple[str, ...]
    looks: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Written:
    """What a file says: the signs of each row, and what they mean."""

    signs: tuple[str, ...] = ()
    legend: Mapping[str, str] = field(default_factory=dict)

    def sign_at(self, x: int, y: int) -> str:
        row = self.signs[y] if y < len(self.signs) else ""
        return row[x] if x < len(row) else _GROUND


def frame_of(app: App[Any]) -> Frame:
    """Return what an app shows now."""
    width, height = app.size
    rows, looks = [], []
    # Otherwise a dialog would be drawn over nothing.
    visible_screen_stack.set(app._background_screens)
    for strip in app.screen._compositor.render_strips()[:height]:
        segments = [one for one in strip.crop(0, width) if not one.control]
        rows.append("".join(one.text for one in segments).rstrip())
        looks.append(
            tuple(
                look
                for one in segments
                for character in one.text
                for look in [_look(character, one.style or Style())] * cell_len(character)
            )
        )
    return Frame(tuple(rows), tuple(looks))


def written(frame: Frame, before: str = "") -> str:
    """Return the file of a frame.

    Args:
        before: the file that it takes the place of; looks keep the signs that they have there.
    """
    signs = _signs(frame, _read(before))
    legend = sorted(signs.items(), key=lambda one: (_GROUND + _SIGNS).index(one[1]))
    return "\n".join(
        (
            *_numbered(frame.rows),
            "",
            *_numbered("".join(signs[look] for look in row).rstrip(_GROUND) for row in frame.looks),
            "",
            *(f"{sign} {look}" for look, sign in legend),
            "",
        )
    )


def difference(before: str, frame: Frame) -> str:
    """Return what is different on a frame from a file, line by line; empty when nothing is."""
    after = written(frame, before)
    lines = unified_diff(
        before.splitlines(), after.splitlines(), "stored", "shown", n=1, lineterm=""
    )
    return "\n".join(lines)


def _look(character: str, style: Style) -> str:
    """Return how a cell looks. Of a blank, nobody sees the color or the weight."""
    front, back = style.color, style.bgcolor
    if style.reverse:
        front, back = back, front
    is_blank = character.isspace()
    shown = [name for name in (_LINES if is_blank else _ATTRIBUTES) if getattr(style, name)]
    words = [] if is_blank and not shown else [_name(front)]
    return " ".join((*words, "on", _name(back), *shown))


def _name(color: Color | None) -> str:
    return color.get_truecolor().hex if color is not None and not color.is_default else "default"


def _numbered(rows: Iterable[str]) -> list[str]:
    return [f"{number:02}|{row}" for number, row in enumerate(rows, start=1)]


def _read(text: str) -> _Written:
    if not text:
        return _Written()
    _, signs, legend = text.rstrip("\n").split("\n\n")
    return _Written(
        tuple(line.partition("|")[2] for line in signs.splitlines()),
        {line[0]: line[2:] for line in legend.splitlines()},
    )


def _signs(frame: Frame, before: _Written) -> dict[str, str]:
    """Return a sign for each look: that from before, else that of a look that is gone and stood in its place, else a new one."""
    cells = Counter(chain.from_iterable(frame.looks))
    signs = {look: sign for sign, look in before.legend.items() if look in cells}
    if not before.legend:
        signs[cells.most_common(1)[0][0]] = _GROUND
    for y, row in enumerate(frame.looks):
        for x, look in enumerate(row):
            if look in signs:
                continue
            taken = set(signs.values())
            sign = before.sign_at(x, y)
            if sign in taken:
                sign = next(one for one in _SIGNS if one not in taken | set(before.legend))
            signs[look] = sign
    return signs
