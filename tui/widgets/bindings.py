"""Key bindings built from the registry of actions, and the names of the keys in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, runtime_checkable

from textual.app import App
from textual.binding import Binding, BindingType

from tui.actions import ACTIONS, Action, actions
from tui.keymap import SIGNS, Keymap
from tui.scopes import MAIN, Scope

_DEFAULTS: Final = {one.id: one.keys for one in ACTIONS}
_NAMES: Final[Mapping[str, str]] = {
    "escape": "Esc", "delete": "Del", "pageup": "PgUp", "pagedown": "PgDn", **SIGNS,
}  # fmt: skip
_PAIRS: Final = (("up", "down"), ("left", "right"), ("tab", "enter"))
_ARROWS: Final = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


def bindings(
    *scopes: Scope, target: str = "", does: Mapping[str, str] | None = None
) -> list[BindingType]:
    """Return Textual bindings for the actions of these scopes that have keys.

    Args:
        target: the namespace that runs the actions, such as `screen`; empty for the widget with the bindings.
        does: Textual's action by action ID, where it differs from the method that the registry names.
    """
    given = does or {}
    return [
        binding_for(action, target, does=given.get(action.id, ""))
        for action in actions(*scopes)
        if action.keys and action.bound
    ]


def binding_for(action: Action, target: str = "", *, does: str = "") -> Binding:
    """Return the Textual binding of one action. The binding's ID is the action's ID, so that a keymap can remap it."""
    return Binding(
        ",".join(action.keys),
        does or _does(action, target),
        action.footer or action.title,
        show=bool(action.footer),
        priority=action.priority,
        id=action.id,
        tooltip=action.help,
    )


def _does(action: Action, target: str) -> str:
    """Return the name of Textual's action. Actions with a command run through the table of commands, a dialog's keys through its
    methods.
    """
    name = f"do('{action.id}')" if action.scope in MAIN else action.method
    return f"{target}.{name}" if target else name


@runtime_checkable
class _Remapped(Protocol):
    keymap_in_force: Keymap


def keys_in_force(app: App[Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the keys of each action by ID: those in force in the app, or the defaults if the app has none, for example in a
    test of one widget.
    """
    return app.keymap_in_force.keys if isinstance(app, _Remapped) else _DEFAULTS


def key_name(app: App[Any], action_id: str) -> str:
    """Return the name of an action's first key in force; empty if it has none."""
    return keys_text(keys_in_force(app)[action_id][:1], ascii_only=is_ascii(app))


def way_of(app: App[Any], action: Action) -> str:
    """Return how to run an action, as the start of a sentence: `Press F8` with the key in force, or else `Type /undo`.

    Keys that work only with the cursor on a turn are not named, because the reader's cursor may be elsewhere.
    """
    key = "" if action.scope is Scope.TURN else key_name(app, action.id)
    return f"Press {key}" if key or not action.commands else f"Type /{action.commands[0]}"


def way_to(app: App[Any], action: Action) -> str:
    """Return the keys that run an action from the message, for example `Alt+Up r` for an action on a turn; empty if there are
    none.
    """
    key = key_name(app, action.id)
    if action.scope is not Scope.TURN or not key:
        return key
    before = key_name(app, "turn.previous")
    return f"{before} {key}" if before else ""


def is_ascii(app: App[Any]) -> bool:
    """Return whether an app shows only ASCII, which has no arrows."""
    return bool(getattr(app, "is_ascii", False))


def main_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keys of an action to show: the first, or the first two if they are opposite arrows, or accept a completion."""
    return keys[:2] if keys[:2] in _PAIRS else keys[:1]


def keys_text(keys: Iterable[str], *, ascii_only: bool = False) -> str:
    """Return the names of keys, for example `F3, Ctrl+O`."""
    return ", ".join(key_text(key, ascii_only=ascii_only) for key in keys)


def pair_text(keys: Iterable[str], *, ascii_only: bool = False) -> str:
    """Return the names of a pair of keys, for example `n/N`; arrows need no separator."""
    shown = [key_text(key, ascii_only=ascii_only) for key in keys]
    return (" " if all(one in _ARROWS.values() for one in shown) else "/").join(shown)


def key_text(key: str, *, ascii_only: bool = False) -> str:
    """Return the name of a key, for example `Ctrl+N`, `Esc`, `Alt+Up` or `↑`. A single letter stays as it is typed.

    Everything that names a key uses this function, so that a key has the same name everywhere.

    Args:
        key: Textual's name of the key, or already the name for people.
        ascii_only: use words for arrows, as after a modifier.
    """
    if key in _ARROWS and not ascii_only:
        return _ARROWS[key]
    modifiers, plus, name = key.rpartition("+")
    if len(name) == 1 and modifiers:
        name = name.upper()
    if not name:
        return key
    return (
        "+".join(map(_part_text, [*filter(None, modifiers.split("+")), name]))
        if plus
        else _part_text(name)
    )


def _part_text(part: str) -> str:
    if len(part) == 1:
        return part
    return _NAMES.get(part) or f"{part[0].upper()}{part[1:]}"
