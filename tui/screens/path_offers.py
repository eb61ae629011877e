"""Completions for a path that is being typed. Accesses the disk, so call it on a thread."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tui.files import typed_path
from tui.sanitize import sanitize_line

_MOST: Final = 400


def path_offers(typed: str, *, with_blanks: bool = True, only_folders: bool = False) -> list[str]:
    """Return the paths that start with the typed text, in the form in which they would be typed. Folders end with a slash.

    Hidden files are included after their dot was typed.

    Args:
        typed: the typed text; empty for the folder where the app was started.
        with_blanks: whether to include names with spaces; an `@` path in a message ends at a space.
        only_folders: whether to leave out files.
    """
    before, slash, begun = typed.rpartition("/")
    folder = typed_path(before + slash) if slash else Path()
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if (
                    entry.name.lower().startswith(begun.lower())
                    and (begun or not entry.name.startswith("."))
                    # Names with invisible characters could not be typed either.
                    and sanitize_line(entry.name) == entry.name
                    and (with_blanks or not any(one.isspace() for one in entry.name))
                    and ((is_folder := entry.is_dir()) or not only_folders)
                ):
                    found.append(f"{before}{slash}{entry.name}{'/' if is_folder else ''}")
                if len(found) >= _MOST:
                    break
    except (OSError, ValueError):
        return []
    return sorted(found)
