"""The keys of what can be done now, in one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget


class _Entry(NamedTuple):
    id: str | None
    key: str
    shown: str
    text: str
    tooltip: str
    enabled: bool

    @property
    def width(self) -> int:
        """Cells of ` key text `."""
        return Content(self.shown).cell_length + Content(self.text).cell_length + 3


class Footer(Widget):
    """Lists the bindings of the screen that are to be shown, as many as there is room for. A click presses the key.

    Args:
        first: the ids of bindings that get room before all others, the most needed first.

    Textual's footer has a widget for each key and makes all of them anew at every change, twice when a reply begins and twice
    when it ends; that takes longer than the reply's first token.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS: ClassVar[str] = """
    Footer { dock: bottom; height: 1; color: $footer-foreground; background: $footer-background; }
    """

    def __init__(self, first: Sequence[str] = ()) -> None:
        super().__init__()
        self._first = tuple(first)
        self._entries: tuple[_Entry, ...] = ()
        self._hovered: _Entry | None = None

    def on_mount(self) -> None:
        """Follow what can be done."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def on_unmount(self) -> None:
        """Follow no longer."""
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if self.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._look)

    def _look(self) -> None:
        if not self.is_attached:
            return
        entries: dict[str, _Entry] = {}
        for _, binding, enabled, tooltip in self.screen.active_bindings.values():
            if binding.show and binding.action not in entries:
                shown = self.app.get_key_display(binding)
                entries[binding.action] = _Entry(
                    binding.id, binding.key, shown, binding.description, tooltip, enabled
                )
        if (found := tuple(entries.values())) != self._entries:
            self._entries = found
            self._hover(None)
            self.refresh()

    def _shown(self) -> Iterator[tuple[int, _Entry]]:
        """The entries that fit, each with the column that it begins at."""
        needed = [one for name in self._first for one in self._entries if one.id == name]
        room, chosen = self.size.width, set[_Entry]()
        for entry in (*needed, *(one for one in self._entries if one not in needed)):
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
        """Return the line for the present width."""
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
            self.tooltip = Content(entry.tooltip) if entry and entry.tooltip else None
            self.styles.pointer = "pointer" if entry else "default"
            self.refresh()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show what a click would press."""
        self._hover(self._at(event.x))

    def on_leave(self) -> None:
        """Show no longer what a click would press."""
        self._hover(None)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Press the key of the entry."""
        entry = self._at(event.x)
        if entry is None:
            return
        if entry.enabled:
            self.app.simulate_key(entry.key)
        else:
            self.app.bell()
