"""Which keys the list of chats names, where the cursor is and what is listed. No widgets."""

from __future__ import annotations

from tui.screens.dialog import Hint


def hints(*, in_list: bool, in_trash: bool, can_undo: bool) -> list[Hint]:
    """Return the keys that hold now.

    Args:
        in_list: whether the cursor is in the list, rather than in the field.
        in_trash: whether the trash is listed.
        can_undo: whether a chat was moved to the trash that can come back.
    """
    if not in_list:
        return [
            Hint("Enter", "restore" if in_trash else "open", "open"),
            Hint("finder.to_list", "more keys", "to_list"),
            *([] if in_trash else [Hint("chats.rename", "rename", "rename")]),
            Hint("Esc", "back" if in_trash else "close", "close"),
        ]
    if in_trash:
        return [
            Hint("Enter", "restore", "open"),
            Hint("chats.empty", "empty the trash", "empty"),
            Hint("chats.switch", "chats", "switch"),
            Hint("finder.to_field", "find", "to_field"),
            Hint("Esc", "back", "close"),
        ]
    return [
        Hint("Enter", "open", "open"),
        Hint("chats.rename", "rename", "rename"),
        Hint("chats.pin", "pin", "pin"),
        Hint("chats.tag", "tags", "tag"),
        Hint("chats.duplicate", "duplicate", "duplicate"),
        Hint("chats.trash", "to trash", "trash"),
        *([Hint("chats.untrash", "undo", "untrash")] if can_undo else []),
        Hint("chats.switch", "trash", "switch"),
        Hint("finder.to_field", "find", "to_field"),
        Hint("Esc", "close", "close"),
    ]
