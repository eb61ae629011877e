"""What was measured on this machine: memory and speed of each model under each quantization. It can be deleted without harm."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tui.files import make_private_folder, read_regular, write_atomic

_log = logging.getLogger(__name__)

_RUNS: Final = 5
"""Replies of which the speed is kept."""
_MODELS: Final = 200
_MOST_BYTES: Final = 4_000_000
_MOST_MEMORY_BYTES: Final = 1 << 60
_MOST_TOKENS_PER_S: Final = 1e9

Figures = Mapping[str, Mapping[str, tuple[int, float]]]
"""By model and quantization: bytes after the load, and tokens per second; zero when not known."""


class Measurements:
    """Keeps figures in one file. Reading never fails, and a file that can't be written is no more than a line in the log."""

    def __init__(self, path: Path | None) -> None:
        """Make them.

        Args:
            path: the file; None to keep them in memory only.
        """
        self._path = path
        self._known: dict[str, dict[str, dict[str, Any]]] | None = None

    @property
    def figures(self) -> Figures:
        """What is known, speeds as medians."""
        return {
            model: {
                name: (_count(entry.get("memory_bytes")), _median(_speeds(entry)))
                for name, entry in quantizations.items()
            }
            for model, quantizations in self._read().items()
        }

    def note_load(self, model: str, quantization: str, memory_bytes: int) -> None:
        """Keep what a model took after it was loaded."""
        self._entry(model, quantization)["memory_bytes"] = memory_bytes
        self._write()

    def note_speed(self, model: str, quantization: str, tokens_per_s: float) -> None:
        """Keep the speed of a reply."""
        entry = self._entry(model, quantization)
        entry["tokens_per_s"] = [*_speeds(entry), round(tokens_per_s, 2)][-_RUNS:]
        self._write()

    def _entry(self, model: str, quantization: str) -> dict[str, Any]:
        known = self._read()
        entry = known.pop(model, {})
        known[model] = entry
        for oldest in list(known)[:-_MODELS]:
            del known[oldest]
        return entry.setdefault(quantization, {})

    def _read(self) -> dict[str, dict[str, dict[str, Any]]]:
        if self._known is None:
            document: Any = None
            if self._path is not None:
                with suppress(OSError, ValueError, RecursionError):
                    document = json.loads(read_regular(self._path, most_bytes=_MOST_BYTES))
            self._known = _valid(document)
        return self._known

    def _write(self) -> None:
        if self._path is None:
            return
        try:
            make_private_folder(self._path.parent)
            write_atomic(self._path, json.dumps(self._read(), indent=1).encode(), is_own=True)
        except OSError as error:
            _log.warning("measurements can't be written: %s", error)


def _valid(document: Any) -> dict[str, dict[str, dict[str, Any]]]:
    if not isinstance(document, dict):
        return {}
    return {
        model: {name: entry for name, entry in quantizations.items() if isinstance(entry, dict)}
        for model, quantizations in document.items()
        if isinstance(quantizations, dict)
    }


def _count(value: Any) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value <= _MOST_MEMORY_BYTES else 0


def _speeds(entry: Mapping[str, Any]) -> list[float]:
    values = entry.get("tokens_per_s")
    if not isinstance(values, list):
        return []
    # NaN lies between no two numbers, and what is too large for a float is not converted.
    return [
        float(value)
        for value in values[-_RUNS:]
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 < value <= _MOST_TOKENS_PER_S
    ]


def _median(speeds: list[float]) -> float:
    # Not the standard library's: the first frame shows such figures, and importing that takes longer than all of them.
    ordered = sorted(speeds)
    middle = len(ordered) // 2
    if not ordered:
        return 0.0
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
