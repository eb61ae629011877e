"""Names what the user agrees to when code of a model may run.

A subject names one version of the code of one repository or folder. Agreement holds for exactly that text; what is to be run is
found out in `engine.local.code`.
"""

from __future__ import annotations

import re
from typing import Final

_SHOWN: Final = 12
_REVISION: Final = re.compile(rf"@([0-9a-f]{{{_SHOWN}}})[0-9a-f#]*$")


def subject(name: str, digest: str, commit: str = "") -> str:
    """Return the subject for the code of a repository or folder.

    Args:
        name: a Hub ID, or the path of a folder.
        digest: of the files that decide what runs, in hexadecimal digits.
        commit: of a repository; empty for a folder.
    """
    return f"{name}@{commit}#{digest}" if commit else f"{name}@{digest}"


def short(text: str) -> str:
    """Return a subject for people: with the first digits of its revision, and without the digest behind a commit."""
    return _REVISION.sub(r"@\1", text)
