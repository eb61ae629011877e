"""A window of turn views over any number of turns.

Only the turns near the visible part have a widget. The first visible turn stays in place when others are mounted, folded
or streamed around it, and the window follows the end until the user scrolls up. The content of turns, the cursor and
the search are handled elsewhere.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Final

from textual import events
from textual.containers import VerticalScroll
from textual.geometry import Region, Size
from textual.layout import DockArrangeResult
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tui.dataclass import dataclass
from tui.widgets.ground import ground
from tui.widgets.markdown.palette import Palette, TextColors
from tui.widgets.shown_turn import ShownTurn, ViewState

if TYPE_CHECKING:
    from tui.widgets.markdown.highlight import CodeColors
    from tui.widgets.turn_view import TurnView

_FIRST: Final = 4
"""The number of views mounted at once when a chat is shown."""
_BATCH: Final = 2
"""The number of views mounted in one frame: a few at a time, well before they are visible, so that no frame takes long."""
_REACH: Final = 1.5
"""How many screens above and below the visible one are mounted ahead."""
_KEPT: Final = 3.0
"""Beyond this many screens above and below the visible one, views are dropped."""
_FEWEST: Final = 8
"""This many views are never too many."""
_NEAR_END: Final = 2
"""Scrolling down to within this many rows of the end follows the reply again."""


@dataclass(slots=True)
class Entry:
    """One turn, and how the user chose to view it."""

    turn: ShownTurn
    state: ViewState = field(default_factory=ViewState)


@dataclass(frozen=True, slots=True)
class _Pin:
    """A view, and the screen row at which its first line has to stay."""

    view: TurnView
    offset: int


class TurnWindow(VerticalScroll):
    """Mounts views for the entries near the visible part, and scrolls over them."""

    DEFAULT_CSS = """
    TurnWindow { layout: stream; scrollbar-gutter: stable; scrollbar-size-vertical: 1; }
    """

    # Space for the scrollbar is always reserved, so a longer chat needs no second layout, unlike with Textual's default.
    virtual_size = reactive(Size(0, 0), layout=False)

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - the name that every Textual widget has
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._text_colors = TextColors()
        self._palette = Palette(self._text_colors)
        self._colors: CodeColors | None = None
        self._entries: list[Entry] = []
        self._positions: dict[str, int] = {}
        self._views: list[TurnView] = []
        self._low = 0
        self._following = True
        self._unseen = False
        self._pin: _Pin | None = None
        self._fill_planned = False

    # Hooks for subclasses

    def make_colors(self) -> CodeColors:
        """Return what colors the code in the turns; called before the first one is shown."""
        from tui.widgets.markdown.highlight import CodeColors

        return CodeColors()

    def prepare_view(self, view: TurnView) -> None:
        """Set up a view that is about to be mounted."""

    def following_changed(self, following: bool, unseen: bool) -> None:
        """Handle a change that `FollowChanged` reports."""

    # Following

    @property
    def following(self) -> bool:
        """Whether the view stays at the end while text arrives."""
        return self._following

    def follow(self) -> None:
        """Scroll to the end and keep following it."""
        if self._high < len(self._entries):
            self._open_at_end()
        self._pin = None
        self._set_following(True)
        self.refresh(layout=True)

    def _set_following(self, following: bool) -> None:
        unseen = self._unseen and not following
        if following != self._following or unseen != self._unseen:
            self._following, self._unseen = following, unseen
            self.following_changed(following, unseen)

    def _set_unseen(self, unseen: bool) -> None:
        if unseen != self._unseen:
            self._unseen = unseen
            self.following_changed(self._following, unseen)

    def release_anchor(self) -> None:
        """Stop following, because the user scrolled. A chat that fits the screen can't be scrolled.

        Textual calls this whenever the user scrolls. Textual's anchor is not used, because it puts a short chat at the bottom.
        """
        if self.max_scroll_y <= 0:
            return
        if self._following:
            self._pin_top(self.scroll_y)
        self._set_following(False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Remember what is visible, mount what comes into reach, and follow again at the end."""
        super().watch_scroll_y(old_value, new_value)
        if not self.is_mounted:
            return
        at_end = self._high == len(self._entries)
        if (
            not self._following
            and at_end
            and new_value > old_value
            and new_value >= self.max_scroll_y - _NEAR_END
        ):
            self.follow()
        if not self._following:
            self._pin_top(new_value)
        self._plan_fill()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the background behind the turns. It is requested at every token, and all its lines are the same."""
        return ground(self, crop) if self._entries else super().render_lines(crop)

    # Keeping the visible part in place

    def _pin_top(self, scroll_y: float) -> None:
        top = round(scroll_y)
        for view in self._views:
            region = view.virtual_region
            if region.bottom > top and region.height:
                self._pin = _Pin(view, region.y - top)
                return

    def arrange(self, size: Size, optimal: bool = False) -> DockArrangeResult:
        """Lay out the views, and scroll in the same pass so that the end, or the pinned view, stays in place."""
        result = super().arrange(size, optimal)
        end = max(0, result.total_region.bottom - size.height)
        if self._following:
            self._scroll_silently(end)
        elif self._pin is not None:
            view, offset = self._pin.view, self._pin.offset
            placed = (p.region.y for p in result.placements if p.widget is view)
            y = next(placed, None)
            if y is not None:
                target = min(max(0, y - offset), end)
                self._scroll_silently(target)
                if not self._fill_planned:
                    self._pin = _Pin(view, y - target)
        return result

    def _scroll_silently(self, y: int) -> None:
        """Scroll in the middle of a layout, without requesting another one."""
        if y != self.scroll_y:
            self.set_reactive(Widget.scroll_y, y)
            self.set_reactive(Widget.scroll_target_y, y)
            self.vertical_scrollbar.position = y

    def _reveal(self, position: int, row: int = 0, *, at_end: bool = False) -> None:
        """Scroll no further than needed to show row `row` of the turn at `position`.

        If a turn is taller than the screen, its beginning is shown, or its end with `at_end`.
        """
        if not self._low <= position < self._high:
            self._open_around(position)
        view = self._views[position - self._low]
        region, height = view.virtual_region, self.size.height
        offset = height // 3 - row if row else 0
        if view.is_mounted and region.height:
            first = region.y + row - round(self.scroll_y)
            last = first if row else first + region.height - 1
            if first >= 0 and last < height:
                return
            if not row and first > 0:
                offset = max(0, height - region.height)
        if at_end:
            view.measure(self.scrollable_content_region.width)
            offset = min(offset, height - view.rows)
        self._set_following(False)
        self._pin = _Pin(view, offset)
        self.refresh(layout=True)
        self._plan_fill()

    def turn_region(self, turn_id: str) -> Region | None:
        """Return the region of a turn on the screen, in cells; None if it is not mounted."""
        view = self._view(turn_id)
        return view.region if view is not None and view.is_mounted else None

    # The window of views

    @property
    def _high(self) -> int:
        return self._low + len(self._views)

    def _view(self, turn_id: str) -> TurnView | None:
        position = self._positions.get(turn_id, -1)
        return self._views[position - self._low] if self._low <= position < self._high else None

    def _new_views(self, low: int, high: int) -> list[TurnView]:
        entries = self._entries[low:high]
        if not entries:
            return []
        from tui.widgets.turn_view import TurnView

        self._mount_colors()
        if self._colors is None:
            self._colors = self.make_colors()
        views = []
        for entry in entries:
            view = TurnView(entry.turn, self._palette, entry.state, self._colors)
            self.prepare_view(view)
            views.append(view)
        return views

    def _mount_colors(self) -> None:
        """Mount what the turns take their colors from, as soon as there are any."""
        if self._entries and self.is_attached and not self._text_colors.is_attached:
            self.mount(self._text_colors)

    def _drop_views(self, first: int, last: int | None = None) -> None:
        dropped = self._views[first:last]
        del self._views[first:last]
        if dropped and self.is_mounted:
            self.remove_children(dropped)

    def _is_far_from_end(self) -> bool:
        return self._high < len(self._entries) - _FIRST

    def _extend(self) -> None:
        """Mount the turn that was just added, unless it is too far from the visible part."""
        if self._following:
            self._mount_below(1)
            self._trim(above=True)
        self._plan_fill()

    def _open_at_end(self) -> None:
        self._drop_views(0)
        self._low = max(0, len(self._entries) - _FIRST)
        self._mount_below(len(self._entries) - self._low)

    def _open_around(self, position: int) -> None:
        self._drop_views(0)
        self._low = max(0, position - 1)
        self._mount_below(_FIRST + 1)

    def _mount_below(self, count: int) -> None:
        views = self._new_views(self._high, min(len(self._entries), self._high + count))
        self._views.extend(views)
        if views and self.is_attached:
            self.mount_all(views)

    def _mount_above(self, count: int) -> None:
        low = max(0, self._low - count)
        views = self._new_views(low, self._low)
        self._low = low
        self._views[:0] = views
        if views and self.is_attached:
            self.mount_all(views, before=0)

    def _trim(self, *, above: bool) -> None:
        """Drop views that are far above, or else far below, the visible part."""
        kept = self.size.height * _KEPT
        spare = len(self._views) - _FEWEST
        excess = 0
        for view in self._views if above else reversed(self._views):
            region = view.virtual_region
            distance = self.scroll_y - region.bottom
            if not above:
                distance = region.y - self.scroll_y - self.size.height
            is_pinned = self._pin is not None and self._pin.view is view
            if excess >= spare or not region.height or distance < kept or is_pinned:
                break
            excess += 1
        if above and excess:
            self._drop_views(0, excess)
            self._low += excess
        elif excess:
            self._drop_views(len(self._views) - excess)

    def on_mount(self) -> None:
        """Mount what was shown before there was a screen."""
        self._mount_colors()
        if self._views:
            self.mount_all(self._views)
        self._plan_fill()

    def on_resize(self, _: events.Resize) -> None:
        """Fill a screen that has grown."""
        self._plan_fill()

    def _plan_fill(self) -> None:
        if not self._fill_planned and self.is_attached:
            self._fill_planned = True
            self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        """Mount batches of turns while the visible part is near the edge of the mounted ones, until nothing is missing."""
        self._fill_planned = False
        if not self._views or not self.size.height:
            return
        if not self._views[0].virtual_region.height:
            return
        reach = self.size.height * _REACH
        if self._low > 0 and self.scroll_y < reach:
            self._mount_above(_BATCH)
            if not self._following:
                self._trim(above=False)
            self._plan_fill()
        elif (
            self._high < len(self._entries)
            and not self._following
            and self.scroll_y > self.max_scroll_y - reach
        ):
            self._mount_below(_BATCH)
            self._trim(above=True)
            self._plan_fill()

    def _first_visible(self) -> int:
        for number, view in enumerate(self._views):
            if view.virtual_region.bottom > self.scroll_y:
                return self._low + number
        return 0

    def _last_visible(self) -> int:
        bottom = self.scroll_y + self.size.height
        for number in range(len(self._views) - 1, -1, -1):
            if self._views[number].virtual_region.y < bottom:
                return self._low + number
        return len(self._entries) - 1
