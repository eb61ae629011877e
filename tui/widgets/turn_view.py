"""One turn of the chat as a single widget: who speaks, what was thought, what was said, how it ended.

The view draws lines through the line API. It keeps no chat and knows no other turn; clicks go up as messages, and
what it shows is set by the transcript.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from tui.conversation import ASSISTANT, SYSTEM, USER, Status
from tui.sanitize import sanitize_line
from tui.widgets.markdown.document import Lines, LiveDocument
from tui.widgets.markdown.highlight import CodeColors
from tui.widgets.markdown.lines import EMPTY_LINE, Line, Span, clipped_spans, copied_text, wrap
from tui.widgets.markdown.painting import Layers, Mark, paint
from tui.widgets.markdown.palette import Palette
from tui.widgets.markdown.pieces import Piece, as_shown, pieces
from tui.widgets.markdown.raw import RawText
from tui.widgets.markdown.search import LineHits
from tui.widgets.other_parts import OtherParts, Rows, ShownPart, file_at

MEASURE: Final = 100
"""Cells of text on a line at most: longer lines are hard to read."""
GUTTER: Final = 3
_THOUGHT_BAR: Final = "┊ "
_MOST_STRIPS: Final = 400
"""Painted rows that are kept for the next frame."""
_FIND_SLICE_S: Final = 0.008
"""Seconds that a search in a turn may take in one frame."""
_MOST_FOR_BLOCKS: Final = 60_000
"""Characters of a turn beyond which its blocks are not told apart: that would stop the screen."""
_SLICE_S: Final = 0.03
"""Seconds that one layout may take; what is left of a huge turn follows in the next frames."""
_LABELS: Final = {USER: "You", ASSISTANT: "Assistant", SYSTEM: "System", "tool": "Tool"}
_GLYPHS: Final = {USER: "❯", ASSISTANT: "●"}
_SILENT: Final = "The model ended its reply without a word."
_ENDINGS: Final = {
    Status.STOPPED: ("status-quiet", "■ Stopped by you; what was written is kept."),
    Status.TRUNCATED: (
        "status-warning",
        "… Cut off: the limit of new tokens or the context is reached.",
    ),
    Status.INTERRUPTED: (
        "status-warning",
        "⚠ Interrupted: the app ended while this was being written.",
    ),
}


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """What one turn looks like. `speaker` names who speaks where that is not said by the role."""

    id: str
    role: str
    text: str
    reasoning: str = ""
    status: Status = Status.COMPLETE
    error: str = ""
    caption: str = ""
    """A quiet line at the edge, such as `SmolLM2 · 23 tok/s · 14:02`."""
    variant: int = 1
    variants: int = 1
    reasoning_caption: str = ""
    """What the folded reasoning says, such as `thought for 3.2 s · 120 tokens`."""
    in_context: bool = True
    """False when the model no longer sees this turn."""
    change: str = ""
    """What marks a reply by another model than the one that spoke before."""
    speaker: str = ""
    parts: tuple[ShownPart, ...] = ()
    """What it is made of beside text and reasoning."""

    @property
    def files(self) -> frozenset[int]:
        """The places of the parts that can be unfolded."""
        return frozenset(place for place, part in enumerate(self.parts) if part.code is not None)


@dataclass(slots=True)
class ViewState:
    """How the user chose to look at a turn; it outlives the widget that shows the turn."""

    reasoning_open: bool | None = None
    """None: open as long as there is nothing but reasoning to see."""
    raw: bool = False
    open_files: frozenset[int] = frozenset()
    """The places of the parts that are unfolded."""


def text_widths(width: int) -> tuple[int, int]:
    """Return the cells that a line of the answer and one of the reasoning have in a pane of `width` cells."""
    text = max(8, min(MEASURE, width - GUTTER - 1))
    return text, text - len(_THOUGHT_BAR)


class TurnView(Widget):
    """Draws one turn."""

    DEFAULT_CSS = """
    TurnView { width: 1fr; height: auto; }
    """

    # A turn does not scroll. Textual's own would have the whole screen laid out a second time for each new line.
    virtual_size = reactive(Size(0, 0), layout=False, repaint=False)

    @dataclass
    class Clicked(Message):
        """The turn was clicked, but no part of it that does something."""

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
        """The current hit of a search was come to at last."""

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
        self._colors = colors or CodeColors()
        self.auto_links = False
        self._palette = palette
        self._state = state
        self._turn = turn
        self._selected = False
        self._numbers = False
        self._query = ""
        self._current_hit = -1
        self._width = 0
        self._parts: list[Rows] = []
        self._height = 0
        self._strips: dict[int, tuple[Line, tuple[object, ...], Strip]] = {}
        self._hits = (LineHits(""), LineHits(""))
        self._is_searching = False
        self._awaits_hit = False
        self._body = self._document(turn)
        self._thought = self._thought_document(turn)
        self._others = OtherParts(self._colors)
        self._raw = RawText()
        self._goes_on = False
        self._block_rows = range(0)

    def _document(self, turn: ShownTurn) -> LiveDocument:
        return LiveDocument(
            turn.text,
            verbatim=turn.role != ASSISTANT,
            finished=turn.status != Status.STREAMING,
            colors=self._colors,
        )

    def _thought_document(self, turn: ShownTurn) -> LiveDocument:
        finished = turn.status != Status.STREAMING
        return LiveDocument(turn.reasoning, finished=finished, colors=self._colors)

    # What is shown

    @property
    def turn(self) -> ShownTurn:
        """The turn as it was last given; text that streamed in since is not in it."""
        return self._turn

    def stream(self, text: str, reasoning: str) -> None:
        """Add what the model wrote since the last call."""
        if text:
            self._body.append(text)
        if reasoning:
            self._thought.append(reasoning)
        self._changed()

    def update_turn(self, turn: ShownTurn) -> None:
        """Show `turn` instead, keeping what was rendered where its texts go on from the shown ones."""
        finished = turn.status != Status.STREAMING
        if turn.role == self._turn.role and turn.text.startswith(self._body.source):
            self._body.append(turn.text[len(self._body.source) :])
            if finished:
                self._body.finish()
        else:
            self._body = self._document(turn)
            self._raw = RawText()
        if turn.reasoning.startswith(self._thought.source):
            self._thought.append(turn.reasoning[len(self._thought.source) :])
            if finished:
                self._thought.finish()
        else:
            self._thought = self._thought_document(turn)
        if turn.parts != self._turn.parts:
            self._others.clear()
        self._turn = turn
        self._changed(everything=True)

    def show_cursor(self, selected: bool) -> None:
        """Mark the turn as the one under the cursor, or not."""
        if selected != self._selected:
            self._selected = selected
            self.refresh()

    def show_line_numbers(self, shown: bool) -> None:
        """Number the lines of code, or not."""
        if shown != self._numbers:
            self._numbers = shown
            self._changed(everything=True)

    def color_code(self, deadline: float, *, open_end: bool) -> None:
        """Show code in its colors where they have come, as far as there is time until about `deadline`.

        Args:
            deadline: on the clock of `time.perf_counter`, in seconds.
            open_end: also where text is still coming in, which otherwise brings its colors with it.
        """
        documents = {"body": self._body, "thought": self._thought}
        documents |= self._others.documents(self._state.open_files)
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
        """Show the turn after its `ViewState` was changed."""
        self._changed(everything=True)

    @property
    def reasoning_is_open(self) -> bool:
        """Whether the reasoning is unfolded."""
        if self._state.reasoning_open is not None:
            return self._state.reasoning_open
        return not self._body.source or self._body.source.isspace()

    # Search

    def mark_hits(self, query: str, current: int = -1) -> int:
        """Mark what matches `query`, the hit number `current` stronger; return the row of that one, or -1.

        Hits are counted through the reasoning, folded or not, and on through the answer.
        """
        if query != self._query:
            self._hits = (LineHits(query), LineHits(query))
        self._query, self._current_hit = query, current
        self._awaits_hit = False
        self._find_hits()
        self.refresh()
        row = self._row_of_current()
        is_incomplete = self._is_searching or self._body.is_waiting
        self._awaits_hit = row < 0 <= current and is_incomplete
        self._plan_rest()
        return row

    @property
    def awaits_hit(self) -> bool:
        """Whether the current hit has not been come to yet; `HitReached` will tell."""
        return self._awaits_hit

    def _find_hits(self) -> None:
        """Look for hits for a moment; in a huge turn the next frames go on."""
        self._is_searching = False
        if not self._query:
            return
        deadline = time.perf_counter() + _FIND_SLICE_S
        thought, body = self._hits
        done = True
        if self._thought.source:
            done = thought.update(self._thought_lines(self._width), deadline)
        self._is_searching = not (done and body.update(self._body_rows(), deadline))

    def _row_of_current(self) -> int:
        """Return the row of the current hit; -1 where it was not found or is folded away."""
        thought, body = (len(hits.rows) for hits in self._hits)
        number = self._current_hit
        if 0 <= number < thought:
            start = self._start_of("thought")
            return start + self._hits[0].rows[number] if start >= 0 else -1
        if thought <= number < thought + body:
            return self._start_of("body") + self._hits[1].rows[number - thought]
        return -1

    def _start_of(self, name: str) -> int:
        row = 0
        for part in self._parts:
            if part.name == name:
                return row
            row += len(part.lines)
        return -1

    def _hits_at(self, y: int) -> Iterator[tuple[int, int, int]]:
        """Yield the hits in row `y`: first character, end and number within the turn."""
        if not self._query:
            return
        row = y
        for part in self._parts:
            if row < len(part.lines):
                before = len(self._hits[0].rows) if part.name == "body" else 0
                if part.name in ("body", "thought"):
                    hits = self._hits[part.name == "body"]
                    for start, end, number in hits.marks.get(row, ()):
                        yield start, end, before + number
                return
            row -= len(part.lines)

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
        if [(p.name, len(p.lines)) for p in old_parts] != [
            (p.name, len(p.lines)) for p in self._parts
        ]:
            self.refresh()
            return
        row = 0
        for old, new in zip(old_parts, self._parts, strict=True):
            changed = _changed_range(old.lines, new.lines)
            if changed is not None:
                first, last = changed
                self.refresh(Region(0, row + first, self.size.width, last - first + 1))
            row += len(new.lines)

    def _plan_rest(self) -> None:
        """Go on with a huge turn when the frame has been drawn."""
        body = self._raw if self._state.raw else self._body
        waiting = body.is_waiting or (self.reasoning_is_open and self._thought.is_waiting)
        files = self._others.documents(self._state.open_files).values()
        waiting = waiting or any(file.is_waiting for file in files)
        if (waiting or self._is_searching) and not self._goes_on and self.is_attached:
            self._goes_on = True
            self.set_timer(0.01, self._go_on)

    def _go_on(self) -> None:
        self._goes_on = False
        self._changed()
        if self._query:
            self.refresh()
        if self._awaits_hit:
            row = self._row_of_current()
            ended = not self._is_searching and not self._body.is_waiting
            self._awaits_hit = row < 0 and not ended
            if row >= 0:
                self.post_message(self.HitReached(self._turn.id, row))

    def on_mount(self) -> None:
        """Go on with what was begun before the view was part of a screen."""
        self._plan_rest()

    def on_unmount(self) -> None:
        """Let go of what was drawn: a widget is part of cycles, and what hangs on it would wait for a long collection."""
        self._strips.clear()
        self._parts = []
        self._body = self._thought = LiveDocument()
        self._others.clear()

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 - the signature is Textual's
        viewport: Size,  # noqa: ARG002
        width: int,
    ) -> int:
        """Return the rows that the turn takes at `width` cells."""
        self.measure(width)
        return self._height

    @property
    def rows(self) -> int:
        """How many rows the turn takes, once it was measured."""
        return self._height

    def measure(self, width: int) -> None:
        """Lay the turn out at `width` cells, so that rows are known before the view is drawn."""
        if width != self._width:
            self._lay_out(width)

    @staticmethod
    def _margin(width: int) -> int:
        return max(0, (width - text_widths(width)[0] - GUTTER) // 2)

    def _lay_out(self, width: int) -> None:
        self._width = width
        text_width, _ = text_widths(width)
        body = self._body_lines(text_width)
        parts = [Rows("head", [self._head(text_width)])]
        if self._thought.source.strip():
            parts.append(Rows("thought-head", [self._thought_head()]))
            if self.reasoning_is_open:
                parts.append(Rows("thought", self._thought_lines(width)))
        above, below = self._others.rows(
            self._turn.parts,
            self._state.open_files,
            text_width,
            numbers=self._numbers,
            budget_s=_SLICE_S,
        )
        if (body or above) and parts[-1].name == "thought":
            parts.append(Rows("gap", [EMPTY_LINE]))
        parts += [*above, Rows("body", body), *below]
        ending = self._ending(text_width)
        if ending:
            parts.append(Rows("ending", ending))
        parts.append(Rows("gap", [EMPTY_LINE]))
        self._parts = parts
        self._height = sum(len(part.lines) for part in parts)
        self._find_hits()
        self._plan_rest()

    def _head(self, width: int) -> Line:
        turn = self._turn
        kind = turn.role if turn.role in (USER, ASSISTANT) else "other"
        label = (
            sanitize_line(turn.speaker, 24)
            or _LABELS.get(turn.role)
            or sanitize_line(turn.role, 24).capitalize()
            or "Unknown"
        )
        spans = [Span(label, f"label-{kind}")]
        if turn.variants > 1:
            spans.append(Span("  "))
            spans.append(Span(f"‹ {turn.variant}/{turn.variants} ›", "variants"))
        if turn.change:
            spans.append(Span(f"  ⇄ {sanitize_line(turn.change, 60)}", "status-warning"))
        if not turn.in_context:
            spans.append(Span("  out of the context", "status-quiet"))
        if self._body.is_degraded and not self._state.raw:
            spans.append(Span("  ⚠ partly as it was written", "status-warning"))
        used = sum(cell_len(span.text) for span in spans)
        caption = clipped_spans([Span(sanitize_line(turn.caption), "caption")], width - used - 2)
        taken = sum(cell_len(span.text) for span in caption)
        if taken > 1:
            spans.append(Span(" " * (width - used - taken)))
            spans.extend(caption)
        return Line(tuple(spans))

    def _thought_head(self) -> Line:
        caption = sanitize_line(self._turn.reasoning_caption)
        if not caption:
            live = self._turn.status == Status.STREAMING and not self._body.source.strip()
            caption = "thinking…" if live else "thought"
        caption = caption[:1].upper() + caption[1:]
        return Line((Span(("▾ " if self.reasoning_is_open else "▸ ") + caption, "thought"),))

    def _thought_lines(self, width: int) -> Sequence[Line]:
        _, inner = text_widths(width)
        return self._thought.lines(inner, numbers=self._numbers, budget_s=_SLICE_S)

    def _body_lines(self, width: int) -> Sequence[Line]:
        if self._state.raw:
            return self._raw.lines(self._body.source, width, budget_s=_SLICE_S)
        if not self._body.source and not self._thought.source:
            if self._turn.status == Status.STREAMING:
                return [Line((Span("…", "status-quiet"),))]
            is_silent = self._turn.role == ASSISTANT and self._turn.status == Status.COMPLETE
            if is_silent and not self._turn.parts:
                return wrap([Span(_SILENT, "status-quiet")], width)
            return []
        return self._body.lines(width, numbers=self._numbers, budget_s=_SLICE_S)

    def _ending(self, width: int) -> Sequence[Line]:
        if self._turn.status == Status.FAILED:
            reason = sanitize_line(self._turn.error)
            text = f"✕ Failed: {reason}" if reason else "✕ Failed."
            return wrap([Span(text, "status-error")], width)
        if self._turn.status in _ENDINGS:
            style, text = _ENDINGS[self._turn.status]
            if self._turn.status is Status.TRUNCATED and self._turn.error:
                text = f"… Cut off: {sanitize_line(self._turn.error)}"
            elif self._turn.status is Status.INTERRUPTED and self._turn.error:
                text = f"⚠ Interrupted: {sanitize_line(self._turn.error)} What was written is kept."
            elif self._turn.status is Status.STOPPED and self._turn.error:
                text = f"■ Stopped: {sanitize_line(self._turn.error)} What was written is kept."
            return wrap([Span(text, style)], width)
        return []

    # Drawing

    def _at(self, y: int) -> tuple[str, Line]:
        for part in self._parts:
            if y < len(part.lines):
                return part.name, part.lines[y]
            y -= len(part.lines)
        return "gap", EMPTY_LINE

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the rows of `crop`. A turn has no border nor padding, so nothing but our own cache is needed."""
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
        """Return row `y` as the line API wants it."""
        width = self.size.width
        self.measure(width)
        if y >= self._height - 1:
            return Strip.blank(width, self._palette.style(""))
        name, line = self._at(y)
        marks = self._row_marks(y)
        if marks:
            return self._painted(y, name, line, marks)
        look = (
            name,
            width,
            self._selected,
            y in self._block_rows,
            self._turn.in_context,
            self._palette.version,
        )
        known = self._strips.get(y)
        if known is None or known[0] is not line or known[1] != look:
            if len(self._strips) > _MOST_STRIPS:
                self._strips.clear()
            known = self._strips[y] = (line, look, self._painted(y, name, line, marks))
        return known[2]

    def _painted(self, y: int, name: str, line: Line, marks: list[Mark]) -> Strip:
        width = self._width
        margin = Span(" " * self._margin(width))
        gutter = self._gutter(name)
        if y in self._block_rows:
            gutter[1] = Span("┃", "cursor")
        indent = sum(len(span.text) for span in gutter)
        room = text_widths(width)[0] + GUTTER - indent
        layers = Layers(
            "user" if self._turn.role == USER else "thinking" if name == "thought" else "",
            " ".join(
                (
                    "" if self._turn.in_context else "faded",
                    "marked" if y in self._block_rows else "",
                )
            ),
        )
        row = [
            *paint(Line((margin,)), self._palette, len(margin.text), Layers()),
            *paint(Line(tuple(gutter)), self._palette, indent, layers),
            *paint(line, self._palette, room, layers, marks),
        ]
        used = len(margin.text) + indent + room
        if used < width:
            row.append(Segment(" " * (width - used), self._palette.style("")))
        strip = Strip(row, max(width, used))
        return strip.apply_offsets(-len(margin.text) - indent, y)

    def _gutter(self, name: str) -> list[Span]:
        mark = Span("▌", "cursor") if self._selected else Span(" ")
        glyph = Span(" ")
        if name == "head":
            kind = self._turn.role if self._turn.role in _GLYPHS else "other"
            glyph = Span(_GLYPHS.get(self._turn.role, "◆"), f"label-{kind}")
        elif self._turn.role == USER:
            glyph = Span("│", "bar-user")
        gutter = [mark, glyph, Span(" ")]
        if name == "thought":
            gutter.append(Span(_THOUGHT_BAR, "bar"))
        return gutter

    def _row_marks(self, y: int) -> list[Mark]:
        marks: list[Mark] = []
        for start, end, number in self._hits_at(y):
            name = "hit-current" if number == self._current_hit else "hit"
            marks.append(Mark(start, end, self._palette.mark(name)))
        # A view that was just taken away is painted once more before the screen is laid out anew.
        selection = self.text_selection if self.is_attached else None
        if selection is not None and (span := selection.get_span(y)) is not None:
            style = Style.from_styles(self.screen.get_component_styles("screen--selection"))
            marks.append(Mark(span[0], span[1], style))
        return marks

    # Selection and clicks

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text as it was written: wrapped lines joined, layout left out."""
        lines = [line for part in self._parts for line in part.lines]
        if not lines:
            return None
        label = self._parts[0].lines[0].spans[0]
        lines[0] = Line((label,))
        start_y, start_x = selection.start.transpose if selection.start is not None else (0, 0)
        if selection.end is None:
            return copied_text(lines, start_y, len(lines) - 1, start_x, None), "\n"
        end_y, end_x = selection.end.transpose
        return copied_text(lines, start_y, end_y, start_x, end_x), "\n"

    @property
    def shown_answer(self) -> str:
        """What was said as it reads on the screen, without the name, the reasoning and drawn lines."""
        return as_shown(list(self._body_rows()))

    def _body_rows(self) -> Sequence[Line]:
        return next((part.lines for part in self._parts if part.name == "body"), [])

    # Blocks

    def blocks(self) -> tuple[Piece, ...]:
        """Return the blocks of what was said; one for all of it where it is not shown as Markdown."""
        source, lines = self._body.source, self._body_rows()
        if not lines:
            return ()
        if len(source) <= _MOST_FOR_BLOCKS and not self._state.raw:
            width, _ = text_widths(self._width)
            verbatim = self._turn.role != ASSISTANT
            found = pieces(source, width, verbatim=verbatim, numbers=self._numbers)
            if found and found[-1].end_row == len(lines):
                return found
        return (Piece(source, self.shown_answer, 0, len(lines)),)

    def mark_block(self, block: Piece | None) -> int:
        """Mark the rows of a block, or of none; return its first row."""
        start = 0
        for part in self._parts:
            if part.name == "body":
                break
            start += len(part.lines)
        rows = range(start + block.first_row, start + block.end_row) if block else range(0)
        if rows != self._block_rows:
            self._block_rows = rows
            self.refresh()
        return rows.start

    def on_click(self, event: events.Click) -> None:
        """Find out what was clicked and say so."""
        event.stop()
        name, line = self._at(event.y)
        indent = sum(len(span.text) for span in self._gutter(name))
        span = _span_at(line, event.x - self._margin(self.size.width) - indent)
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


def _span_at(line: Line, x: int) -> tuple[Span, int] | None:
    """Return the span under cell `x` of a line, and the cell inside of that span."""
    if x < 0:
        return None
    for span in line.spans:
        cells = cell_len(span.text)
        if x < cells:
            return span, x
        x -= cells
    return None


def _changed_range(old: Sequence[Line], new: Sequence[Line]) -> tuple[int, int] | None:
    """Return the first and last of the rows that differ between two lists of one length."""
    start = new.first_change(old) if isinstance(new, Lines) else 0
    changed = [n for n in range(start, len(new)) if old[n] is not new[n] and old[n] != new[n]]
    return (changed[0], changed[-1]) if changed else None
