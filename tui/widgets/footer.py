"""The keys for the actions that are available now, in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Final, NamedTuple

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from tui.actions import Action, action
from tui.widgets.bindings import is_ascii, key_text, keys_in_force, main_keys, pair_text

HERE: Final[tuple[tuple[str, ...], ...]] = (
    ("reply.stop",),
    ("completions.move",), ("completions.take",), ("completions.close",),
    ("message.send",), ("message.command",),
    ("edit.save",), ("edit.leave",),
    ("column.open",), ("column.trash",), ("column.untrash",),
    ("find.next",), ("find.previous",), ("find.close",),
    ("parameter.increase", "parameter.decrease"), ("parameter.next",), ("parameter.reset",),
    ("turn.older", "turn.newer"), ("turn.edit",), ("turn.regenerate",), ("turn.continue",), ("turn.fork",), ("turn.copy",),
    ("turn.delete",), ("turn.details",), ("turn.undo",), ("turns.end_block",),
    ("turn.previous",),
    ("composer.focus",),
)  # fmt: skip
"""Actions that depend on the focus, in the order of the line, the most useful first. Actions grouped together share one entry."""
EVERYWHERE: Final[tuple[tuple[str, ...], ...]] = (
    ("sidebar.toggle",), ("chat.open",), ("model.choose",), ("chat.new",), ("transcript.find",), ("app.palette",), ("app.quit",),
    ("app.help",),
)  # fmt: skip
"""Actions that are available everywhere. They get the remaining space, help first."""
_WAY_OUT: Final = (
    "reply.stop", "completions.close", "edit.leave", "find.close", "turns.end_block", "composer.focus",
)  # fmt: skip
"""The actions of Esc, which is never left out."""


_ACTIONS: Final = tuple(tuple(map(action, names)) for names in (*HERE, *EVERYWHERE))
_RANKS: Final = {
    **{one: 3 for names in EVERYWHERE for one in names},
    **{one: 1 for names in HERE for one in names},
    **dict.fromkeys(_WAY_OUT, 0),
    "app.help": 2,
}
"""Which entries get space first: the way out, the actions of the place, help, everything else."""


def _state(
    one: Action, key: str, bound: Mapping[str | None, list[tuple[str, bool]]]
) -> bool | None:
    """Return whether a key can be pressed for an action; None if the key doesn't belong to the action here."""
    if not one.bound:
        return True
    shown = key_text(key)
    return next((on for name, on in bound[one.id] if name == key or key_text(name) == shown), None)


class _Entry(NamedTuple):
    action: Action
    key: str
    shown: str
    text: str
    enabled: bool

    @property
    def width(self) -> int:
        """Cells of ` key text `."""
        return Content(self.shown).cell_length + Content(self.text).cell_length + 3


class Footer(Widget):
    """Lists the available keys, as many as fit. A click presses the key.

    Textual's footer has a widget for each key and rebuilds all of them at every change, twice when a reply starts and twice
    when it ends. That takes longer than the reply's first token. This footer reads the bindings only when they change, and asks
    `word` only for the actions in its two lists.

    Args:
        word: returns the label of an action, in a word; empty if the action would have no effect now. It is called for actions with a
            binding in force, and for those that a widget handles without one.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS: ClassVar[str] = """
    Footer { dock: bottom; height: 1; color: $footer-foreground; background: $footer-background; }
    """

    def __init__(self, word: Callable[[Action], str] = lambda one: one.footer) -> None:
        super().__init__()
        self._word = word
        self._entries: tuple[_Entry, ...] = ()
        self._hovered: _Entry | None = None

    def on_mount(self) -> None:
        """Follow changes of the bindings."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def on_unmount(self) -> None:
        """Stop following changes."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if self.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._look)

    def _look(self) -> None:
        if not self.is_attached:
            return
        bound: dict[str | None, list[tuple[str, bool]]] = {}
        for _, binding, enabled, _ in self.screen.active_bindings.values():
            bound.setdefault(binding.id, []).append((binding.key, enabled))
        keys = keys_in_force(self.app)
        found = tuple(entry for names in _ACTIONS if (entry := self._entry(names, keys, bound)))
        if found != self._entries:
            self._entries = found
            self._hover(None)
            self.refresh()

    def _entry(
        self,
        known: tuple[Action, ...],
        keys: Mapping[str, tuple[str, ...]],
        bound: Mapping[str | None, list[tuple[str, bool]]],
    ) -> _Entry | None:
        """Return the entry for a group of actions, if any of them has a label.

        An action is left out if another action has its first key.
        """
        if not all(keys[one.id] and (one.id in bound or not one.bound) for one in known):
            return None
        states = [_state(one, keys[one.id][0], bound) for one in known]
        text = "" if None in states else next(filter(None, map(self._word, known)), "")
        if not text:
            return None
        first = known[0]
        together = (
            main_keys(keys[first.id]) if len(known) == 1 else [keys[one.id][0] for one in known]
        )
        shown = pair_text(together, ascii_only=is_ascii(self.app))
        return _Entry(first, together[0], shown, text, enabled=any(states))

    def _shown(self) -> Iterator[tuple[int, _Entry]]:
        """The entries that fit, each with its first column."""
        room, chosen = self.size.width, set[_Entry]()
        for entry in sorted(self._entries, key=lambda one: _RANKS[one.action.id]):
            room -= entry.width
            if room < 0:
                break
            chosen.add(entry)
        column = 0
        for entry in self._entries:
            if entry in chosen:
                yield column, entry
                column += entry.width

    def _at(self, column: int) -> _Entry | None:
        return next(
            (entry for x, entry in self._shown() if x <= column < x + entry.width),
            None,
        )

    def render(self) -> Content:
        """Return the line for the current width."""
        return Content("").join(self._drawn(entry) for _, entry in self._shown())

    def _drawn(self, entry: _Entry) -> Content:
        is_hovered = entry == self._hovered
        key, text = (
            f"{foreground} on {'$block-hover-background' if is_hovered else background}"
            for foreground, background in (
                ("$footer-key-foreground", "$footer-key-background"),
                ("$footer-description-foreground", "$footer-description-background"),
            )
        )
        dim = "" if entry.enabled else " dim"
        return Content.assemble(
            (f" {entry.shown} ", f"bold {key}{dim}"), (f"{entry.text} ", f"{text}{dim}")
        )

    def _hover(self, entry: _Entry | None) -> None:
        if entry != self._hovered:
            self._hovered = entry
            self.tooltip = Content(entry.action.help) if entry else None
            self.styles.pointer = "pointer" if entry else "default"
            self.refresh()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Highlight the entry under the mouse."""
        self._hover(self._at(event.x))

    def on_leave(self) -> None:
        """Clear the highlight."""
        self._hover(None)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key of the clicked entry."""
        entry = self._at(event.x)
        if entry is None:
            return
        if entry.enabled:
            self.app.simulate_key(entry.key)
        else:
            self.app.bell()
