"""The keys that the list of chats shows, depending on the focus and on what is listed. No widgets."""

from __future__ import annotations

from tui.screens.dialog import Hint


def hints(
    *, in_list: bool, in_trash: bool, can_undo: bool, has_rows: bool, can_empty: bool
) -> list[Hint]:
    """Return the hints for the keys that are available now.

    Args:
        in_list: whether the list has the focus instead of the field.
        in_trash: whether the trash is shown.
        can_undo: whether a chat moved to the trash can be restored.
        has_rows: whether anything is listed.
        can_empty: whether there is anything in the trash.
    """
    to_other = (
        Hint("finder.to_field", "find", "to_field")
        if in_list
        else Hint("finder.to_list", "list", "to_list")
    )
    if in_trash:
        return [
            *([Hint("Enter", "restore", "open")] if has_rows else []),
            *([Hint("chats.empty", "empty the trash", "empty")] if can_empty else []),
            Hint("chats.switch", "chats", "switch"),
            *([to_other] if has_rows or in_list else []),
            Hint("Esc", "back", "close"),
        ]
    on_chat = [
        Hint("Enter", "open", "open"),
        Hint("chats.rename", "rename", "rename"),
        Hint("chats.pin", "pin", "pin"),
        Hint("chats.tag", "tags", "tag"),
        Hint("chats.duplicate", "duplicate", "duplicate"),
        *([Hint("chats.trash", "to trash", "trash")] if in_list else []),
    ]
    return [
        *(on_chat if has_rows else []),
        *([Hint("chats.untrash", "undo", "untrash")] if can_undo else []),
        Hint("chats.switch", "show trash", "switch"),
        *([to_other] if has_rows or in_list else []),
        Hint("Esc", "close", "close"),
    ]
