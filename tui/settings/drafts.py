"""What was written in a chat and not sent when the app was left, in a private file. Losing it does no harm to chats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from tui.files import make_private_folder, read_regular, write_atomic

_MOST: Final = 200


def keep_draft(path: Path, chat_id: str, text: str) -> None:
    """Keep what was written in a chat, in place of what was kept of it before; an empty text keeps nothing.

    Raises:
        OSError: it can't be written.
    """
    drafts = _read(path)
    had = drafts.pop(chat_id, None)
    if text.strip():
        drafts[chat_id] = {"text": text, "attachments": []}
    elif had is None:
        return
    make_private_folder(path.parent)
    kept = dict(list(drafts.items())[-_MOST:])
    write_atomic(path, json.dumps(kept).encode())


def take_draft(path: Path, chat_id: str) -> str:
    """Return what was kept of a chat, which is not kept any longer; empty for nothing.

    Raises:
        OSError: the file can't be written.
    """
    entry = _read(path).get(chat_id)
    text = entry.get("text") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        return ""
    keep_draft(path, chat_id, "")
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_regular(path).decode("utf-8", "replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
