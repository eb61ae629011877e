"""Which key does what: the defaults, ready-made maps, and the user's own keys upon them. A clash is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

from tui.actions import ACTIONS, Action
from tui.dataclass import dataclass
from tui.parameters import did_you_mean
from tui.pattern import pattern
from tui.scopes import Scope, When

_FORMER_IDS: Final[Mapping[str, str]] = {"models.favourite": "models.favorite"}
"""What actions were called before, as a configuration file may still have it."""
_KEY: Final = pattern(r"((ctrl|alt|shift|super|meta|hyper)\+)*([a-z0-9_]{2,30}|[^\s,+])")
SIGNS: Final[Mapping[str, str]] = {
    "minus": "-", "plus": "+", "comma": ",", "full_stop": ".", "slash": "/", "backslash": "\\", "underscore": "_",
    "question_mark": "?", "equals_sign": "=", "semicolon": ";", "colon": ":", "apostrophe": "'", "grave_accent": "`", "at": "@",
    "left_square_bracket": "[", "right_square_bracket": "]", "circumflex_accent": "^", "number_sign": "#", "dollar_sign": "$",
}  # fmt: skip
"""Keys that have a name and a sign; either can be written."""
_NAMED: Final = frozenset(
    (
        *(f"f{number}" for number in range(1, 25)), "escape", "enter", "tab", "space", "backspace", "delete", "insert", "home",
        "end", "pageup", "pagedown", "up", "down", "left", "right", *SIGNS,
    )
)  # fmt: skip
_TYPING: Final = frozenset(("tab", "space", "backspace", "delete", "left", "right", "home", "end"))
"""Keys that every field for text needs; an action that takes its key before the field can't have them."""
_TYPING_LINES: Final = _TYPING | {"enter", "up", "down"}
"""Those that a field of several lines needs."""
_NONE: Final = "none"
"""Stands in a configuration file for no key at all."""
_IN_LINES: Final = (Scope.APP, Scope.CHAT, Scope.TEXT, Scope.MESSAGE, Scope.EDIT)
"""Where the cursor may be in a field of several lines."""
_IN_FIELDS: Final = (
    Scope.CHAT,
    Scope.TEXT,
    Scope.EDIT,
    Scope.FIND,
    Scope.PARAMETER,
    Scope.LIST,
    Scope.SETTINGS,
    Scope.FORM,
)
"""Where the cursor may be in a field, so that what types a character never gets to the action."""
_IN_LISTS: Final = (Scope.FINDER, Scope.CHATS, Scope.MODELS)
"""Lists beside a field, into which a character that is typed in the list goes."""

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
        "edit.save": "alt+k",
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
    ids = {one.id: one for one in ACTIONS}
    keys = {one.id: one.keys for one in ACTIONS}
    problems: list[str] = []
    for given_id, text in {**MAPS.get(name, {}), **(bindings or {})}.items():
        action_id = _FORMER_IDS.get(given_id, given_id)
        if action_id not in keys:
            near = did_you_mean(action_id, keys)
            problems.append(f"There is no action {action_id[:40]!r}. {near}".rstrip())
            continue
        chosen = tuple(part.strip() for part in text.split(",") if part.strip())
        action = ids[action_id]
        wrong = [key for key in chosen if not _is_key(key)]
        if action.fixed and chosen != action.keys:
            problems.append(f"{action_id} has fixed keys: {', '.join(action.keys)}.")
        elif wrong:
            problems.append(
                f"{wrong[0][:30]!r} is not a valid key; {action_id} keeps its default keys."
            )
        elif _is_out_of_reach(action, chosen):
            problems.append(
                f"{chosen[0]} types text in the field, so it can't be the only key for {action_id}; the default keys are kept."
            )
        else:
            keys[action_id] = () if chosen == (_NONE,) else chosen
    # A test sees to it that the defaults don't clash; at the start, looking would take longer than all else here.
    is_default = all(keys[one.id] == one.keys for one in ACTIONS)
    clashes = [] if is_default else list(_clashes(keys))
    if clashes:
        problems += [*clashes, "The default keys are used."]
        keys = {one.id: one.keys for one in ACTIONS}
    return Keymap(keys, tuple(problems))


def _is_key(key: str) -> bool:
    name = key.rpartition("+")[2]
    return key == _NONE or (_KEY.fullmatch(key) is not None and (len(name) == 1 or name in _NAMED))


def _is_out_of_reach(action: Action, keys: tuple[str, ...]) -> bool:
    """Return whether a field would take every one of the keys before the action gets it."""
    if action.priority or action.fixed or not keys:
        return False
    if action.scope in _IN_LISTS:
        return all(len(key) == 1 or key in SIGNS or key in ("space", "backspace") for key in keys)
    return action.scope in _IN_FIELDS and all(_is_typed(key, action.scope) for key in keys)


def _clashes(keys: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield a sentence for each key that is needed for typing, and each that two actions have in one place."""
    for action in ACTIONS:
        if (action.priority or action.scope is Scope.APP) and not action.fixed:
            for key in keys[action.id]:
                if _is_typed(key, action.scope):
                    yield f"The key {key} is needed for typing, so it can't be assigned to {action.id}."
    told: set[frozenset[str]] = set()
    for place in Scope:
        for key, one, other in _shared(keys, place):
            if (pair := frozenset((one, other))) not in told:
                told.add(pair)
                yield f"The key {key} is assigned to both {one} and {other}."


def _shared(keys: Mapping[str, tuple[str, ...]], place: Scope) -> Iterator[tuple[str, str, str]]:
    """Yield each key that two actions have in a place, with the actions' ids."""
    seen: dict[tuple[str, When], str] = {}
    for action in ACTIONS:
        if action.works_in(place):
            for key, state in product(keys[action.id], _states(action)):
                other = seen.setdefault((SIGNS.get(key, key), state), action.id)
                if other != action.id:
                    yield key, other, action.id


def _states(action: Action) -> tuple[When, ...]:
    is_limited = action.when in (When.BUSY, When.IDLE, When.MARKED)
    return (action.when,) if is_limited else (When.BUSY, When.IDLE)


def _is_typed(key: str, scope: Scope) -> bool:
    needed = _TYPING_LINES if scope in _IN_LINES else _TYPING
    return len(key) == 1 or key in SIGNS or key in needed
