"""Where the program starts: `chat-tui`, and `python -m tui`."""

from __future__ import annotations

import gc
import sys

from tui.interrupts import INTERRUPTED, ending_at_once


def main() -> int:
    """Run the command line; return the exit code. Ctrl+C ends it silently, even during the imports."""
    try:
        with ending_at_once():
            # What is imported stays; looking for garbage in it would take a tenth of the start.
            gc.disable()
            from tui.cli import main as run

            gc.enable()

        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
