"""The one function that untrusted text passes on its way to the terminal.

Models, files, servers and clipboards can hold escape sequences that write the clipboard, move the cursor or retitle the
window, and invisible characters that make text read differently from what it says. What is stored stays raw; what
is shown, copied or put into a title goes through `sanitize`.
"""

from __future__ import annotations

from typing import Final

from tui.pattern import pattern

_BIDI: Final = {
    0x061C: "ALM",
    0x200E: "LRM",
    0x200F: "RLM",
    0x202A: "LRE",
    0x202B: "RLE",
    0x202C: "PDF",
    0x202D: "LRO",
    0x202E: "RLO",
    0x2066: "LRI",
    0x2067: "RLI",
    0x2068: "FSI",
    0x2069: "PDI",
}
_REPLACEMENT: Final = "\ufffd"
_READ_FOR_EACH: Final = 8
"""Characters of a text that are read for each one that a line of it may have."""


def _table() -> dict[int, str]:
    table: dict[int, str] = {}
    for code in range(0x20):
        table[code] = chr(0x2400 + code)  # the Unicode control pictures: ESC shows as ␛
    for kept in (0x09, 0x0A):
        del table[kept]
    for line_end in (0x0B, 0x0C, 0x0D, 0x85, 0x2028, 0x2029):
        table[line_end] = "\n"
    table[0x7F] = "\u2421"
    for code in range(0x80, 0xA0):
        table.setdefault(code, _REPLACEMENT)
    for code, name in _BIDI.items():
        table[code] = f"⟪{name}⟫"
    for code in (*range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)):
        table[code] = _REPLACEMENT
    return table


_TABLE: Final = _table()
# A lone surrogate can't be encoded, so it would take the whole app down when it is written to the terminal.
_UNSAFE: Final = pattern(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]"
)
_SURROGATES: Final = pattern("[\ud800-\udfff]")


def sanitize(text: str) -> str:
    """Return `text` as it may be shown: no control, bidi or tag character but newline and tab.

    Control characters become visible signs rather than vanish, so that a reader sees that something was there. The
    function is idempotent, and returns the very same object where nothing has to change.
    """
    if _UNSAFE.search(text) is None:
        return text
    return _SURROGATES.sub(_REPLACEMENT, text.replace("\r\n", "\n").translate(_TABLE))


def sanitize_line(text: str, limit: int = 0) -> str:
    """Return `text` sanitised on one line, cut to `limit` characters (0: as long as it is) with an ellipsis."""
    if limit and len(text) > _READ_FOR_EACH * limit:
        # Of a long text only the beginning is looked at, unless that is nothing but blanks.
        start = sanitize_line(text[: _READ_FOR_EACH * limit], limit)
        if len(start) == limit:
            return start
    line = " ".join(sanitize(text).split())
    if limit and len(line) > limit:
        line = line[: limit - 1].rstrip() + "…"
    return line
