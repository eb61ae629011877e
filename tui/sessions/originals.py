"""Files kept beside a chat because the chat doesn't hold all that they hold: damaged ones, and those of other programs.

A kept file is `<id>.json.damaged-<n>` or `<id>.json.original-<n>`. Nothing here changes or removes one.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.conversation import Conversation
from tui.files import free_name, read_regular

if TYPE_CHECKING:
    from tui.conversation.codec import ChatEncoder

MARKS: Final = ("damaged", "original")


def keep_original(path: Path, mark: str) -> Path:
    """Give a file a second name that nothing writes to, and return that; one that is kept already is not kept again.

    Raises:
        OSError: it can't be kept.
    """
    import shutil

    if not path.exists():
        return path
    for other in sorted(path.parent.glob(f"{path.name}.{mark}-*")):
        if _is_same(other, path):
            return other
    kept = free_name(path, mark)
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError:
        shutil.copyfile(path, kept, follow_symlinks=False)
        kept.chmod(0o600)
    return kept


def _is_same(other: Path, path: Path) -> bool:
    # Whatever else has such a name, a pipe or a folder, is not the file.
    with suppress(OSError):
        if other.samefile(path):
            return True
        return other.lstat().st_size == path.lstat().st_size and (
            read_regular(other, follow_links=False) == read_regular(path, follow_links=False)
        )
    return False


def loses(data: bytes, read: Conversation, encoder: ChatEncoder) -> bool:
    """Return whether a file holds something that writing back what was read of it would lose.

    Its `chat_history` is not looked at: `codec` says of that whether the chat holds it.
    """
    if b"".join(encoder.pieces(read)) == data:
        return False
    from tui.conversation import codec

    try:
        found, written = json.loads(codec.decoded_text(data)), codec.encode(read)
        found.pop("chat_history", None)
        written.pop("chat_history")
        if found.get("format") in range(1, codec.FORMAT):
            # Writing an older format again is no loss.
            found["format"] = codec.FORMAT
        return _ordered(found) != _ordered(written)
    except (ValueError, RecursionError, TypeError, AttributeError):
        return True


def _ordered(document: Any) -> str:
    return json.dumps(document, sort_keys=True, default=str)
