"""Which files and folders a path that is being typed may become. It looks at the disk: for a thread."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tui.files import typed_path
from tui.sanitize import sanitize_line

_MOST: Final = 400


def path_offers(typed: str, *, with_blanks: bool = True, only_folders: bool = False) -> list[str]:
    """Return the paths that go on from what was typed, as they would be typed; those of folders end with a slash.

    Hidden files are among them once their dot was typed.

    Args:
        typed: what was typed so far; empty for the folder that the app was started in.
        with_blanks: whether names with blanks are offered too; an `@` in a message ends at one.
        only_folders: whether files are left out.
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
                    # What holds characters that are not shown could not be typed either.
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
