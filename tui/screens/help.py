"""The help screen: every action with its keys, made from the registry, and those of the place where one is first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import HorizontalGroup, VerticalScroll
from textual.widgets import Label

from tui.actions import Action, action, actions
from tui.scopes import MAIN, PLACES, Scope, around
from tui.screens.closed_once import ClosedOnce
from tui.widgets.bindings import binding_for, bindings, keys_in_force, keys_text

_SIGNS = (
    ("/ or !", "At the beginning of a message: a command, as in /new; // or !! sends a text that begins so."),
    ("@", "Completes the path of a text file, which goes with the message."),
)  # fmt: skip
_CLOSE = "dismiss(None)"


class HelpScreen(ClosedOnce[None]):
    """Lists what can be done."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.DIALOG, does={"dialog.close": _CLOSE}),
        binding_for(action("app.help"), does=_CLOSE),
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
        self,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        *,
        where: str = "",
        what: str = "",
        place: Scope | None = None,
    ) -> None:
        """Make the screen.

        Args:
            keys: by the actions' ids; None for those in force.
            where: where the user is now.
            what: what can be done there.
            place: whose keys come first; None for the chat's.
        """
        super().__init__()
        self._keys = keys
        self._where = where
        self._what = what
        self._place = place

    def compose(self) -> ComposeResult:
        """List the actions by area, and those of each place."""
        near = (self._place, *around(self._place)) if self._place else ()
        here = [place for place in near if place in PLACES]
        with VerticalScroll():
            yield Label("Keys and commands  (Esc closes)", classes="area")
            if self._where:
                yield Label(f"You are {self._where}. {self._what}", classes="meaning", markup=False)
            for place in here:
                yield from self._of_place(place)
            yield from _group("Message", _SIGNS)
            ordered = sorted(actions(*MAIN), key=lambda action: action.area)
            for area, group in groupby(ordered, key=lambda action: action.area):
                yield from self._of_actions(area, group)
            for place in PLACES:
                if place not in here:
                    yield from self._of_place(place)

    def _of_place(self, place: Scope) -> ComposeResult:
        yield from self._of_actions(PLACES[place], actions(place))

    def _of_actions(self, area: str, group: Iterable[Action]) -> ComposeResult:
        keys = self._keys or keys_in_force(self.app)
        rows = [(keys_text(keys[one.id]) or _no_key(one), _meaning(one)) for one in group]
        yield from _group(area, rows)


def _group(area: str, rows: Iterable[tuple[str, str]]) -> ComposeResult:
    yield Label(area, classes="area")
    for keys, meaning in rows:
        with HorizontalGroup():
            yield Label(keys, classes="keys", markup=False)
            yield Label(meaning, classes="meaning", markup=False)


def _no_key(action: Action) -> str:
    return "palette" if action.commands else "no key"


def _meaning(action: Action) -> str:
    name = action.title.partition(": ")[2]
    return (
        f"{name[:1].upper()}{name[1:]}: {action.help[:1].lower()}{action.help[1:]}{_called(action)}"
    )


def _called(action: Action) -> str:
    """Return the action's command; of one that has none, the id by which its keys can be changed."""
    if action.commands:
        return f"  /{action.commands[0]} {action.argument}".rstrip()
    return "" if action.fixed else f"  {action.id}"
