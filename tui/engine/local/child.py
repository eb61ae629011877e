"""Runs a program that may crash, never end, or never stop writing. It reads nothing from the terminal and writes nothing to it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass

_KEPT_BYTES: Final = 4096
_CHUNK_BYTES: Final = 1 << 16
_LOOK_MS: Final = 50


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended.

    Attributes:
        code: its exit status, or the negative number of the signal that killed it; None when its time was up.
        said: the beginning of what it wrote.
    """

    code: int | None
    said: str


def run(
    command: Sequence[str],
    deadline_s: float,
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> Ended:
    """Run a program to its end, or to the deadline, when it is killed with the programs that it started.

    Args:
        env: its whole environment; None for this process's own.
        pass_fds: descriptors that it gets under the same numbers.

    Raises:
        OSError: it can't be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=env,
        pass_fds=pass_fds,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        try:
            said = _listen(process, output.fileno(), time.monotonic() + deadline_s)
        finally:
            is_late = process.poll() is None
            if is_late:
                # Not reaped yet, so the number still identifies its group.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    return Ended(None if is_late else process.returncode, said.decode("utf-8", "replace"))


def _listen(process: subprocess.Popen[bytes], fd: int, until_s: float) -> bytes:
    """Return the beginning of what a program writes, and drop the rest, until it ends or its time is up."""
    os.set_blocking(fd, False)
    said = bytearray()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while process.poll() is None and (left_s := until_s - time.monotonic()) > 0:
        if not poll.poll(min(_LOOK_MS, left_s * 1000)):
            continue
        if not (piece := _piece(fd)):
            # It closed its output; all that is left to wait for is its end.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until_s - time.monotonic()))
            break
        said += piece[: _KEPT_BYTES - len(said)]
    while len(said) < _KEPT_BYTES and (piece := _piece(fd)):
        said += piece[: _KEPT_BYTES - len(said)]
    return bytes(said)


def _piece(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK_BYTES)
    except BlockingIOError:
        return b""
