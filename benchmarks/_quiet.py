"""Whether the machine was quiet while something was measured, and that nothing is published where it wasn't.

A short reference loop runs on all cores before, between and after the measurements. A machine counts as quiet if the loop always takes
nearly the same time and hardly ever waits for a core. Steady load would make all loops equally slow, which is why waiting is measured too.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

LIMIT: Final = 0.10
"""By how much the loop may vary, and for what share of its time it may wait for a core."""
NOT_QUIET: Final = 3
"""The exit status where nothing is published."""
_FIRST_LOOKS: Final = 3
_LOOPS: Final = 5
"""A look is the median of so many, so that a hiccup is not taken for load."""
_PAUSE_S: Final = 0.5
"""Before a look: a contestant that has just ended is not load."""
_COMPUTED_BYTES: Final = 16 << 20
_READ_BYTES: Final = 64 << 20
"""More than the caches of most processors hold."""


@dataclass(frozen=True, slots=True)
class Look:
    """What the reference loop says of the machine at one moment.

    Attributes:
        loop_s: how long the loop took.
        waited: the share of that time in which it waited for a core.
    """

    loop_s: float
    waited: float


def look() -> Look:
    """Run the reference loop, which takes some tenths of a second."""
    loops = [_loop() for _ in range(_LOOPS)]
    return Look(median(one.loop_s for one in loops), median(one.waited for one in loops))


def _loop() -> Look:
    """Compute and read memory on all cores at once; neither holds the interpreter."""
    cores, data = _cores(), _data()
    began_together = threading.Barrier(cores)
    waited = [0.0] * cores

    def work(place: int) -> None:
        began_together.wait()
        began, computed = time.perf_counter(), time.thread_time()
        hashlib.sha256(memoryview(data)[:_COMPUTED_BYTES]).digest()
        zlib.crc32(data)
        took = time.perf_counter() - began
        waited[place] = max(0.0, 1 - (time.thread_time() - computed) / took)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(cores)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Look(time.perf_counter() - began, max(waited))


@functools.cache
def _data() -> bytes:
    # Pages that were never written would all be the same one.
    return b"\x5a" * _READ_BYTES


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Quiet:
    """Looks at the machine from time to time, and says whether it was quiet all along."""

    def __init__(self, take: Callable[[], Look] = look, limit: float = LIMIT) -> None:
        """Begin without a look.

        Args:
            take: runs the reference loop.
            limit: see `LIMIT`.
        """
        self._take = take
        self._limit = limit
        self._looks: list[Look] = []

    def look(self) -> None:
        """Run the reference loop now."""
        self._looks.append(self._take())

    @property
    def varied(self) -> float:
        """By how much the slowest loop took longer than the fastest, as a share; 0 before there are two."""
        took = [one.loop_s for one in self._looks]
        return max(took) / min(took) - 1 if took else 0.0

    @property
    def waited(self) -> float:
        """The largest share of its time in which a loop waited for a core."""
        return max((one.waited for one in self._looks), default=0.0)

    @property
    def is_quiet(self) -> bool:
        """Whether both are within the limit."""
        return max(self.varied, self.waited) <= self._limit

    def sentence(self) -> str:
        """Return what was found, with the limit."""
        verdict = "quiet" if self.is_quiet else "not quiet"
        return (
            f"The machine was {verdict}: over {len(self._looks)} runs, the reference loop varied by {self.varied:.0%} and waited for "
            f"a core during {self.waited:.0%} of its time at most (limit for both: {self._limit:.0%})."
        )

    def figures(self) -> dict[str, Any]:
        """Return what goes into a file beside the measurements."""
        return {
            "is_quiet": self.is_quiet,
            "limit": self._limit,
            "varied": round(self.varied, 3),
            "waited": round(self.waited, 3),
            "loop_s": [round(one.loop_s, 4) for one in self._looks],
        }


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a benchmark that publishes figures."""
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument(
        "--anyway",
        action="store_true",
        help="measure and print even if the machine is not quiet; then nothing is written",
    )


class Publisher:
    """Prints and writes figures, unless the machine wasn't quiet while they were measured."""

    def __init__(
        self, *, path: Path | None = None, anyway: bool = False, quiet: Quiet | None = None
    ) -> None:
        """Begin.

        Args:
            path: the file to write figures to; None for none.
            anyway: print even if the machine wasn't quiet; nothing is written then.
            quiet: looks at the machine.
        """
        self._path = path
        self._anyway = anyway
        self._quiet = quiet or Quiet()

    def begin(self) -> None:
        """Look at the machine before anything is measured.

        Raises:
            SystemExit: it is not quiet now, so that measuring would be in vain.
        """
        for _ in range(_FIRST_LOOKS):
            self._quiet.look()
        if not self._quiet.is_quiet and not self._anyway:
            self._refuse("Nothing was measured")
            raise SystemExit(NOT_QUIET)

    def between(self) -> None:
        """Look at the machine between two measurements, when no contestant is at work."""
        time.sleep(_PAUSE_S)
        self._quiet.look()

    def end(self, text: str, figures: Mapping[str, Any]) -> int:
        """Look once more, then print and write the figures, or say why not. Return the exit status."""
        self.between()
        if not self._quiet.is_quiet and not self._anyway:
            self._refuse("The figures are not published")
            return NOT_QUIET
        print(f"{text}\n\n{self._quiet.sentence()}")
        if self._path is None:
            return 0
        if not self._quiet.is_quiet:
            print(f"{self._path} was not written.", file=sys.stderr)
            return NOT_QUIET
        made = {**figures, "quiet": self._quiet.figures()}
        self._path.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        return 0

    def _refuse(self, what: str) -> None:
        print(
            f"{what}. {self._quiet.sentence()} Try again when nothing else runs, or use --anyway to print figures that hold only for "
            "this load.",
            file=sys.stderr,
        )
