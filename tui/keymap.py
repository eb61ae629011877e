"""Which key does what: the defaults, ready-made maps, and the user's own keys upon them. A clash is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from tui.actions import ACTIONS, Action
from tui.parameters import did_you_mean

_KEY: Final = re.compile(r"((ctrl|alt|shift|super|meta|hyper)\+)*([a-z0-9_]{2,30}|[^\s,+])")
_NAMED: Final = frozenset(
    (
        *(f"f{number}" for number in range(1, 25)), "escape", "enter", "tab", "space", "backspace", "delete", "insert", "home",
        "end", "pageup", "pagedown", "up", "down", "left", "right", "minus", "plus", "comma", "full_stop", "slash",
        "backslash", "underscore", "question_mark", "equals_sign", "semicolon", "colon", "apostrophe", "grave_accent", "at",
        "left_square_bracket", "right_square_bracket", "circumflex_accent", "number_sign", "dollar_sign",
    )
)  # fmt: skip
_TYPING: Final = frozenset(
    ("enter", "tab", "space", "backspace", "delete", "up", "down", "left", "right", "home", "end")
)
"""Keys that every field for text needs; an action that takes its key before the field can't have them."""
_NONE: Final = "none"
"""Stands in a configuration file for no key at all."""
_REACH: Final = {"app": ("app", "chat", "turn"), "chat": ("chat", "turn"), "turn": ("turn",)}

_FROM_ANYWHERE: Final = frozenset(
    one.id for one in ACTIONS if one.scope == "chat" and not one.priority
)

MAPS: Final[Mapping[str, Mapping[str, str]]] = {
    "default": {},
    "vim": {
        "composer.focus": "escape,ctrl+g,i",
        "turn.details": "I",
        "turn.copy": "y",
        "turn.older": "h,left,[",
        "turn.newer": "l,right,]",
        "turn.undo": "u",
        "turn.redo": "ctrl+r,U",
        "transcript.find": "ctrl+f,alt+slash",
        "turn.previous": "alt+k,alt+up,ctrl+up",
        "turn.next": "alt+j,alt+down,ctrl+down",
    },
    "emacs": {
        "app.palette": "alt+x,f12",
        "transcript.find": "ctrl+s,alt+s",
        "turn.previous": "alt+p,alt+up,ctrl+up",
        "turn.next": "alt+n,alt+down,ctrl+down",
        "chat.new": "alt+c,f11",
        "chat.open": "f3,alt+o",
        "chat.undo": "f8,ctrl+underscore",
        "transcript.page_down": "pagedown,ctrl+v",
        "transcript.page_up": "pageup,alt+v",
        "transcript.first": "ctrl+home,alt+home",
        "turn.copy": "y,alt+w",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys in force.

    Attributes:
        keys: of each action, by its id; the one to show first.
        problems: a sentence for everything that was refused; the default keys hold then.
    """

    keys: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    @property
    def is_default(self) -> bool:
        """Whether every action has its default keys."""
        return all(self.keys[one.id] == one.keys for one in ACTIONS)


def keymap(name: str = "default", bindings: Mapping[str, str] | None = None) -> Keymap:
    """Return the keys of a ready-made map with the user's own upon them; where two actions clash, the defaults of all."""
    keys = {one.id: one.keys for one in ACTIONS}
    problems: list[str] = []
    for action_id, text in {**MAPS.get(name, {}), **(bindings or {})}.items():
        if action_id not in keys:
            problems.append(
                f"There is no action {action_id[:40]!r}{did_you_mean(action_id, keys) or '.'}"
            )
            continue
        chosen = tuple(part.strip() for part in text.split(",") if part.strip())
        wrong = [key for key in chosen if not _is_key(key)]
        if wrong:
            problems.append(f"{wrong[0][:30]!r} is no key; {action_id} keeps its own.")
        elif chosen and action_id in _FROM_ANYWHERE and all(map(_is_typed, chosen)):
            problems.append(
                f"{chosen[0]} is typed into the message, so it can't be the only key of {action_id}, which keeps its own."
            )
        else:
            keys[action_id] = () if chosen == (_NONE,) else chosen
    clashes = list(_clashes(keys))
    if clashes:
        problems += [*clashes, "The default keys are used."]
        keys = {one.id: one.keys for one in ACTIONS}
    return Keymap(keys, tuple(problems))


def _is_key(key: str) -> bool:
    name = key.rpartition("+")[2]
    return key == _NONE or (_KEY.fullmatch(key) is not None and (len(name) == 1 or name in _NAMED))


def _clashes(keys: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield a sentence for each key that two actions have where both can be reached."""
    seen: dict[tuple[str, str, str], str] = {}
    told: set[frozenset[str]] = set()
    for action in ACTIONS:
        for key in keys[action.id]:
            if (action.priority or action.scope == "app") and _is_typed(key):
                yield f"The key {key} is needed for typing, so {action.id} can't have it."
        for key, scope, state in product(keys[action.id], _REACH[action.scope], _states(action)):
            other = seen.setdefault((scope, key, state), action.id)
            if other != action.id and frozenset((other, action.id)) not in told:
                told.add(frozenset((other, action.id)))
                yield f"The key {key} is given to both {other} and {action.id}."


def _states(action: Action) -> tuple[str, ...]:
    return (action.when,) if action.when in ("busy", "idle") else ("busy", "idle")


def _is_typed(key: str) -> bool:
    return key in _TYPING or len(key) == 1
