"""Language names and file extensions from Pygments' table, without importing lexers or plugins."""

from __future__ import annotations

from functools import cache


def extension_of(language: str) -> str:
    """Return a language's file extension, for example `.py`; `.txt` if unknown.

    The first call imports the table, which takes longer than the thread of a screen has.
    """
    return _extensions().get(language.lower(), ".txt")


@cache
def _extensions() -> dict[str, str]:
    from pygments.lexers import get_all_lexers

    found: dict[str, str] = {}
    for _, aliases, patterns, _ in get_all_lexers(plugins=False):
        plain = (name[1:] for name in patterns if name.startswith("*.") and name[2:].isalnum())
        extension = next(plain, ".txt")
        for alias in aliases:
            found.setdefault(alias, extension)
    return found
