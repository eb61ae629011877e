"""Copying: through the desktop's own tool where there is one, and into a file when a text is too long for the terminal's way.

The terminal's way (OSC 52) is Textual's; it reaches the user's own machine over SSH too, but terminals cut or ignore long
texts. Nothing here knows the screen.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from tui.files import make_private_folder, write_atomic

_log = logging.getLogger(__name__)

TERMINAL_BYTES: Final = 70_000
"""Longer texts don't fit what common terminals take in one OSC 52 sequence (about 100,000 bytes once encoded)."""


def copy_natively(text: str, last_resort: Path | None) -> Path | None:
    """Copy with the desktop's tool. Blocks while that runs; call it off the UI thread.

    Args:
        last_resort: the file to write a long text to when there is no such tool; None for nowhere.

    Returns:
        The file, if it had to be written.
    """
    import pyperclip

    try:
        pyperclip.copy(text)
    except (pyperclip.PyperclipException, OSError) as error:
        _log.info("no clipboard tool on this system: %s", error)
    else:
        return None
    data = text.encode("utf-8", "replace")
    if last_resort is None or len(data) <= TERMINAL_BYTES:
        return None
    try:
        make_private_folder(last_resort.parent)
        write_atomic(last_resort, data, is_own=True)
    except OSError as error:
        _log.warning("what was copied could not be written to a file: %s", error)
        return None
    return last_resort
