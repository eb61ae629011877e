"""Key bindings made from the registry of actions, and the keys in force as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol, runtime_checkable

from textual.app import App
from textual.binding import Binding, BindingType

from tui.actions import ACTIONS, Action, actions
from tui.keymap import SIGNS, Keymap
from tui.scopes import MAIN, Scope

_DEFAULTS: Final = {one.id: one.keys for one in ACTIONS}
_KEY_NAMES: Final = {"pageup": "PageUp", "pagedown": "PageDown", **SIGNS}
_SHORT: Final = {
    "escape": "Esc", "delete": "Del", "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "PgUp", "pagedown": "PgDn",
}  # fmt: skip


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
    return shown_keys(keys_in_force(app)[action_id][:1])


def shown_keys(keys: tuple[str, ...]) -> str:
    """Return keys as people write them, as in `Ctrl+Q`; single letters stay as they are typed."""
    return ", ".join(map(shown_key, keys))


def shown_key(key: str) -> str:
    """Return one key as people write it."""
    return key if len(key) == 1 else "+".join(map(_key_name, key.split("+")))


def short_key(key: str) -> str:
    """Return one key in as few characters as possible, as in `^S`."""
    modifiers, _, name = key.rpartition("+")
    if modifiers == "ctrl" and len(name) == 1:
        return f"^{name.upper()}"
    before = f"{shown_key(modifiers)}+" if modifiers else ""
    return before + (_SHORT.get(name) or (name if len(name) == 1 else _key_name(name)))


def _key_name(part: str) -> str:
    return _KEY_NAMES.get(part, part.capitalize())
