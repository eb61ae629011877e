"""The list of all turns of a chat, with lines that show how they are connected."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.chat.loader import short_name
from tui.conversation import ASSISTANT, USER, Conversation, Status, Turn
from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.screens.branch_map import BranchMap, MapRow
from tui.screens.session_rows import date_text
from tui.widgets.bindings import bindings
from tui.widgets.columns import cut

GLYPHS: Final = {USER: "❯", ASSISTANT: "●"}
OTHER_GLYPH: Final = "◆"
_ENDINGS: Final = {
    Status.STREAMING: "being written",
    Status.STOPPED: "stopped",
    Status.TRUNCATED: "cut off",
    Status.FAILED: "failed",
    Status.INTERRUPTED: "interrupted",
}
_WORDS_LIMIT: Final = 300
_WIDEST_NAME: Final = 24
_FACTS_SHARE: Final = 0.5
"""The largest share of a row's width for facts, because a turn's text is more telling."""


class TurnTree(ScrollView, inherit_bindings=False, can_focus=True):
    """Draws the map, each row when it becomes visible, and moves a cursor over its turns."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "turn-tree--active",
        "turn-tree--other",
        "turn-tree--fact",
        "turn-tree--problem",
        "turn-tree--line",
        "turn-tree--way",
        "turn-tree--cursor",
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(
            Scope.TREE,
            does={
                "tree.jump": "choose",
                "tree.up": "move(-1)",
                "tree.down": "move(1)",
                "tree.page_up": "page(-1)",
                "tree.page_down": "page(1)",
                "tree.first": "first",
                "tree.last": "last",
                "tree.toggle": "fold",
                "tree.next_branch": "branch(1)",
                "tree.previous_branch": "branch(-1)",
                "tree.fold": "shut",
                "tree.unfold": "open",
            },
        ),
    ]
    DEFAULT_CSS = """
    TurnTree {
        background: $surface; overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        & > .turn-tree--active { color: $foreground; text-style: bold; }
        & > .turn-tree--other { color: $text-muted; }
        & > .turn-tree--fact { color: $text-muted; }
        & > .turn-tree--problem { color: $text-warning; }
        & > .turn-tree--line { color: $foreground 40%; }
        & > .turn-tree--way { color: $text-primary; text-style: bold; }
        & > .turn-tree--cursor { background: $primary 40%; }
    }
    """

    cursor: reactive[int] = reactive(-1, init=False)
    """The number of the row under the cursor; -1 if there is none."""

    @dataclass
    class Highlighted(Message):
        """The cursor moved to a turn."""

        turn_id: str

    @dataclass
    class Chosen(Message):
        """A turn was chosen."""

        turn_id: str

    def __init__(self, conversation: Conversation, cursor: str | None) -> None:
        """Create it. The cursor starts at the turn `cursor`, by default at the end of the active path."""
        super().__init__(id="turns")
        self._conversation = conversation
        leaf = conversation.leaf
        self._wanted = cursor or (leaf.id if leaf is not None else "")
        made = [turn.generation for turn in conversation.turns.values() if turn.generation]
        self._names_models = len({one.name or one.model for one in made}) > 1
        self._folded: frozenset[str] = frozenset()
        self._map = BranchMap(conversation)
        self._rows = self._map.rows()
        self._row_of = self._numbers()

    @property
    def most_rows(self) -> int:
        """The number of rows with nothing folded."""
        return len(self._map.rows())

    def _numbers(self) -> dict[str | None, int]:
        return {row.turn_id: number for number, row in enumerate(self._rows)}

    def on_mount(self) -> None:
        """Start at the wanted turn."""
        self._resize()
        self.cursor = self._row_of.get(self._wanted, -1)
        self.call_after_refresh(self._show_cursor)

    def _resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows))

    def on_resize(self) -> None:
        """Adapt to the new width."""
        self._resize()

    def watch_cursor(self) -> None:
        """Scroll to the row, and post a message."""
        self._show_cursor()
        self.refresh()
        if (turn_id := self.cursor_turn) is not None:
            self.post_message(self.Highlighted(turn_id))

    def _show_cursor(self) -> None:
        if self.cursor >= 0:
            self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)

    @property
    def cursor_turn(self) -> str | None:
        """The ID of the turn under the cursor."""
        return self._rows[self.cursor].turn_id if 0 <= self.cursor < len(self._rows) else None

    # -- moving

    def action_move(self, step: int) -> None:
        """Go to the next or previous turn."""
        self._go(self.cursor + step, step)

    def action_page(self, step: int) -> None:
        """Move by a page."""
        rows = max(1, self.scrollable_content_region.height - 1)
        to = max(0, min(self.cursor + step * rows, len(self._rows) - 1))
        # The first and the last row may have no turn.
        if not self._go(to, step):
            self._go(to, -step)

    def action_first(self) -> None:
        """Go to the first turn."""
        self._go(0, 1)

    def action_last(self) -> None:
        """Go to the last turn."""
        self._go(len(self._rows) - 1, -1)

    def _go(self, row: int, step: int) -> bool:
        """Put the cursor on a row, or on the next row with a turn in the direction of `step`. Return whether there is one."""
        step = 1 if step > 0 else -1
        while 0 <= row < len(self._rows):
            if self._rows[row].turn_id is not None:
                self.cursor = row
                return True
            row += step
        return False

    def action_branch(self, step: int) -> None:
        """Go to the next or previous turn with more than one variant."""
        row = self.cursor + step
        while 0 <= row < len(self._rows):
            turn_id = self._rows[row].turn_id
            if turn_id is not None and self._map.places[turn_id][1] > 1:
                self.cursor = row
                return
            row += step

    def action_shut(self) -> None:
        """Fold what hangs on the turn, or else go to its parent."""
        turn_id = self.cursor_turn
        if turn_id is None:
            return
        row = self._rows[self.cursor]
        if row.variants and turn_id not in self._folded:
            self._fold(self._folded | {turn_id})
            return
        for above in reversed(self._conversation.ancestors(turn_id)[:-1]):
            if len(self._rows[self._row_of[above.id]].lanes) < len(row.lanes):
                self.cursor = self._row_of[above.id]
                return

    def action_open(self) -> None:
        """Unfold what hangs on the turn."""
        if self.cursor_turn in self._folded:
            self._fold(self._folded - {self.cursor_turn})

    def action_fold(self) -> None:
        """Fold or unfold what hangs on the turn."""
        turn_id = self.cursor_turn
        if turn_id is not None and self._rows[self.cursor].variants:
            self._fold(self._folded ^ {turn_id})

    def _fold(self, folded: frozenset[str]) -> None:
        turn_id = self.cursor_turn
        self._folded = folded
        self._rows = self._map.rows(folded)
        self._row_of = self._numbers()
        self._resize()
        self.cursor = self._row_of.get(turn_id, -1)
        self.refresh()

    def action_choose(self) -> None:
        """Choose the turn under the cursor."""
        if (turn_id := self.cursor_turn) is not None:
            self.post_message(self.Chosen(turn_id))

    def on_click(self, event: events.Click) -> None:
        """Choose the clicked turn; a click after its sign folds what hangs on it."""
        event.stop()
        number = round(self.scroll_y) + event.y
        if not 0 <= number < len(self._rows) or self._rows[number].turn_id is None:
            return
        self.cursor = number
        row = self._rows[number]
        start = sum(cell_len(lane.text) for lane in row.lanes)
        if row.variants and start < event.x <= start + cell_len(row.beside):
            self.action_fold()
        else:
            self.action_choose()

    # -- drawing

    def notify_style_update(self) -> None:
        """Redraw, because colors may have changed."""
        super().notify_style_update()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the row `y` cells below the top."""
        number = round(self.scroll_y) + y
        width = self.scrollable_content_region.width
        if number >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[number]
        text = Text(no_wrap=True, end="")
        for lane in row.lanes:
            self._add(text, lane.text, "way" if lane.is_active else "line")
        if row.turn_id is not None:
            self._add_turn(text, row, self._conversation.turns[row.turn_id], width)
        ground = self.rich_style
        if number == self.cursor:
            ground = Style(bgcolor=self.get_visual_style("turn-tree--cursor").rich_style.bgcolor)
            text.stylize(ground)
        return Strip(text.render(self.app.console)).crop_extend(0, width, ground)

    def _add(self, row: Text, text: str, look: str) -> None:
        row.append(text, self.get_visual_style(f"turn-tree--{look}").rich_style)

    def _add_turn(self, text: Text, row: MapRow, turn: Turn, width: int) -> None:
        """Draw a turn: its sign and first words on the left, facts on the right."""
        self._add(text, GLYPHS.get(turn.role, OTHER_GLYPH), "way" if row.is_active else "line")
        self._add(text, f"{row.beside} ", "line")
        room = width - text.cell_len
        problem = _ENDINGS.get(turn.status, "")
        if turn.id in self._folded:
            problem = " · ".join(filter(None, (f"{row.variants:,} folded", problem)))
        facts = self._facts(turn, int(room * _FACTS_SHARE) - cell_len(problem))
        between = " · " if facts and problem else ""
        words = Text(_words(turn))
        words.truncate(
            max(4, room - 2 - cell_len(problem + between + facts)), overflow="ellipsis", pad=True
        )
        self._add(text, words.plain, "active" if row.is_active else "other")
        self._add(text, "  ", "fact")
        self._add(text, problem, "problem")
        self._add(text, between + facts, "fact")

    def _facts(self, turn: Turn, room: int) -> str:
        number, count = self._map.places[turn.id]
        parts = []
        if count > 1:
            parts.append(f"{number:,}/{count:,}")
        if turn.origin is not None:
            parts.append("edited")
        if turn.generation is not None and self._names_models:
            name = turn.generation.name or turn.generation.model
            parts.append(cut(short_name(name), _WIDEST_NAME))
        parts.append(date_text(turn.created_at).removeprefix("today "))
        shown = ""
        for part in filter(None, parts):
            longer = f"{shown} · {part}" if shown else part
            if cell_len(longer) <= room:
                shown = longer
        return shown


def _words(turn: Turn) -> str:
    text = turn.gist or turn.reasoning or turn.error
    return sanitize_line(text[: _WORDS_LIMIT * 4], _WORDS_LIMIT) or "(empty)"
