"""Figures for people: bytes, token counts, durations, bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_MOST: Final = 10**18
"""Larger numbers don't occur in practice and are shown as this one, because some are too large for a float."""
_EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
_EIGHTHS_HIGH: Final = " ▁▂▃▄▅▆▇█"


def bytes_text(count: int) -> str:
    """Return a number of bytes in binary units, for example `1.2 GB`."""
    size = float(min(count, _MOST))
    for unit in ("B", "KB", "MB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"


def count_text(count: int) -> str:
    """Return a number in thousands, millions or billions, for example `8k`, `135M` or `1.2B`; empty for zero."""
    count = min(count, _MOST)
    if count <= 0:
        return ""
    if count < 1000:
        return str(count)
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size * 0.9995:
            scaled = count / size
            return (
                f"{scaled:.1f}".removesuffix(".0") + unit if scaled < 10 else f"{scaled:.0f}{unit}"
            )
    return str(count)


def context_text(tokens: int) -> str:
    """Return a context length in the usual form, for example `8k` or `128k`; empty for zero."""
    tokens = min(tokens, _MOST)
    if tokens >= 1024 and tokens % 1024 == 0:
        return f"{tokens // 1024}k"
    return count_text(tokens)


def of_total(used: int, total: int) -> str:
    """Return two numbers of bytes in the unit of the second, for example `1.2/24.0 GB`."""
    whole = bytes_text(total)
    unit = whole.rpartition(" ")[2]
    divisor = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}[unit]
    digits = 1 if unit == "GB" else 0
    return f"{used / divisor:.{digits}f}/{total / divisor:.{digits}f} {unit}"


def seconds_text(seconds: float) -> str:
    """Return a duration, for example `0.31 s`, `12 s` or `2:05 min`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def speed_text(tokens_per_s: float) -> str:
    """Return a speed, for example `18 tok/s` or `4.2 tok/s`; empty if unknown."""
    if tokens_per_s <= 0:
        return ""
    return f"{tokens_per_s:,.0f} tok/s" if tokens_per_s >= 9.95 else f"{tokens_per_s:.1f} tok/s"


def columns_text(values: Sequence[float], levels: int = 8) -> str:
    """Return a column for each value. All columns start at zero, so that half the value has half the height.

    Args:
        values: from left to right.
        levels: the height of the largest value in eighths of a row; below 8, it doesn't touch the row above.
    """
    highest = max(values, default=0.0)
    if highest <= 0:
        return ""
    heights = (max(1, round(levels * value / highest)) for value in values)
    return "".join(_EIGHTHS_HIGH[height] for height in heights)


def bar_text(share: float, width: int) -> str:
    """Return a bar of `width` cells, filled by `share` (0 to 1) in steps of an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    part = _EIGHTHS[rest] if rest else ""
    return ("█" * full + part).ljust(width, "░")
