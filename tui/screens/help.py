"""The help screen: every action with its key, built from the registry. The keys of the current place come first, and typing
filters the list.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from typing import ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import HorizontalGroup, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label

from tui.actions import Action, action, actions
from tui.dataclass import dataclass
from tui.scopes import MAIN, PLACES, Scope, around
from tui.screens.closed_once import ClosedOnce
from tui.widgets.bindings import (
    binding_for,
    bindings,
    is_ascii,
    keys_in_force,
    keys_text,
    main_keys,
    pair_text,
)
from tui.widgets.line_input import LineInput

_CLOSE: Final = "dismiss(None)"
_TWO: Final = 100
"""The least width of the screen, in cells, for two columns."""
_KEYS: Final = 16
"""Cells for the keys."""
_GAP: Final = 2
_LEAST: Final = 60
"""The least width in cells for sentences."""
_ORDER: Final = ("Message", "Chats", "Turns", "View", "Models", "Replies", "Settings")
"""The groups of general actions that come first. The others follow; the app's own actions are last."""
_AROUND: Final = 7
"""Cells taken by the dialog's frame, its padding and the scrollbar."""


@dataclass(frozen=True, slots=True)
class _Row:
    """An action in the list.

    Attributes:
        key: the key in force, or else the command.
        has_key: whether `key` is a key.
        action: what it does.
        more: its other keys and its command.
    """

    key: str
    has_key: bool
    action: Action
    more: str

    @property
    def searched(self) -> str:
        """The text that the filter searches."""
        return f"{self.key} {self.more} {self.action.title} {self.action.help}".casefold()


_Group = tuple[str, Sequence[_Row]]


class HelpScreen(ClosedOnce[None]):
    """Lists all actions."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(
            Scope.DIALOG,
            Scope.LIST,
            does={
                "dialog.close": _CLOSE,
                "list.down": "scroll_by(1)",
                "list.up": "scroll_by(-1)",
                "list.page_down": "scroll_page(1)",
                "list.page_up": "scroll_page(-1)",
            },
        ),
        binding_for(action("app.help"), does=_CLOSE),
    ]
    CSS = """
    HelpScreen {
        align: center top;
        & > #dialog {
            width: auto; max-width: 100%; height: auto; max-height: 100%; margin: 1 0;
            padding: 1 2 0 2; background: $surface; border: round $border;
            border-title-color: $text-muted; border-subtitle-color: $text-muted;
        }
        & Input { width: 1fr; background: $surface-lighten-1; }
        & VerticalScroll {
            height: auto; max-height: 1fr; margin-top: 1; scrollbar-size-vertical: 1; scrollbar-gutter: stable; scrollbar-size-horizontal: 0;
            scrollbar-background: $surface; scrollbar-background-hover: $surface; scrollbar-background-active: $surface;
        }
        & Label { width: auto; }
        & #left { margin-right: 2; }
        & #head { display: none; }
    }
    """

    def __init__(
        self,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        *,
        place: Scope | None = None,
        left_out: Container[str] = (),
    ) -> None:
        """Create the screen.

        Args:
            keys: keys by action ID; None for those in force.
            place: the scope whose keys come first; None for the chat.
            left_out: the IDs of actions of that place that are not possible now, so that their keys do something else.
        """
        super().__init__()
        self._keys = keys
        self._place = place
        self._left_out = left_out
        self._groups: tuple[_Group, ...] = ()
        self._needed = 0
        """The width of a column in cells."""

    def compose(self) -> ComposeResult:
        """Lay out the field and two columns."""
        with Vertical(id="dialog") as dialog:
            dialog.border_title = "Help"
            dialog.border_subtitle = "Esc Close"
            yield Label("Help   Esc Close", id="head")
            yield LineInput(placeholder="Type to filter", compact=True)
            with VerticalScroll(), HorizontalGroup():
                yield Label("", id="left", markup=False)
                yield Label("", id="right", markup=False)

    def on_mount(self) -> None:
        """List all actions."""
        self.query_one(VerticalScroll).can_focus = False
        self._groups = tuple(group for group in self._all() if group[1])
        titles = (row.action.title for _, rows in self._groups for row in rows)
        self._needed = _KEYS + max(map(len, titles))
        self._list()

    def on_resize(self, _event: events.Resize) -> None:
        """Use the available space."""
        self._list()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._list()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()

    # -- contents

    def _all(self) -> Iterator[_Group]:
        """Yield the groups: the current place, the general actions, the other places."""
        near = (self._place, *around(self._place)) if self._place else ()
        here = [place for place in near if place in PLACES]
        main = list(actions(*MAIN))
        areas = dict.fromkeys((*_ORDER, *(one.area for one in main if one.area != "App"), "App"))
        if self._place is Scope.TURNS:
            areas = {"Turns": None, **areas}
        for place in here:
            possible = (one for one in actions(place) if one.id not in self._left_out)
            yield PLACES[place], list(self._rows(possible))
        for area in areas:
            yield area, list(self._rows(one for one in main if one.area == area))
        for place, name in PLACES.items():
            if place not in here:
                yield name, list(self._rows(actions(place)))

    def _rows(self, group: Iterable[Action]) -> Iterator[_Row]:
        known, ascii_only = self._keys or keys_in_force(self.app), is_ascii(self.app)
        for one in group:
            keys = known[one.id]
            command = f"/{one.commands[0]} {one.argument}".rstrip() if one.commands else ""
            named = command if one.slash else ""
            if keys:
                first = main_keys(keys)
                others = keys_text(keys[len(first) :], ascii_only=ascii_only)
                more = " · ".join(filter(None, (others and f"or {others}", named)))
                yield _Row(pair_text(first, ascii_only=ascii_only), True, one, more)
            elif one.listed and one.commands:
                yield _Row(f"/{one.commands[0]}", False, one, named if one.argument else "")

    # -- layout

    def _list(self) -> None:
        typed = self.query_one(Input).value
        room = self.app.size.width - _AROUND
        is_plain = self.app.has_class("-plain")
        has_two = self.app.size.width >= _TWO and not is_plain
        width = max(20, min(self._needed, (room - _GAP) // 2 if has_two else room))
        whole = min(room, max(_LEAST, 2 * width + _GAP if has_two else width))
        left, right = self.query_one("#left", Label), self.query_one("#right", Label)
        self.query_one("#dialog").styles.width = "100%" if is_plain else whole + _AROUND
        if words := typed.casefold().split():
            found = list(self._filtered(words))
            left.update(_lines(found, whole, explains=True) or Content("Nothing matches."))
            groups: Sequence[_Group] = ()
        else:
            groups = self._groups
            at = _middle(groups) if has_two else len(groups)
            left.update(_lines(groups[:at], width, explains=False))
            groups = groups[at:]
        right.update(_lines(groups, width, explains=False))
        right.display = bool(groups)
        left.styles.width = whole if not groups else width
        right.styles.width = width
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _filtered(self, words: Sequence[str]) -> Iterator[_Group]:
        for heading, rows in self._groups:
            name = heading.casefold()
            found = [
                row for row in rows if all(word in row.searched or word in name for word in words)
            ]
            if found:
                yield heading, found

    def action_scroll_by(self, step: int) -> None:
        """Scroll by `step` lines."""
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)

    def action_scroll_page(self, step: int) -> None:
        """Scroll by a page."""
        body = self.query_one(VerticalScroll)
        body.scroll_relative(y=step * max(1, body.size.height - 1), animate=False)


def _middle(groups: Sequence[_Group]) -> int:
    """Return the index that splits the groups into two columns of about the same length."""
    sizes = [len(rows) + 2 for _, rows in groups]
    return min(
        range(len(sizes) + 1), key=lambda at: max(sum(sizes[:at]), sum(sizes[at:])), default=0
    )


def _lines(groups: Iterable[_Group], width: int, *, explains: bool) -> Content:
    """Return the groups as text, with a sentence about each action if `explains`."""
    parts = []
    for heading, rows in groups:
        lines = [Content.styled(heading, "bold $text-primary")]
        for row in rows:
            lines += _row_lines(row, max(8, width - _KEYS), explains=explains)
        parts.append(Content("\n").join(lines))
    return Content("\n\n").join(parts)


def _row_lines(row: _Row, room: int, *, explains: bool) -> Iterator[Content]:
    style = "bold" if row.has_key else "$text-muted"
    first, *rest = wrap(row.action.title, room) or [""]
    yield Content.assemble((row.key.ljust(_KEYS - 1) + " ", style), first)
    for line in rest:
        yield Content(" " * _KEYS + line)
    if explains:
        said = row.action.help + (f"  {row.more}" if row.more else "")
        for line in wrap(said, room):
            yield Content.styled(" " * _KEYS + line, "$text-muted")
