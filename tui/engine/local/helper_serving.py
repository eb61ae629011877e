"""The program of a helper process: it answers questions, one JSON object per line, within limits enforced by the system.

It is run as a script, beside the app and without its package, so that it starts in a fraction of a second: this file imports only the
standard library. What it answers is the business of the program that it is told to load; see `helper.Helper` for the other end.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

_ANSWER: Final = "answer"
"""The function that a program must have: it takes a question and returns the answer, both as JSON has them."""
_NO_FILES: Final = 0


def main(program: str, memory_bytes: int, longest_s: int) -> None:
    """Answer until the input ends.

    Args:
        program: the path of a module with a function `answer`.
        memory_bytes: how much memory the process may have.
        longest_s: how long one answer may take; then the process is ended, also when nobody waits for it any more.
    """
    answer = _load(program)
    _limit(memory_bytes)
    for line in sys.stdin.buffer:
        signal.alarm(longest_s)
        said = json.dumps(answer(json.loads(line)))
        signal.alarm(0)
        sys.stdout.buffer.write(said.encode() + b"\n")
        sys.stdout.buffer.flush()


def _load(program: str) -> Callable[[Any], Any]:
    spec = importlib.util.spec_from_file_location("program", program)
    if spec is None or spec.loader is None:
        raise ImportError(program)
    module = sys.modules["program"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[Any], Any] = getattr(module, _ANSWER)
    return found


def _limit(memory_bytes: int) -> None:
    """Let the process have so much memory, write no file and leave no image of itself behind."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: _NO_FILES,
        resource.RLIMIT_CORE: _NO_FILES,
    }
    for kind, most in limits.items():
        # Not every system enforces every limit; the app checks the memory as well.
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
