"""A text that may still be growing, as lines at a width, at a cost that does not grow with it.

Blocks that no further text can change are settled: built once and laid out once. Only the unit that is still being
written (the last block, list item, table row or stretch of code) is parsed and laid out again. What is settled
depends only on the source, never on the pieces in which it arrived, so a streamed text looks in the end exactly like one that
was complete from the start.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final, overload

from tui.highlighting.stretches import ends_stretch, weight
from tui.sanitize import sanitize
from tui.widgets.markdown.blocks import Placed, Plain, Table, TableRows, awaits_colors
from tui.widgets.markdown.fence import Fence
from tui.widgets.markdown.highlight import CodeColors, color_block
from tui.widgets.markdown.layout import lay_out
from tui.widgets.markdown.lines import Line, Span
from tui.widgets.markdown.parser import BlockParse, OpenList, Unit, references
from tui.widgets.markdown.table_layout import column_widths
from tui.widgets.markdown.weight import reach

LIMIT: Final = 16_000
"""The most that one unit may weigh, in characters of plain prose. Heavier units are shown as plain text."""
_WINDOW: Final = 2_000
"""The number of characters parsed at once if they contain the end of a unit; otherwise doubled repeatedly."""
_MOST_DEFINITIONS: Final = 300
"""The most link definitions of one text. References to further ones stay as they were written."""
_PLAIN_PIECE: Final = 4_000
_PLAIN_END: Final = re.compile(r"\n[ \t]*\n(?=\S)")
_LINE_END: Final = re.compile(r"\n")
_READ: Final = 4 * LIMIT
"""Characters read at once."""
_FENCE: Final = re.compile(r"^([ ]{0,3})(`{3,}|~{3,})(.*)$")
WAITING: Final = Line((Span("… the rest is being laid out", "notice"),))
_NOTICE: Final = "Too long for Markdown. This part is shown unformatted."


class Lines(Sequence[Line]):
    """The lines of a document at one moment: settled lines and the rest."""

    __slots__ = ("rest", "settled", "upto")

    def __init__(self, settled: list[Line], rest: list[Line]) -> None:
        self.settled = settled
        self.upto = len(settled)
        self.rest = rest

    def __len__(self) -> int:
        return self.upto + len(self.rest)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.settled[index] if index < self.upto else self.rest[index - self.upto]

    def __iter__(self) -> Iterator[Line]:
        yield from self.settled[: self.upto]
        yield from self.rest

    def first_change(self, old: Sequence[Line]) -> int:
        """Return a line number before which `old` has the same lines, without comparing settled lines."""
        if not isinstance(old, Lines) or old.settled is not self.settled:
            return 0
        return min(old.upto, self.upto)


class LiveDocument:
    """A Markdown text that grows by `append` and is read by `lines`.

    With `verbatim`, only fences are parsed, and everything else is shown as it was typed. `finished` means that no more
    text will come. Without `colors`, code is plain; with them, `color` applies those that arrived later.
    """

    def __init__(
        self,
        text: str = "",
        *,
        verbatim: bool = False,
        finished: bool = True,
        colors: CodeColors | None = None,
    ) -> None:
        self._verbatim = verbatim
        self._colors = colors or CodeColors()
        self._source = ""
        self._env: dict[str, Any] = {}
        self._numbers = False
        self._reset()
        self.append(text)
        if finished:
            self.finish()

    def _reset(self) -> None:
        self._unread = ""
        self._read_upto = 0
        self._rest = ""
        self._cr = False
        self._ended = False
        self._done = False
        self._blocks: list[Placed] = []
        self._definitions: dict[str, str] = {}
        self._fence: Fence | None = None
        self._list: OpenList | None = None
        self._table: Table | None = None
        self._table_source = ""
        self._table_rows = 0
        self._plain = 0
        self._is_degraded = False
        self._tried = 0
        self._forget_lines()

    def _forget_lines(self) -> None:
        self._width = 0
        self._settled: list[Line] = []
        self._laid_out = 0
        self._table_mark: tuple[int, int, tuple[int, ...]] | None = None
        self._lines: Lines | None = None
        self._waiting = False
        self._plain_code: dict[int, int] = {}
        """Settled blocks with code that needs colors, and the first line of each."""
        self._open_code_is_plain = False

    @property
    def source(self) -> str:
        """The text as given, not sanitized."""
        return self._source

    def append(self, delta: str) -> None:
        """Add text at the end; a finished text continues."""
        if not delta:
            return
        if self._ended:
            self._start_again()
        self._source += delta
        self._feed(delta)

    def finish(self) -> None:
        """Mark the text as complete: the open end is settled, and references are resolved."""
        if not self._ended:
            if self._cr and self._read_upto == len(self._unread):
                self._rest += "\n"
                self._cr = False
            self._ended = True
            self._lines = None

    def _start_again(self, env: dict[str, Any] | None = None) -> None:
        width = self._width
        self._reset()
        self._width = width
        self._env = env or {}
        self._feed(self._source)

    def _feed(self, delta: str) -> None:
        self._unread = self._unread[self._read_upto :] + delta
        self._read_upto = 0
        self._lines = None

    def _read_on(self) -> bool:
        """Read the next piece of the text, made safe to show; return whether there was any."""
        piece = self._unread[self._read_upto : self._read_upto + _READ]
        if not piece:
            return False
        self._read_upto += len(piece)
        if self._cr:
            piece = "\r" + piece
            self._cr = False
        is_end = self._ended and self._read_upto == len(self._unread)
        if piece.endswith("\r") and not is_end:
            # A line feed may follow.
            piece = piece[:-1]
            self._cr = True
        self._rest += sanitize(piece)
        return True

    # Settling

    def _settle(self, deadline: float) -> bool:
        """Settle as much of the text as possible; return whether that was done before `deadline`."""
        while self._advance(deadline):
            if not self._ended or self._done:
                return True
            self._blocks.extend(self._open_blocks(is_last=True))
            self._rest = ""
            self._fence = self._table = None
            self._done = True
            if not self._definitions or self._env:
                return True
            self._start_again(references(self._definitions))
            self.finish()
        return False

    def _advance(self, deadline: float) -> bool:
        while True:
            if len(self._rest) < _READ // 2:
                self._read_on()
            if not self._rest:
                return True
            if time.perf_counter() > deadline:
                return False
            if self._plain:
                consumed = self._settle_plain()
            elif self._fence is not None:
                consumed = self._settle_code(self._fence)
            else:
                consumed = self._settle_units()
            if consumed:
                self._rest = self._rest[consumed:]
            elif not self._read_on():
                return True

    def _settle_plain(self) -> int:
        piece = self._rest[:_PLAIN_PIECE]
        end = (_PLAIN_END if self._fence is None else _LINE_END).search(piece)
        if end is not None:
            self._add_plain(piece[: end.start()])
            self._plain = 0
            return end.end()
        if len(self._rest) <= _PLAIN_PIECE:
            return 0
        cut = piece.rfind("\n") + 1 or len(piece)
        self._add_plain(piece[:cut].removesuffix("\n"))
        return cut

    def _add_plain(self, text: str) -> None:
        self._blocks.append(self._plain_block(text))
        self._plain += 1

    def _plain_block(self, text: str) -> Placed:
        return Placed(Plain(text, notice=_NOTICE if self._plain == 1 else ""), self._plain == 1)

    def _settle_code(self, fence: Fence) -> int:
        consumed = 0
        while True:
            end = self._rest.find("\n", consumed, consumed + LIMIT + 1)
            line = self._rest[consumed : end if end >= 0 else consumed + LIMIT + 1]
            if weight(line) > LIMIT:
                return consumed or self._settle_long_line(fence)
            if end < 0:
                return consumed
            consumed = end + 1
            if fence.closes(line):
                if fence.lines or fence.is_first:
                    self._blocks.append(fence.settled(is_last=True))
                self._fence = None
                return consumed
            if fence.lines and ends_stretch(fence.lines):
                self._blocks.append(fence.settled(is_last=False))
            fence.lines.append(fence.code_line(line))

    def _settle_long_line(self, fence: Fence) -> int:
        """Show a line of code that is too long for one step as plain text. The code continues after it."""
        if fence.lines or fence.is_first:
            self._blocks.append(fence.settled(is_last=False))
        fence.pass_over_line()
        self._plain = 1
        self._is_degraded = True
        return self._settle_plain()

    def _settle_units(self) -> int:
        """Settle all units of the complete lines except the last; return the number of characters settled."""
        # The head of a table is parsed again with each stretch of its rows.
        window = _WINDOW if self._table is None else min(2 * _WINDOW, LIMIT)
        while True:
            end = reach(self._rest, window, before=self._table_source)
            complete = self._rest.rfind("\n", 0, end) + 1
            if complete > self._tried:
                consumed = self._settle_complete(self._rest[:complete])
                if consumed:
                    self._tried = 0
                    return consumed
                self._tried = complete
            if end == len(self._rest) or window >= LIMIT:
                break
            window = min(2 * window, LIMIT)
        if end < len(self._rest):
            self._plain = 1
            self._is_degraded = True
            self._tried = 0
            self._drop_open_rows()
            self._list = self._table = None
            self._table_source = ""
            return self._settle_plain()
        return 0

    def _settle_complete(self, text: str) -> int:
        parse = self._parse(text)
        units = parse.units
        if self._table is not None:
            return self._settle_rows(parse, text)
        if not units:
            return 0
        last = units[-1]
        opening = self._opening(parse, last)
        if last.kind == "table_open" and parse.end(last) > last.line + 2:
            return self._open_table(parse, text)
        if len(units) < 2 and opening is None:
            return 0
        self._blocks.extend(parse.build(units[:-1], self._list))
        self._define(parse.definitions)
        self._list = parse.open_list_before(last)
        consumed = parse.offset(last.line)
        if opening is not None:
            self._fence = Fence(opening, self._colors)
            consumed = parse.offset(last.line + 1)
        return consumed

    def _define(self, definitions: dict[str, str]) -> None:
        """Add link definitions; if several have the same label, the first applies."""
        for label, target in definitions.items():
            if len(self._definitions) < _MOST_DEFINITIONS:
                self._definitions.setdefault(label, target)

    @staticmethod
    def _opening(parse: BlockParse, unit: Unit) -> re.Match[str] | None:
        return _FENCE.match(parse.lines[unit.line]) if unit.kind == "fence" else None

    def _parse(self, text: str) -> BlockParse:
        return BlockParse(self._table_source + text, verbatim=self._verbatim, env=self._env)

    # Tables

    def _open_table(self, parse: BlockParse, text: str) -> int:
        """Settle the text before a table that may continue, and the rows that it has."""
        units = parse.units
        self._blocks.extend(parse.build(units[:-1], self._list))
        self._define(parse.definitions)
        self._list = None
        last = units[-1]
        table = parse.table(last.first, last.last)
        self._blocks.append(Placed(TableRows(table, 0, len(table.rows))))
        self._table, self._table_rows = table, len(table.rows)
        self._table_source = "\n".join(parse.lines[last.line : last.line + 2]) + "\n"
        return min(len(text), parse.offset(parse.end(last)))

    def _settle_rows(self, parse: BlockParse, text: str) -> int:
        table, prefix = self._table, len(self._table_source)
        first = parse.units[0]
        new = parse.table(first.first, first.last)
        self._drop_open_rows()
        if table is None or not new.rows:
            self._table, self._table_source = None, ""
            return self._settle_complete(text)
        self._add_rows(table, new)
        return min(len(text), parse.offset(parse.end(first)) - prefix)

    def _add_rows(self, table: Table, new: Table) -> None:
        for row in new.rows:
            table.add(row)
        rows = TableRows(table, self._table_rows, len(table.rows), has_header=False)
        self._blocks.append(Placed(rows, gap=False))
        self._table_rows = len(table.rows)

    def _drop_open_rows(self) -> None:
        if self._table is not None:
            self._table.cut(self._table_rows)

    # The open end

    def _open_blocks(self, *, is_last: bool) -> list[Placed]:
        """Return the blocks of the text that is not settled."""
        if self._plain:
            return [self._plain_block(self._rest)] if self._rest.strip() else []
        if self._fence is not None:
            return self._open_code(self._fence, is_last=is_last)
        if not self._rest.strip():
            return []
        parse = self._parse(self._rest)
        if self._table is None:
            blocks = parse.build(parse.units, self._list)
            self._define(parse.definitions if is_last else {})
            return blocks
        return self._open_rows(parse, self._table, is_last=is_last)

    def _open_rows(self, parse: BlockParse, table: Table, *, is_last: bool) -> list[Placed]:
        self._drop_open_rows()
        first = parse.units[0]
        new = parse.table(first.first, first.last)
        for row in new.rows:
            table.add(row)
        blocks: list[Placed] = []
        if new.rows:
            rows = TableRows(table, self._table_rows, len(table.rows), has_header=False)
            blocks.append(Placed(rows, gap=False))
        blocks.extend(parse.build(parse.units[1:], None))
        self._define(parse.definitions if is_last else {})
        return blocks

    def _open_code(self, fence: Fence, *, is_last: bool) -> list[Placed]:
        rest = self._rest
        if not is_last:
            return [fence.growing("" if fence.closes(rest) else rest)]
        blocks: list[Placed] = []
        if rest.strip() and not fence.closes(rest):
            if fence.lines and ends_stretch(fence.lines):
                blocks.append(fence.settled(is_last=False))
            fence.lines.append(fence.code_line(rest))
        if fence.lines or fence.is_first:
            blocks.append(fence.settled(is_last=True))
        return blocks

    # Lines

    @property
    def is_degraded(self) -> bool:
        """Whether a part was too long for Markdown, in the text laid out up to now."""
        return self._is_degraded

    @property
    def is_waiting(self) -> bool:
        """Whether `lines` ran out of time; call it again for the rest."""
        return self._waiting

    def lines(self, width: int, *, numbers: bool = False, budget_s: float = math.inf) -> Lines:
        """Return the lines at `width` cells, with line numbers for code if `numbers`.

        The cost is that of the open end, unless the width or `numbers` has changed. After about `budget_s` seconds, what is
        ready is returned, and `is_waiting` is true.
        """
        if (width, numbers) != (self._width, self._numbers):
            self._forget_lines()
            self._width, self._numbers = width, numbers
        if self._lines is not None and not self._waiting:
            return self._lines
        began = time.perf_counter()
        # Lay out what has been parsed in the same slice, so that the reader sees the beginning while the rest is parsed.
        settled = self._settle(began + budget_s * 3 / 4)
        deadline = max(began + budget_s, time.perf_counter() + budget_s / 4)
        blocks = self._open_blocks(is_last=False) if settled and not self._done else []
        self._check_table_widths()
        self._waiting = not self._lay_out_settled(deadline) or not settled
        after = bool(self._settled)
        rest = [WAITING]
        if not self._waiting:
            self._color_open_end(blocks)
            rest = lay_out(blocks, width, after=after, numbers=numbers)
        self._lines = Lines(self._settled, rest)
        return self._lines

    def _color_open_end(self, blocks: list[Placed]) -> None:
        for placed in blocks:
            color_block(placed.block, self._colors)
        in_fence = self._fence is not None and self._fence.awaits_colors
        self._open_code_is_plain = in_fence or any(awaits_colors(one.block) for one in blocks)

    @property
    def awaits_colors(self) -> bool:
        """Whether the colors of any code were missing when it was laid out."""
        return self._open_code_is_plain or bool(self._plain_code)

    def color(self, deadline: float = math.inf, *, open_end: bool = True) -> range:
        """Apply the colors that have arrived, until about `deadline`, and request the missing ones again.

        Without `open_end`, the open end is colored only when more text arrives.
        Returns the settled lines that may look different now. Changes in the others show in the next `lines`.
        """
        if open_end and self._open_code_is_plain:
            self._lines = None
        changed: list[int] = []
        for number in list(self._plain_code):
            first = self._plain_code.pop(number)
            block = self._blocks[number].block
            if color_block(block, self._colors):
                # Colors never change the number of lines.
                new = self._lines_of(self._blocks[number], first)
                self._settled[first : first + len(new)] = new
                changed += (first, first + len(new))
            if awaits_colors(block):
                # Append at the end, so that each block gets its turn if there is no time for all.
                self._plain_code[number] = first
            if time.perf_counter() > deadline:
                break
        if changed:
            self._lines = None
        return range(min(changed), max(changed)) if changed else range(0)

    def _lines_of(self, placed: Placed, first: int) -> list[Line]:
        """Return the lines of a settled block; `first` is the number of its first line."""
        return lay_out([placed], self._width, after=first > 0, numbers=self._numbers)

    def _lay_out_settled(self, deadline: float) -> bool:
        while self._laid_out < len(self._blocks):
            if time.perf_counter() > deadline:
                return False
            placed = self._blocks[self._laid_out]
            if isinstance(placed.block, TableRows) and placed.block.has_header:
                widths = column_widths(placed.block.table, self._width)
                self._table_mark = (self._laid_out, len(self._settled), widths)
            first = len(self._settled)
            color_block(placed.block, self._colors)
            self._settled.extend(self._lines_of(placed, first))
            if awaits_colors(placed.block):
                self._plain_code[self._laid_out] = first
            self._laid_out += 1
        return True

    def _check_table_widths(self) -> None:
        """Lay the growing table out again if a row has widened a column."""
        if self._table_mark is None:
            return
        number, line, widths = self._table_mark
        block = self._blocks[number].block
        if self._table is None:
            self._table_mark = None
        if not isinstance(block, TableRows) or column_widths(block.table, self._width) == widths:
            return
        self._settled = self._settled[:line]
        self._laid_out = number
        self._plain_code = {n: first for n, first in self._plain_code.items() if n < number}
        self._table_mark = None
