"""One turn of the chat as a single widget: the speaker, the reasoning, the text, how it ended.

The view draws lines through the line API. It knows neither the chat nor other turns. Clicks are posted as messages, and
the transcript sets what it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from tui.conversation import ASSISTANT, Status
from tui.dataclass import dataclass
from tui.widgets.markdown.highlight import CodeColors
from tui.widgets.markdown.lines import EMPTY_LINE, Line, span_at
from tui.widgets.markdown.painting import Mark
from tui.widgets.markdown.palette import Palette
from tui.widgets.markdown.pieces import Piece, as_shown, shown_blocks
from tui.widgets.other_parts import Rows, file_at
from tui.widgets.shown_turn import (
    ShownTurn,
    ViewState,
    text_widths,
)
from tui.widgets.turn_hits import TurnHits
from tui.widgets.turn_lines import (
    changed_rows,
    ending_lines,
    head_line,
    selected_text,
    thought_head,
    wordless_lines,
)
from tui.widgets.turn_painting import RowLook, RowPainter, indent_of
from tui.widgets.turn_texts import TurnTexts

_SLICE_S: Final = 0.03
"""The time limit for one layout, in seconds. The rest of a huge turn follows in the next frames."""


class TurnView(Widget):
    """Draws one turn."""

    DEFAULT_CSS = """
    TurnView { width: 1fr; height: auto; }
    """

    # A turn does not scroll. Textual's default would lay out the whole screen a second time for each new line.
    virtual_size = reactive(Size(0, 0), layout=False, repaint=False)

    @dataclass
    class Clicked(Message):
        """The turn was clicked, but no part of it with an action."""

        turn_id: str

    @dataclass
    class VariantPaged(Message):
        """An arrow beside `2/3` was clicked."""

        turn_id: str
        step: int

    @dataclass
    class LinkClicked(Message):
        """A link was clicked; nothing has been opened."""

        url: str

    @dataclass
    class ReasoningClicked(Message):
        """The line above the reasoning was clicked."""

        turn_id: str

    @dataclass
    class FileClicked(Message):
        """The line of a file was clicked; `place` is that of the part."""

        turn_id: str
        place: int

    @dataclass
    class HitReached(Message):
        """The current match of a search was reached."""

        turn_id: str
        row: int

    def __init__(
        self,
        turn: ShownTurn,
        palette: Palette,
        state: ViewState,
        colors: CodeColors | None = None,
    ) -> None:
        super().__init__()
        self.auto_links = False
        self._palette = palette
        self._state = state
        self._turn = turn
        self._selected = False
        self._numbers = False
        self._width = 0
        self._parts: list[Rows] = []
        self._height = 0
        self._painter = RowPainter(palette)
        self._hits = TurnHits()
        self._awaits_hit = False
        self._texts = TurnTexts(turn, colors or CodeColors())
        self._goes_on = False
        self._block_rows = range(0)
        self._caret = ""
        self._caret_row = -1
        self._live = ""

    # Contents

    @property
    def turn(self) -> ShownTurn:
        """The turn as it was last given, without text that was streamed since."""
        return self._turn

    def stream(self, text: str, reasoning: str) -> None:
        """Append the text that the model wrote since the last call."""
        self._texts.append(text, reasoning)
        self._changed()

    def update_turn(self, turn: ShownTurn) -> None:
        """Show `turn` instead, keeping the layout of texts that only continue."""
        self._texts.update(turn)
        self._turn = turn
        if turn.status != Status.STREAMING:
            self._live = ""
        self._changed(everything=True)

    def show_cursor(self, selected: bool) -> None:
        """Mark the turn as the one under the cursor, or not."""
        if selected != self._selected:
            self._selected = selected
            self.refresh()

    def show_caret(self, caret: str) -> None:
        """Show `caret` at the end of the text while it is being written; empty for none."""
        self._caret = caret

    def show_figures(self, caption: str) -> None:
        """Show `caption` in the head of a turn that is being written. Only that row is painted, and nothing is laid out."""
        if self._turn.status != Status.STREAMING or caption == self._live:
            return
        self._live = caption
        if self._parts:
            self._parts[0] = Rows("head", [self._head(text_widths(self._width)[0])])
            self.refresh(Region(0, 0, self.size.width, 1))

    def show_line_numbers(self, shown: bool) -> None:
        """Turn line numbers in code on or off."""
        if shown != self._numbers:
            self._numbers = shown
            self._changed(everything=True)

    def color_code(self, deadline: float, *, open_end: bool) -> None:
        """Apply the colors of code that have arrived, until about `deadline`.

        Args:
            deadline: on the clock of `time.perf_counter`, in seconds.
            open_end: also color the end of a text that is still streaming, which otherwise is colored when it grows.
        """
        documents = self._texts.documents(self._state)
        if not any(document.awaits_colors for document in documents.values()):
            return
        changed = {
            name: document.color(deadline, open_end=open_end)
            for name, document in documents.items()
        }
        if open_end or any(changed.values()):
            self._changed()
        for name, rows in changed.items():
            start = self._start_of(name)
            if rows and start >= 0:
                self.refresh(Region(0, start + rows.start, self.size.width, len(rows)))

    def state_changed(self) -> None:
        """Update the turn after its `ViewState` was changed."""
        self._changed(everything=True)

    @property
    def reasoning_is_open(self) -> bool:
        """Whether the reasoning is unfolded."""
        if self._state.reasoning_open is not None:
            return self._state.reasoning_open
        return not self._texts.has_answer

    # Search

    def mark_hits(self, query: str, current: int = -1) -> int:
        """Highlight the matches of `query`, match number `current` more strongly; return the row of that match, or -1.

        Matches are numbered through the reasoning, folded or not, and then through the answer.
        """
        if query != self._hits.query:
            self._hits = TurnHits(query)
        self._hits.current = current
        self._awaits_hit = False
        self._find_hits()
        self.refresh()
        row = self._row_of_current()
        is_incomplete = self._hits.is_searching or self._texts.body.is_waiting
        self._awaits_hit = row < 0 <= current and is_incomplete
        self._plan_rest()
        return row

    @property
    def awaits_hit(self) -> bool:
        """Whether the current match has not been reached yet; `HitReached` will be posted."""
        return self._awaits_hit

    def _find_hits(self) -> None:
        thought = self._thought_lines(self._width) if self._texts.thought.source else ()
        self._hits.search(thought, self._body_rows())

    def _row_of_current(self) -> int:
        """Return the row of the current match; -1 if it was not found or is folded."""
        if (place := self._hits.place) is None:
            return -1
        name, row = place
        start = self._start_of(name)
        return start + row if start >= 0 else -1

    def _start_of(self, name: str) -> int:
        row = 0
        for part in self._parts:
            if part.name == name:
                return row
            row += len(part.lines)
        return -1

    # Layout

    def _changed(self, *, everything: bool = False) -> None:
        if not self._width:
            self.refresh(layout=True)
            return
        old_parts, old_height = self._parts, self._height
        self._lay_out(self._width)
        if self._height != old_height:
            self.refresh(layout=True)
        elif everything:
            self.refresh()
        else:
            self._refresh_changed_rows(old_parts)

    def _refresh_changed_rows(self, old_parts: list[Rows]) -> None:
        changed = changed_rows(old_parts, self._parts)
        if changed is None:
            self.refresh()
            return
        for rows in changed:
            self.refresh(Region(0, rows.start, self.size.width, len(rows)))

    def _plan_rest(self) -> None:
        """Continue with a huge turn after the frame has been drawn."""
        waiting = self._texts.is_waiting(self._state, thought_is_open=self.reasoning_is_open)
        if (waiting or self._hits.is_searching) and not self._goes_on and self.is_attached:
            self._goes_on = True
            self.set_timer(0.01, self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        self._changed()
        if self._hits.query:
            self.refresh()
        if self._awaits_hit:
            row = self._row_of_current()
            ended = not self._hits.is_searching and not self._texts.body.is_waiting
            self._awaits_hit = row < 0 and not ended
            if row >= 0:
                self.post_message(self.HitReached(self._turn.id, row))

    def on_mount(self) -> None:
        """Continue what was started before the view was mounted."""
        self._plan_rest()

    def on_unmount(self) -> None:
        """Drop what was drawn. Widgets are in reference cycles, so it would otherwise wait for garbage collection."""
        self._painter.clear()
        self._parts = []
        self._texts.clear()

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 - the signature is Textual's
        viewport: Size,  # noqa: ARG002
        width: int,
    ) -> int:
        """Return the number of rows of the turn at `width` cells."""
        self.measure(width)
        return self._height

    @property
    def rows(self) -> int:
        """The number of rows of the turn, once measured."""
        return self._height

    def measure(self, width: int) -> None:
        """Lay the turn out at `width` cells, so that its rows are known before the view is drawn."""
        if width != self._width:
            self._lay_out(width)

    def _lay_out(self, width: int) -> None:
        self._width = width
        text_width, _ = text_widths(width)
        body = self._body_lines(text_width)
        parts = [Rows("head", [self._head(text_width)])]
        if self._texts.thought.source.strip():
            head = thought_head(
                self._turn,
                has_answer=self._texts.has_answer,
                is_open=self.reasoning_is_open,
            )
            parts.append(Rows("thought-head", [head]))
            if self.reasoning_is_open:
                parts.append(Rows("thought", self._thought_lines(width)))
        above, below = self._texts.others.rows(
            self._turn.parts,
            self._state.open_files,
            text_width,
            numbers=self._numbers,
            budget_s=_SLICE_S,
        )
        if (body or above) and parts[-1].name == "thought":
            parts.append(Rows("gap", [EMPTY_LINE]))
        parts += [*above, Rows("body", body), *below]
        ending = ending_lines(self._turn, text_width)
        if ending:
            parts.append(Rows("ending", ending))
        parts.append(Rows("gap", [EMPTY_LINE]))
        self._parts = parts
        self._height = sum(len(part.lines) for part in parts)
        self._caret_row = self._end_of_text() if self._turn.status == Status.STREAMING else -1
        self._find_hits()
        self._plan_rest()

    def _head(self, width: int) -> Line:
        is_degraded = self._texts.body.is_degraded and not self._state.raw
        caption = self._live or self._turn.caption
        return head_line(self._turn, width, caption, is_degraded=is_degraded)

    def _end_of_text(self) -> int:
        """Return the row in which the model writes; -1 if it is not visible."""
        name = "body" if self._texts.has_answer else "thought"
        row = 0
        for part in self._parts:
            row += len(part.lines)
            if part.name == name:
                return row - 1 if part.lines else -1
        return -1

    def _thought_lines(self, width: int) -> Sequence[Line]:
        _, inner = text_widths(width)
        return self._texts.thought.lines(inner, numbers=self._numbers, budget_s=_SLICE_S)

    def _body_lines(self, width: int) -> Sequence[Line]:
        if self._state.raw:
            return self._texts.raw.lines(self._texts.body.source, width, budget_s=_SLICE_S)
        if not self._texts.body.source and not self._texts.thought.source:
            return wordless_lines(self._turn, width)
        return self._texts.body.lines(width, numbers=self._numbers, budget_s=_SLICE_S)

    # Drawing

    def _at(self, y: int) -> tuple[str, Line]:
        for part in self._parts:
            if y < len(part.lines):
                return part.name, part.lines[y]
            y -= len(part.lines)
        return "gap", EMPTY_LINE

    def _part_at(self, y: int) -> tuple[str, int]:
        """Return the name of the part with row `y`, and the row's number in that part."""
        for part in self._parts:
            if y < len(part.lines):
                return part.name, y
            y -= len(part.lines)
        return "gap", 0

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of `crop`. A turn has no border or padding, so its own cache is enough."""
        filters = self.get_line_filters()
        _, background = self.background_colors
        strips = []
        for y in crop.line_range:
            strip = self.render_line(y)
            for line_filter in filters:
                strip = strip.apply_filter(line_filter, background)
            strips.append(strip)
        if crop.column_span != (0, self.size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """Return row `y` for the line API."""
        width = self.size.width
        self.measure(width)
        if y >= self._height - 1:
            return self._painter.blank(width)
        name, line = self._at(y)
        look = self._look(name, y, self._caret if y == self._caret_row else "")
        marks = self._row_marks(y)
        if marks:
            return self._painter.marked(y, line, look, tuple(marks))
        return self._painter.strip(y, line, look)

    def _look(self, name: str, y: int, caret: str = "") -> RowLook:
        return RowLook(
            name,
            self._turn.role,
            self._width,
            self._selected,
            y in self._block_rows,
            self._turn.in_context,
            caret,
        )

    def _row_marks(self, y: int) -> list[Mark]:
        marks: list[Mark] = []
        found = self._hits.on_row(*self._part_at(y)) if self._hits.query else ()
        for start, end, number in found:
            name = "hit-current" if number == self._hits.current else "hit"
            marks.append(Mark(start, end, self._palette.mark(name)))
        # A view that was just removed is painted once more before the next layout.
        selection = self.text_selection if self.is_attached else None
        if selection is not None and (span := selection.get_span(y)) is not None:
            style = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            marks.append(Mark(span[0], span[1], style))
        return marks

    # Selection and clicks

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text as it was written: wrapped lines joined, layout left out."""
        return (selected_text(self._parts, selection), "\n") if self._parts else None

    @property
    def shown_answer(self) -> str:
        """Return the text of the turn as displayed, without the name, the reasoning and drawn lines."""
        return as_shown(list(self._body_rows()))

    def _body_rows(self) -> Sequence[Line]:
        return next((part.lines for part in self._parts if part.name == "body"), [])

    # Blocks

    def blocks(self) -> tuple[Piece, ...]:
        """Return the blocks of the text; a single block if it is not shown as Markdown."""
        return shown_blocks(
            self._texts.body.source,
            self._body_rows(),
            text_widths(self._width)[0],
            is_markdown=not self._state.raw,
            verbatim=self._turn.role != ASSISTANT,
            numbers=self._numbers,
        )

    def mark_block(self, block: Piece | None) -> int:
        """Select the rows of a block, or of none; return its first row."""
        start = max(0, self._start_of("body"))
        rows = range(start + block.first_row, start + block.end_row) if block else range(0)
        if rows != self._block_rows:
            self._block_rows = rows
            self.refresh()
        return rows.start

    def on_click(self, event: events.Click) -> None:
        """Post a message for what was clicked."""
        event.stop()
        name, line = self._at(event.y)
        span = span_at(line, event.x - indent_of(self._look(name, event.y)))
        if span is not None and span[0].style == "variants":
            before = span[1] < cell_len(span[0].text) / 2
            self.post_message(self.VariantPaged(self._turn.id, -1 if before else 1))
        elif span is not None and span[0].link:
            self.post_message(self.LinkClicked(span[0].link))
        elif name == "thought-head":
            self.post_message(self.ReasoningClicked(self._turn.id))
        elif (place := file_at(name)) is not None:
            self.post_message(self.FileClicked(self._turn.id, place))
        else:
            self.post_message(self.Clicked(self._turn.id))
