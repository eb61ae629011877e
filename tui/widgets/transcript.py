"""The chat as displayed: its turns, the cursor on one of them, folding, and search.

The transcript shows the turns that it is given. It stores nothing and decides nothing about the chat. What the user
does is posted as messages. `turn_window` decides which turns have a widget, and controls scrolling.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import RenderResult
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.timer import Timer

from tui import late
from tui.conversation import USER
from tui.dataclass import dataclass
from tui.widgets.shown_turn import ShownTurn, ViewState
from tui.widgets.turn_window import Entry, TurnWindow

if TYPE_CHECKING:
    from tui.widgets.markdown.highlight import CodeColors
    from tui.widgets.shown_texts import ShownTexts
    from tui.widgets.turn_view import TurnView

__all__ = ["ShownTurn", "Transcript"]


_COLORS_AFTER_S: Final = 0.05
"""The delay, in seconds, before code is drawn again after its colors have arrived."""
_PAUSE_S: Final = 0.15
"""Seconds without new text before the code at the end of a reply is drawn again after its colors have arrived."""
_SCROLL_ROWS: Final = 3
"""The number of rows that one step scrolls in a turn that is taller than the screen."""
_FIND_S: Final = 0.1
"""The time limit for a search, in seconds. Turns that are not laid out by then are counted while the app is idle."""
_IDLE_SLICE_S: Final = 0.008
_IDLE_EVERY_S: Final = 0.03


@dataclass(frozen=True, slots=True)
class _Search:
    """What is searched for, and the current match."""

    query: str
    origin: int
    """The turn at which the search started."""
    turn_id: str = ""
    number: int = -1
    """The number of the match within the turn."""


class Transcript(TurnWindow, can_focus=True):
    """Shows the turns of a chat."""

    DEFAULT_CSS = """
    Transcript.-empty { content-align: center middle; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    cursor: reactive[str | None] = reactive(None, init=False)
    """The ID of the turn under the cursor."""

    @dataclass
    class FollowChanged(Message):
        """The view started or stopped following the end, or text arrived that is not visible."""

        following: bool
        unseen: bool

    @dataclass
    class HitsCounted(Message):
        """A search in a long chat, first answered with an estimate, has now counted all matches."""

        hits: int

    class ColorsKnown(Message, bubble=False):
        """The colors of code that was shown plain have arrived."""

    @dataclass
    class VariantPaged(Message):
        """The user wants the previous (-1) or next (1) variant of a turn."""

        turn_id: str
        step: int

    @dataclass
    class LinkClicked(Message):
        """A link was clicked; nothing has been opened."""

        url: str

    @dataclass
    class TurnClicked(Message):
        """A turn was clicked."""

        turn_id: str

    def __init__(
        self,
        *,
        empty: Callable[[Size], Content] | None = None,
        name: str | None = None,
        id: str | None = None,  # noqa: A002 - the name that every Textual widget has
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._coloring: Timer | None = None
        self.empty = empty
        """Returns the text in the middle if there are no turns, for an area of a given size."""
        self._last_cost_s = 0.0
        self._streamed_at = -math.inf
        self._search: _Search | None = None
        self._known_texts: ShownTexts | None = None
        self._counting: Timer | None = None
        self._line_numbers = False
        self.set_class(True, "-empty", update=False)

    @property
    def _texts(self) -> ShownTexts:
        if self._known_texts is None:
            from tui.widgets.shown_texts import ShownTexts

            self._known_texts = ShownTexts()
        return self._known_texts

    def make_colors(self) -> CodeColors:
        """Return what colors the code in the turns, and tells when colors have arrived."""
        from tui.widgets.markdown.highlight import CodeColors

        return CodeColors(self._colors_known)

    def prepare_view(self, view: TurnView) -> None:
        """Set up the cursor, caret, matches and line numbers of a new view."""
        view.show_caret(self._caret)
        view.show_cursor(view.turn.id == self.cursor)
        view.show_line_numbers(self._line_numbers)
        if self._search is not None:
            view.mark_hits(self._search.query)

    def following_changed(self, following: bool, unseen: bool) -> None:
        """Post `FollowChanged`."""
        self.post_message(self.FollowChanged(following, unseen))

    def on_mount(self) -> None:
        """Load what rendering needs while nothing waits for it."""
        super().on_mount()
        self.call_after_refresh(self._warm_up)

    def on_unmount(self) -> None:
        """Stop the process that colors code."""
        if self._colors is not None:
            self._colors.close()

    def _colors_known(self) -> None:
        # Called in another thread, which may outlive the app.
        self.post_message(self.ColorsKnown())

    def on_transcript_colors_known(self, event: ColorsKnown) -> None:
        """Color code soon; colors seldom arrive alone."""
        event.stop()
        self._plan_coloring()

    def _plan_coloring(self) -> None:
        if self._coloring is None:
            self._coloring = self.set_timer(_COLORS_AFTER_S, self._color)

    def _color(self) -> None:
        self._coloring = None
        now = time.perf_counter()
        # Streaming text is redrawn anyway, in the colors that have arrived by then.
        has_paused = now - self._streamed_at > _PAUSE_S
        for view in self._views:
            view.color_code(now + _IDLE_SLICE_S, open_end=has_paused)
        if not has_paused or time.perf_counter() > now + _IDLE_SLICE_S:
            self._plan_coloring()

    def _warm_up(self) -> None:
        self.run_worker(late.done(_warm_up), exit_on_error=False)

    # Contents

    @property
    def turns(self) -> tuple[ShownTurn, ...]:
        """Every turn with its current text, in order."""
        return tuple(entry.turn for entry in self._entries)

    def render(self) -> RenderResult:
        """Return the background behind the turns: blank, or the text of an empty chat."""
        if self._entries or self.empty is None:
            return super().render()
        return self.empty(self.scrollable_content_region.size)

    def show(self, turns: Sequence[ShownTurn], *, follow: bool = True) -> None:
        """Show exactly these turns. Leading turns that stay keep their widgets and view states."""
        # If the view follows the end, it keeps following it.
        follow = follow or self._following
        states = {entry.turn.id: entry.state for entry in self._entries}
        kept = 0
        for entry, turn in zip(self._entries, turns, strict=False):
            if entry.turn.id != turn.id:
                break
            kept += 1
        before = self._entries
        self._entries = [Entry(turn, states.get(turn.id) or ViewState()) for turn in turns]
        self._positions = {turn.id: number for number, turn in enumerate(turns)}
        if self._known_texts is not None:
            self._known_texts.keep(self._positions)
        self._drop_views(max(0, kept - self._low))
        for view, entry in zip(self._views, self._entries[self._low :], strict=False):
            if entry.turn != before[self._positions[entry.turn.id]].turn:
                view.update_turn(entry.turn)
        if self.cursor is not None and self.cursor not in self._positions:
            self.cursor = None
        self.set_class(not self._entries, "-empty")
        if not self._views or (follow and self._is_far_from_end()):
            self._open_at_end()
        elif follow:
            self._mount_below(len(self._entries) - self._high)
        if follow:
            self.follow()
        self._plan_fill()
        self.refresh()

    def append(self, turn: ShownTurn) -> None:
        """Add `turn` at the end."""
        self._positions[turn.id] = len(self._entries)
        self._entries.append(Entry(turn))
        self.remove_class("-empty")
        if self._high == len(self._entries) - 1:
            self._extend()
        if not self._following:
            self._set_unseen(True)
        self.refresh()

    def stream(self, turn_id: str, text: str = "", reasoning: str = "") -> None:
        """Add the text that the model wrote since the last call to a turn.

        Raises:
            KeyError: if there is no such turn.
        """
        entry = self._entries[self._positions[turn_id]]
        entry.turn = replace(
            entry.turn, text=entry.turn.text + text, reasoning=entry.turn.reasoning + reasoning
        )
        view = self._view(turn_id)
        if view is not None:
            started = time.perf_counter()
            view.stream(text, reasoning)
            self._streamed_at = time.perf_counter()
            self._last_cost_s = self._streamed_at - started
        if not self._following:
            self._set_unseen(True)

    def show_figures(self, turn_id: str, caption: str) -> None:
        """Show `caption` in the head of a turn while it is being written."""
        view = self._view(turn_id) if turn_id in self._positions else None
        if view is not None:
            view.show_figures(caption)

    @property
    def _caret(self) -> str:
        """The caret at the end of a text that is being written; empty if animations are off."""
        if self.app.has_class("-still"):
            return ""
        return "_" if self.app.has_class("-ascii") else "▍"

    def retell(self, turn_id: str, text: str, reasoning: str) -> None:
        """Replace the text that the model has written for a turn.

        Raises:
            KeyError: if there is no such turn.
        """
        turn = self._entries[self._positions[turn_id]].turn
        self.update(replace(turn, text=text, reasoning=reasoning))

    def update(self, turn: ShownTurn) -> None:
        """Replace the turn with the same ID. A finished turn looks the same as one that was shown at once.

        Raises:
            KeyError: if there is no such turn.
        """
        entry = self._entries[self._positions[turn.id]]
        entry.turn = turn
        view = self._view(turn.id)
        if view is not None:
            view.update_turn(turn)

    @property
    def drain_interval(self) -> float:
        """The time between two calls of `stream`, in seconds, that leaves enough time for everything else."""
        return min(1.0, max(0.05, 6 * self._last_cost_s))

    # Folding

    def toggle_reasoning(self, turn_id: str | None = None) -> None:
        """Fold or unfold the reasoning and files of a turn: by default that under the cursor, else the last with any."""
        entry = self._chosen(turn_id, lambda turn: bool(turn.reasoning or turn.files))
        if entry is None:
            return
        is_open = bool(entry.state.open_files)
        if entry.turn.reasoning:
            chosen = entry.state.reasoning_open
            is_open = not entry.turn.text.strip() if chosen is None else chosen
            entry.state.reasoning_open = not is_open
        entry.state.open_files = frozenset() if is_open else entry.turn.files
        self._state_changed(entry)

    def toggle_file(self, turn_id: str, place: int) -> None:
        """Fold or unfold one file of a turn; `place` is the index of its part."""
        entry = self._entries[self._positions[turn_id]]
        entry.state.open_files ^= {place}
        self._state_changed(entry)

    def toggle_raw(self, turn_id: str | None = None) -> None:
        """Switch a turn between its source and the rendered text."""
        entry = self._chosen(turn_id, lambda _: True)
        if entry is not None:
            entry.state.raw = not entry.state.raw
            self._state_changed(entry)

    @property
    def line_numbers(self) -> bool:
        """Whether the lines of code are numbered."""
        return self._line_numbers

    def toggle_line_numbers(self) -> None:
        """Turn line numbers in code on or off, for all turns."""
        self._line_numbers = not self._line_numbers
        for view in self._views:
            view.show_line_numbers(self._line_numbers)

    def caption_reasoning(self, turn_id: str, caption: str) -> None:
        """Show how long a turn's reasoning took, while the answer may still be streaming.

        Raises:
            KeyError: if there is no such turn.
        """
        self.update(
            replace(self._entries[self._positions[turn_id]].turn, reasoning_caption=caption)
        )

    def _chosen(self, turn_id: str | None, fits: Callable[[ShownTurn], bool]) -> Entry | None:
        turn_id = turn_id if turn_id is not None else self.cursor
        if turn_id is not None:
            position = self._positions.get(turn_id)
            return None if position is None else self._entries[position]
        return next((entry for entry in reversed(self._entries) if fits(entry.turn)), None)

    def _state_changed(self, entry: Entry) -> None:
        view = self._view(entry.turn.id)
        if view is not None:
            view.state_changed()

    # The cursor

    def move_cursor(self, step: int) -> None:
        """Move the cursor by `step` turns; without a cursor, start at the last visible turn."""
        if not self._entries:
            return
        if self.cursor is None:
            # The turn is visible, at least in part, so don't scroll.
            self.cursor = self._entries[self._last_visible()].turn.id
        else:
            self._put_cursor(self._positions[self.cursor] + step)

    def scroll_or_move(self, step: int) -> None:
        """Scroll by a few rows while the turn under the cursor continues beyond the screen, else move to the next turn.

        Args:
            step: -1 for up, 1 for down.
        """
        view = self._view(self.cursor) if self.cursor is not None else None
        if view is None or not view.region.overlaps(self.scrollable_content_region):
            self.move_cursor(0 if self.cursor is not None else step)
            return
        top = view.virtual_region.y - round(self.scroll_y)
        hidden = -top if step < 0 else top + view.virtual_region.height - self.size.height
        if hidden > 0:
            self.release_anchor()
            rows = min(hidden, _SCROLL_ROWS)
            self.scroll_to(y=round(self.scroll_y) + step * rows, animate=False)
        else:
            position = self._positions[view.turn.id] + step
            self._put_cursor(position, at_end=step < 0)

    def cursor_first(self) -> None:
        """Put the cursor on the first turn."""
        self._put_cursor(0)

    def move_cursor_user(self, step: int) -> None:
        """Move the cursor to the previous (-1) or next (1) user turn; without a cursor, start with the visible turns."""
        if self.cursor is not None:
            start = self._positions[self.cursor]
        else:
            start = self._last_visible() + 1 if step < 0 else self._first_visible() - 1
        position = start + step
        while 0 <= position < len(self._entries):
            if self._entries[position].turn.role == USER:
                self._put_cursor(position)
                return
            position += step

    def _put_cursor(self, position: int, *, at_end: bool = False) -> None:
        if not self._entries:
            return
        position = max(0, min(position, len(self._entries) - 1))
        self.cursor = self._entries[position].turn.id
        self._reveal(position, at_end=at_end)

    def watch_cursor(self, old: str | None, new: str | None) -> None:
        """Mark the turn under the cursor."""
        for turn_id, selected in ((old, False), (new, True)):
            view = self._view(turn_id) if turn_id is not None else None
            if view is not None:
                view.show_cursor(selected)

    # Search

    @property
    def found(self) -> tuple[int, int]:
        """The number of the current match, from 1, and the number of all matches; zeros without a search."""
        search = self._search
        if search is None:
            return 0, 0
        counts = self._likely_counts(search.query)
        position = self._positions.get(search.turn_id, -1)
        if position < 0:
            return 0, sum(counts)
        return sum(counts[:position]) + search.number + 1, sum(counts)

    def find(self, query: str) -> int:
        """Highlight `query` everywhere in the chat and go to the nearest match at or above the visible part.

        Returns the number of matches. Called again with another phrase, the search starts at the same place.
        """
        if not query:
            self.clear_find()
            return 0
        origin = self._search.origin if self._search is not None else self._last_visible()
        self._search = _Search(query, origin)
        self._count_hits(_FIND_S)
        counts = self._likely_counts(query)
        for view in self._views:
            view.mark_hits(query)
        last = len(counts) - 1
        nearest = (*range(min(origin, last), -1, -1), *range(origin + 1, last + 1))
        for position in nearest:
            hits = self._hits_at(position, query) if counts[position] else 0
            if hits:
                self._go_to_hit(position, hits - 1 if position <= origin else 0)
                break
        return sum(self._likely_counts(query))

    def find_next(self, step: int = 1) -> None:
        """Go to the next (1) or previous (-1) match, wrapping at the ends of the chat."""
        search = self._search
        if search is None or not self._entries:
            return
        counts = self._likely_counts(search.query)
        position = self._positions.get(search.turn_id, min(search.origin, len(counts) - 1))
        number = search.number + step
        for _ in range(len(counts) + 1):
            hits = self._hits_at(position, search.query) if counts[position] else 0
            if 0 <= number < hits:
                self._go_to_hit(position, number)
                return
            position = (position + step) % len(counts)
            if step > 0:
                number = 0
            elif counts[position]:
                number = self._hits_at(position, search.query) - 1

    def clear_find(self) -> None:
        """End the search and clear its highlights."""
        self._search = None
        self._stop_counting()
        for view in self._views:
            view.mark_hits("")

    def _likely_counts(self, query: str) -> list[int]:
        width = self.scrollable_content_region.width
        return [self._texts.likely_hits(e.turn, e.state, width, query) for e in self._entries]

    def _hits_at(self, position: int, query: str) -> int:
        entry = self._entries[position]
        width = self.scrollable_content_region.width
        return self._texts.hits(entry.turn, entry.state, width, query).total

    def _count_hits(self, budget_s: float) -> None:
        turns = ((entry.turn, entry.state) for entry in reversed(self._entries))
        done = self._texts.learn(turns, self.scrollable_content_region.width, budget_s)
        if not done and self._counting is None:
            self._counting = self.set_interval(_IDLE_EVERY_S, self._count_more)
        elif done and self._counting is not None:
            self._stop_counting()
            self.post_message(self.HitsCounted(self.found[1]))

    def _count_more(self) -> None:
        self._count_hits(_IDLE_SLICE_S)

    def _stop_counting(self) -> None:
        if self._counting is not None:
            self._counting.stop()
            self._counting = None

    def _go_to_hit(self, position: int, number: int) -> None:
        search, entry = self._search, self._entries[position]
        if search is None:
            return
        left = self._view(search.turn_id)
        if left is not None:
            left.mark_hits(search.query)
        self._search = replace(search, turn_id=entry.turn.id, number=number)
        width = self.scrollable_content_region.width
        if number < self._texts.hits(entry.turn, entry.state, width, search.query).reasoning:
            entry.state.reasoning_open = True
            self._state_changed(entry)
        if not self._low <= position < self._high:
            self._open_around(position)
        view = self._views[position - self._low]
        view.measure(width)
        row = view.mark_hits(search.query, number)
        if not view.awaits_hit:
            self._reveal(position, max(0, row))

    def on_turn_view_hit_reached(self, event: TurnView.HitReached) -> None:
        """Go to a match that was far down in a huge turn."""
        event.stop()
        if self._search is not None and self._search.turn_id == event.turn_id:
            self._reveal(self._positions[event.turn_id], event.row)

    # Colors and messages

    def notify_style_update(self) -> None:
        """Drop the colors of the old theme."""
        super().notify_style_update()
        self._palette.clear()
        for view in self._views:
            view.refresh()

    def on_turn_view_clicked(self, event: TurnView.Clicked) -> None:
        """Pass on a click."""
        event.stop()
        self.post_message(self.TurnClicked(event.turn_id))

    def on_turn_view_variant_paged(self, event: TurnView.VariantPaged) -> None:
        """Pass on the request for another variant."""
        event.stop()
        self.post_message(self.VariantPaged(event.turn_id, event.step))

    def on_turn_view_link_clicked(self, event: TurnView.LinkClicked) -> None:
        """Pass on a click on a link."""
        event.stop()
        self.post_message(self.LinkClicked(event.url))

    def on_turn_view_reasoning_clicked(self, event: TurnView.ReasoningClicked) -> None:
        """Fold or unfold the clicked reasoning."""
        event.stop()
        self.toggle_reasoning(event.turn_id)

    def on_turn_view_file_clicked(self, event: TurnView.FileClicked) -> None:
        """Fold or unfold the clicked file."""
        event.stop()
        self.toggle_file(event.turn_id, event.place)


def _warm_up() -> None:
    """Import and create what the first turn needs; called in a thread."""
    from tui.widgets import turn_view  # noqa: F401 - imported for later
    from tui.widgets.markdown.parser import warm_up

    warm_up()
