"""The help screen: every action with its keys, made from the registry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import HorizontalGroup, VerticalScroll
from textual.widgets import Label

from tui.actions import ACTIONS, Action
from tui.screens.dialog import ClosedOnce

_COMPOSER_KEYS = (
    ("Enter", "Sends the message."),
    ("Ctrl+J", "Begins a new line; so do Shift+Enter and Alt+Enter where the terminal tells them apart."),
    ("Up", "On the first line: brings back what was sent before, in this chat and then in others."),
    ("/ or !", "At the beginning: a command, as in /new; // or !! sends a text that begins so."),
    ("@", "Completes the path of a text file, which goes with the message."),
)  # fmt: skip


_KEY_NAMES: Final = {"pageup": "PageUp", "pagedown": "PageDown"}


class HelpScreen(ClosedOnce[None]):
    """Lists what can be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "dismiss(None)", "Close"),
    ]
    CSS = """
    HelpScreen {
        align: center middle;
        & > VerticalScroll {
            width: 84; max-width: 96%; height: auto; max-height: 90%;
            padding: 0 2; background: $surface; border: round $border; scrollbar-size-vertical: 1;
        }
        & .area { text-style: bold; color: $text-primary; margin-top: 1; }
        & .keys { width: 20; text-style: bold; padding-right: 2; }
        & .meaning { width: 1fr; height: auto; }
    }
    """

    def __init__(
        self, keys: Mapping[str, tuple[str, ...]] | None = None, *, where: str = "", what: str = ""
    ) -> None:
        """Make the screen.

        Args:
            keys: those in force, by the actions' ids; None for the defaults.
            where: where the user is now.
            what: what can be done there.
        """
        super().__init__()
        self._keys = keys or {one.id: one.keys for one in ACTIONS}
        self._where = where
        self._what = what

    def compose(self) -> ComposeResult:
        """List the actions by area."""
        with VerticalScroll():
            yield Label("Keys and commands  (Esc closes)", classes="area")
            if self._where:
                yield Label(f"You are {self._where}. {self._what}", classes="meaning", markup=False)
            yield from _group("Message", _COMPOSER_KEYS)
            ordered = sorted(ACTIONS, key=lambda action: action.area)
            for area, group in groupby(ordered, key=lambda action: action.area):
                yield from _group(
                    area, [(shown_keys(self._keys[one.id]), _meaning(one)) for one in group]
                )


def _group(area: str, rows: Iterable[tuple[str, str]]) -> ComposeResult:
    yield Label(area, classes="area")
    for keys, meaning in rows:
        with HorizontalGroup():
            yield Label(keys, classes="keys", markup=False)
            yield Label(meaning, classes="meaning", markup=False)


def _meaning(action: Action) -> str:
    name = action.title.partition(": ")[2]
    command = f"  /{action.commands[0]} {action.argument}".rstrip()
    return f"{name[:1].upper()}{name[1:]}: {action.help[:1].lower()}{action.help[1:]}{command}"


def keys_text(action: Action) -> str:
    """Return an action's keys as people write them, as in `Ctrl+Q`; single letters stay as they are typed."""
    return shown_keys(action.keys)


def shown_keys(keys: tuple[str, ...]) -> str:
    """Return keys as people write them."""
    return ", ".join(map(_key_text, keys)) or "palette"


def _key_text(key: str) -> str:
    return key if len(key) == 1 else "+".join(map(_key_name, key.split("+")))


def _key_name(part: str) -> str:
    return _KEY_NAMES.get(part, part.capitalize())
