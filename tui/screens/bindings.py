"""Key bindings made from the registry of actions."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from tui.actions import Action, actions


def bindings(*scopes: str, target: str = "") -> list[BindingType]:
    """Return Textual bindings for the actions of these scopes that have a key.

    Args:
        scopes: which actions.
        target: who does the actions, such as `screen`; empty for the one that has the bindings.
    """
    return [binding_for(action, target) for action in actions(*scopes) if action.keys]


def binding_for(action: Action, target: str = "") -> Binding:
    """Return the Textual binding of one action; its id is the action's, so that a keymap can remap it."""
    return Binding(
        ",".join(action.keys),
        f"{target}.do('{action.id}')" if target else f"do('{action.id}')",
        action.footer or action.title,
        show=bool(action.footer),
        priority=action.priority,
        id=action.id,
        tooltip=action.help,
    )
