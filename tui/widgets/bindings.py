"""Key bindings made from the registry of actions, and the keys in force as people write them."""

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
_ARROWS: Final = {"up": "↑", "down": "↓", "left": "←", "right": "→"}


def bindings(
    *scopes: Scope, target: str = "", does: Mapping[str, str] | None = None
) -> list[BindingType]:
    """Return Textual bindings for the actions of these scopes that have a key.

    Args:
        target: who does the actions, such as `screen`; empty for the one that has the bindings.
        does: Textual's action for those ids where it is not the method that the registry names.
    """
    given = does or {}
    return [
        binding_for(action, target, does=given.get(action.id, ""))
        for action in actions(*scopes)
        if action.keys and action.bound
    ]


def binding_for(action: Action, target: str = "", *, does: str = "") -> Binding:
    """Return the Textual binding of one action; its id is the action's, so that a keymap can remap it."""
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
    """Return Textual's action: what has a command is done by the table of commands, a dialog's keys by its methods."""
    name = f"do('{action.id}')" if action.scope in MAIN else action.method
    return f"{target}.{name}" if target else name


@runtime_checkable
class _Remapped(Protocol):
    keymap_in_force: Keymap


def keys_in_force(app: App[Any]) -> Mapping[str, tuple[str, ...]]:
    """Return the keys of each action by its id: the app's own, or the defaults where it has none, as one that shows a widget alone."""
    return app.keymap_in_force.keys if isinstance(app, _Remapped) else _DEFAULTS


def key_name(app: App[Any], action_id: str) -> str:
    """Return the first key in force of an action, as people write it; empty where it has none."""
    return keys_text(keys_in_force(app)[action_id][:1], ascii_only=is_ascii(app))


def way_of(app: App[Any], action: Action) -> str:
    """Return how an action is done, to begin a sentence with: `Press F8`, with the key in force, else `Type /undo`.

    A key that acts only with the cursor on a turn is not named: who reads the sentence may be elsewhere.
    """
    key = "" if action.scope is Scope.TURN else key_name(app, action.id)
    return f"Press {key}" if key or not action.commands else f"Type /{action.commands[0]}"


def way_to(app: App[Any], action: Action) -> str:
    """Return the keys that lead to an action from the message, as in `Alt+Up r` for what is done to a turn; empty where none do."""
    key = key_name(app, action.id)
    if action.scope is not Scope.TURN or not key:
        return key
    before = key_name(app, "turn.previous")
    return f"{before} {key}" if before else ""


def is_ascii(app: App[Any]) -> bool:
    """Return whether an app shows nothing but ASCII, which has no arrows."""
    return bool(getattr(app, "is_ascii", False))


def main_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return what to show of an action's keys: the first one, or the first two where they are opposite arrows."""
    return keys[:2] if keys[:2] in (("up", "down"), ("left", "right")) else keys[:1]


def keys_text(keys: Iterable[str], *, ascii_only: bool = False) -> str:
    """Return keys as people write them, one beside another, as in `F3, Ctrl+O`."""
    return ", ".join(key_text(key, ascii_only=ascii_only) for key in keys)


def pair_text(keys: Iterable[str], *, ascii_only: bool = False) -> str:
    """Return keys that belong together, as in `n/N`; arrows need nothing between them."""
    shown = [key_text(key, ascii_only=ascii_only) for key in keys]
    return (" " if all(one in _ARROWS.values() for one in shown) else "/").join(shown)


def key_text(key: str, *, ascii_only: bool = False) -> str:
    """Return one key as people write it, as in `Ctrl+N`, `Esc`, `Alt+Up` or `↑`; a single letter stays as it is typed.

    Everything that names a key uses this, so that a key has one name everywhere.

    Args:
        key: in Textual's words, or already as people write it.
        ascii_only: name arrows in letters, as beside a modifier.
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
