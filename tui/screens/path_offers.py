"""Completions for a path that is being typed. Accesses the disk, so call it on a thread."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tui.files import typed_path
from tui.sanitize import sanitize_line

_MOST: Final = 400


def path_offers(typed: str, *, only_folders: bool = False) -> list[str]:
    """Return the paths that start with the typed text, in the form in which they would be typed. Folders end with a slash.

    Hidden files are included after their dot was typed.

    Args:
        typed: the typed text; empty for the folder where the app was started.
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
                    and ((is_folder := entry.is_dir()) or not only_folders)
                ):
                    found.append(f"{before}{slash}{entry.name}{'/' if is_folder else ''}")
                if len(found) >= _MOST:
                    break
    except (OSError, ValueError):
        return []
    return sorted(found)


def quoted(path: str) -> str:
    """Return a path as it follows an `@` in a message: in quotes if it has a space. After a folder, the quote stays open."""
    if not any(one.isspace() or one == "@" for one in path):
        return path
    return f'"{path}' if path.endswith("/") else f'"{path}"'


def unquoted(text: str) -> str:
    """Return the path that follows an `@` in a message, without its quotes."""
    return text[1:].removesuffix('"') if text.startswith('"') else text
