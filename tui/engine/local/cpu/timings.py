"""Which of two ways to compute takes less time on this machine, kept between starts.

Measured in processor time of one thread, by turns: what else the machine does must not decide. What disturbs makes a measurement
longer and never shorter, so of all measurements of a machine the shortest is kept, and the first starts all measure. Imports torch.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import torch

from tui.dataclass import dataclass
from tui.engine.local.cpu.native import Native
from tui.engine.local.cpu.native_library import cpu_description
from tui.files import make_own_folder, read_own, write_atomic

_log = logging.getLogger(__name__)

_ROUNDS: Final = 5
_STARTS: Final = 3
"""So many starts measure, also what is known."""
_MOST_BYTES: Final = 1 << 20
_MOST_ENTRIES: Final = 2_000
_KEPT_FILES: Final = 8
"""A home folder may be shared by several kinds of machines."""


@dataclass(frozen=True, slots=True)
class Way:
    """One of several ways to compute the same.

    Attributes:
        name: tells it from all others; two of a name take equally long.
        run: computes once.
    """

    name: str
    run: Callable[[], object]


class Timings:
    """The shortest processor times that computations of a name were seen to take here."""

    def __init__(self, folder: Path | None = None) -> None:
        """Know nothing yet.

        Args:
            folder: where they are kept; None for nowhere.
        """
        self._folder = folder
        self._path: Path | None = None
        self._shortest: dict[str, tuple[float, int]] = {}
        """Seconds, and how many starts measured them."""
        self._measured: set[str] = set()
        """Names that were measured since the start."""

    def use(self, kernels: Native | None) -> None:
        """Take up what is known of this machine with these kernels; other libraries and CPUs have times of their own."""
        if self._folder is None:
            return
        said = (
            cpu_description(), torch.__version__, str(torch.get_num_threads()),
            "" if kernels is None else kernels.name,
        )  # fmt: skip
        digest = hashlib.sha256("\n".join(said).encode()).hexdigest()[:16]
        path = self._folder / f"timings-{digest}.json"
        if path != self._path:
            self._path, self._measured = path, set()
            self._shortest = _read(path)

    def is_shorter(self, one: Way, other: Way, kernels: Native | None) -> bool:
        """Return whether one way takes less time than another, by what is known of both, or by a measurement."""
        if not all(self._is_known(way.name) for way in (one, other)):
            self._measure((one, other), kernels)
        return self.seconds(one.name) < self.seconds(other.name)

    def seconds(self, name: str) -> float:
        """Return the shortest time that something was seen to take; infinity for what was never measured."""
        return self._shortest.get(name, (math.inf, 0))[0]

    def doubt(self) -> None:
        """Have everything measured again when it is next asked for; shorter times than before count."""
        self._measured.clear()
        self._shortest = {name: (seconds, 0) for name, (seconds, _) in self._shortest.items()}

    def save(self) -> None:
        """Keep what is known for the next start; a folder that can't be written to costs a measurement then."""
        if self._path is None or self._folder is None or not self._measured:
            return
        entries = {name: list(entry) for name, entry in self._shortest.items()}
        try:
            make_own_folder(self._folder)
            write_atomic(self._path, json.dumps(entries).encode(), is_own=True)
            self._remove_old()
        except OSError as error:
            _log.warning("can't save the timings of kernels: %s", error)

    def _is_known(self, name: str) -> bool:
        return name in self._measured or self._shortest.get(name, (0.0, 0))[1] >= _STARTS

    def _measure(self, ways: tuple[Way, ...], kernels: Native | None) -> None:
        if len(self._shortest) > _MOST_ENTRIES:
            self._shortest.clear()
        with _one_thread(kernels):
            for way in ways:
                way.run()
            for _ in range(_ROUNDS):
                for way in ways:
                    began = time.thread_time()
                    way.run()
                    self._note(way.name, time.thread_time() - began)
        for way in ways:
            if way.name not in self._measured:
                seconds, starts = self._shortest[way.name]
                self._shortest[way.name] = seconds, starts + 1
                self._measured.add(way.name)

    def _note(self, name: str, seconds: float) -> None:
        shortest, starts = self._shortest.get(name, (math.inf, 0))
        self._shortest[name] = min(shortest, seconds), starts

    def _remove_old(self) -> None:
        assert self._folder is not None
        files = [path for path in self._folder.glob("timings-*.json") if path != self._path]
        files.sort(key=lambda path: path.lstat().st_mtime_ns)
        for path in files[: max(0, len(files) - _KEPT_FILES + 1)]:
            path.unlink()


def _read(path: Path) -> dict[str, tuple[float, int]]:
    """Return what a file says; nothing where it is none of this app's."""
    try:
        found = json.loads(read_own(path, _MOST_BYTES))
        known = {
            str(name): (float(seconds), int(starts)) for name, (seconds, starts) in found.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        _log.warning("measuring the kernels anew: %s", error)
        return {}
    is_sound = all(math.isfinite(seconds) and seconds > 0 for seconds, _ in known.values())
    return known if is_sound else {}


@contextlib.contextmanager
def _one_thread(kernels: Native | None) -> Iterator[None]:
    """Compute with this thread alone: the processor time of others can't be told from their waiting."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    if kernels is not None:
        kernels.use_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if kernels is not None:
            kernels.use_threads(threads)
