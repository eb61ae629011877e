"""The places where keys have their own meaning, and how they are nested."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """A place where keys have their own meaning."""

    APP = "app"
    CHAT = "chat"
    TURN = "turn"
    TURNS = "turns"
    TEXT = "text"
    MESSAGE = "message"
    COMPLETIONS = "completions"
    EDIT = "edit"
    FIND = "find"
    PARAMETER = "parameter"
    COLUMN = "column"
    DIALOG = "dialog"
    FINDER = "finder"
    CHATS = "chats"
    MODELS = "models"
    LIST = "list"
    SETTINGS = "settings"
    FORM = "form"
    EXPORT = "export"
    QUESTION = "question"
    TREE = "tree"
    READER = "reader"
    DETAILS = "details"
    REPORT = "report"


class When(StrEnum):
    """When an action is possible."""

    ALWAYS = ""
    BUSY = "busy"
    """Only while a reply is written or a model loads."""
    IDLE = "idle"
    """Only while no reply is written and no model loads."""
    STILL = "still"
    """Only while no reply is written."""
    EMPTY = "empty"
    """Only while the chat has no turns."""
    MARKED = "marked"
    """Only while a block of a turn is selected. The keys for it then take precedence over all others."""


MAIN: Final = (Scope.APP, Scope.CHAT, Scope.TURN)
"""The scopes whose actions can have a command and be listed in the palette. The keys of all others work only in their place."""

PLACES: Final[Mapping[Scope, str]] = {
    Scope.TURNS: "On a turn",
    Scope.MESSAGE: "In the message",
    Scope.TEXT: "In multi-line text",
    Scope.COMPLETIONS: "In the completion list",
    Scope.EDIT: "While editing a turn",
    Scope.FIND: "In the search bar",
    Scope.PARAMETER: "In the settings sidebar",
    Scope.COLUMN: "In the column of chats",
    Scope.DIALOG: "In any dialog",
    Scope.FINDER: "In the chat and model lists",
    Scope.CHATS: "In the chat list",
    Scope.MODELS: "In the model list",
    Scope.LIST: "In filtered lists",
    Scope.SETTINGS: "In all settings",
    Scope.FORM: "In forms",
    Scope.EXPORT: "In the export dialog",
    Scope.QUESTION: "In a question",
    Scope.TREE: "In the branch tree",
    Scope.READER: "In long text",
    Scope.DETAILS: "In turn details",
    Scope.REPORT: "In a report",
}
"""The titles of the places other than `MAIN` in help, in the order of the list."""

_AROUND: Final[Mapping[Scope, tuple[Scope, ...]]] = {
    Scope.TURN: (Scope.TURNS, Scope.CHAT),
    Scope.TURNS: (Scope.TURN, Scope.CHAT),
    Scope.MESSAGE: (Scope.TEXT,),
    Scope.EDIT: (Scope.MESSAGE, Scope.TEXT),
    Scope.CHATS: (Scope.FINDER, Scope.DIALOG),
    Scope.MODELS: (Scope.FINDER, Scope.DIALOG),
    Scope.LIST: (Scope.DIALOG,),
    Scope.SETTINGS: (Scope.LIST, Scope.DIALOG),
    Scope.FORM: (Scope.TEXT, Scope.DIALOG),
    Scope.EXPORT: (Scope.FORM, Scope.DIALOG),
    Scope.QUESTION: (Scope.DIALOG,),
    Scope.TREE: (Scope.DIALOG,),
    Scope.READER: (Scope.DIALOG,),
    Scope.DETAILS: (Scope.READER, Scope.DIALOG),
    Scope.REPORT: (Scope.DIALOG,),
}
_IN_CHAT: Final = (Scope.TEXT, Scope.MESSAGE, Scope.EDIT, Scope.FIND, Scope.PARAMETER, Scope.COLUMN)
"""Parts of the chat screen. Their keys take precedence over the screen's, except those with priority."""


def around(place: Scope) -> tuple[Scope, ...]:
    """Return the scopes whose keys also work in a place, the nearest first."""
    return _AROUND.get(place, ())


def works_in(scope: Scope, place: Scope, *, priority: bool = False) -> bool:
    """Return whether the keys of a scope work in a place."""
    if scope in (place, Scope.APP, *around(place)):
        return True
    return scope is Scope.CHAT and priority and place in _IN_CHAT
