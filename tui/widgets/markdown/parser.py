"""From Markdown source to blocks, without discarding anything from the source.

markdown-it finds the blocks. Running text is parsed only for blocks that are built. HTML is treated as text, and
single newlines are kept. Lists are split into items and tables into rows, so that growing ones need not be parsed again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tui.dataclass import dataclass
from tui.highlighting.stretches import stretches
from tui.sanitize import sanitize
from tui.widgets.markdown.blocks import (
    Block,
    Code,
    Heading,
    Item,
    Paragraph,
    Placed,
    Plain,
    Quote,
    Rule,
    Spans,
    Table,
    TableRows,
)
from tui.widgets.markdown.formulas import readable
from tui.widgets.markdown.inline import (
    address_rule,
    footnote_mark,
    inline_spans,
    inline_weight,
    math_rule,
    tag_rule,
)
from tui.widgets.markdown.lines import Span, expand_tabs

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

_BULLETS: Final = ("•", "◦", "▪")
_TASK: Final = re.compile(r"\[([ xX])\](?:[ \t]+|$)")
_QUOTE_MARKS: Final = re.compile(r"[ \t>]*")
_CELL_EDGE: Final = re.compile(r"(?<!\\)\|")
_DEFINITION: Final = re.compile(
    r"""^[ ]{0,3}\[(?P<label>[^\[\]\n]+)\]:[ \t]*<?(?P<target>[^\s<>]+)>?
    (?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)))?[ \t]*$""",
    re.VERBOSE,
)
_MOST_INLINE: Final = 12_000
"""The most that the running text of one unit or table row may weigh; see `inline_weight`."""
_FORMULA_WEIGHT: Final = 4
_LONGEST_DEFINITION: Final = 1_000
_FOOTNOTE: Final = "footnote_reference_open"
_FORMULA: Final = re.compile(r"(?P<formula>\$\$.*?\$\$|\\\[.*?\\\])\s*(?P<end>[.,;]?)", re.DOTALL)
_MATH_BLOCK: Final = {"$$": "$$", "\\[": "\\]"}


@dataclass(slots=True)
class OpenList:
    """A list with items that have been built, and that may continue."""

    kind: str
    next_number: int
    gap: bool


class Unit(NamedTuple):
    """A stretch of top-level source that no other text can change: a block, one list item, or one table."""

    line: int
    """The first line."""
    kind: str
    first: int
    last: int
    """The tokens, as the first and the one after the last."""
    list_kind: str = ""


def _math_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a displayed formula as it is written, for markdown-it's block parser. It ends at a blank line at the latest."""
    text = state.getLines(start, start + 1, state.blkIndent, False).strip()
    closing = _MATH_BLOCK.get(text[:2])
    if closing is None or (silent and len(text) > 2) or state.is_code_block(start):
        return False
    if silent:
        return True
    line = start
    if not (len(text) > 4 and text.endswith(closing)):
        if len(text) > 2 and closing in text[2:]:
            return False
        line += 1
        while line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
            if closing in state.getLines(line, line + 1, state.blkIndent, False):
                break
            line += 1
    line = min(line + 1, end)
    token = state.push("math_block", "", 0)
    token.content = state.getLines(start, line, state.blkIndent, False).rstrip()
    token.map = [start, line]
    state.line = line
    return True


@lru_cache(maxsize=2)
def _parser(verbatim: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.footnote import footnote_plugin

    if verbatim:
        return MarkdownIt("zero").enable("fence")
    parser = MarkdownIt("gfm-like", {"html": False}).disable("reference")
    parser.block.ruler.before("fence", "math_block", _math_block, {"alt": ["paragraph", "list"]})
    parser.inline.ruler.before("escape", "math", math_rule)
    parser.inline.ruler.after("autolink", "tag", tag_rule)
    parser.inline.ruler.at("linkify", address_rule)
    footnote_plugin(parser, inline=False, move_to_end=False, always_match_refs=True)
    if parser.linkify is not None:
        parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    return parser


def warm_up() -> None:
    """Import and build everything that the first reply would otherwise wait for. May run in a thread."""
    _parser(verbatim=False).parse("`warm` https://a.example")
    readable(r"$\frac{a}{b}$")


class BlockParse:
    """One parse of a stretch of source: its units, and the blocks built from them."""

    def __init__(self, source: str, *, verbatim: bool, env: dict[str, Any]) -> None:
        self._parser = _parser(verbatim)
        self._verbatim = verbatim
        self._env = env
        self.lines = source.split("\n")
        self.tokens: list[Token] = []
        self._open_list: OpenList | None = None
        self._spent = 0
        self.definitions: dict[str, str] = {}
        """Link definitions found while building, by label."""
        self._parser.block.parse(source, self._parser, {}, self.tokens)
        self.units = list(self._find_units())

    def _find_units(self) -> Iterable[Unit]:
        tokens = self.tokens
        number = 0
        while number < len(tokens):
            token = tokens[number]
            last = _close(tokens, number)
            line = _first_line(token)
            if token.type in ("bullet_list_open", "ordered_list_open"):
                yield from self._items(number, last)
            elif token.type == _FOOTNOTE:
                yield Unit(line, "item", number, last, _FOOTNOTE)
            else:
                yield Unit(line, token.type, number, last)
            number = last

    def _items(self, number: int, last: int) -> Iterable[Unit]:
        kind = self.tokens[number].type[0] + self.tokens[number].markup
        item = number + 1
        while item < last - 1:
            end = _close(self.tokens, item)
            yield Unit(_first_line(self.tokens[item]), "item", item, end, kind)
            item = end

    def end(self, unit: Unit) -> int:
        """Return the line after the last line of a unit."""
        lines = self.tokens[unit.first].map
        return lines[1] if lines else unit.line

    def offset(self, line: int) -> int:
        """Return the offset of the first character of a line."""
        return sum(len(text) + 1 for text in self.lines[:line])

    # Building

    def build(self, units: Iterable[Unit], open_list: OpenList | None) -> list[Placed]:
        """Return the blocks of top-level `units`. The first of them may continue `open_list`."""
        placed: list[Placed] = []
        current = None if open_list is None else replace(open_list)
        for unit in units:
            self._spent = 0
            if unit.kind == "item":
                current = self._continued(current, unit)
                placed.append(self._item(unit.first, unit.last, current, depth=0))
                current.next_number += 1
            else:
                current = None
                placed.extend(self._block(unit.first, unit.last, in_item=False, depth=0))
        self._open_list = current
        return placed

    def open_list_before(self, unit: Unit) -> OpenList | None:
        """Return the list that the unit after the last built ones continues, if it does."""
        if unit.kind != "item" or self._open_list is None or self._open_list.kind != unit.list_kind:
            return None
        return replace(self._open_list, gap=self._is_blank(unit.line - 1))

    def _continued(self, open_list: OpenList | None, unit: Unit) -> OpenList:
        if open_list is None or open_list.kind != unit.list_kind:
            return OpenList(unit.list_kind, _number(self.tokens[unit.first]), gap=True)
        if unit.line > 0:
            open_list.gap = self._is_blank(unit.line - 1)
        return open_list

    def _is_blank(self, line: int) -> bool:
        return not self.lines[line].strip(" \t>")

    def _sequence(self, first: int, last: int, *, in_item: bool, depth: int) -> tuple[Placed, ...]:
        placed: list[Placed] = []
        number = first
        while number < last:
            end = _close(self.tokens, number)
            placed.extend(self._block(number, end, in_item=in_item, depth=depth))
            number = end
        return tuple(placed)

    def _block(self, first: int, last: int, *, in_item: bool, depth: int) -> list[Placed]:
        token = self.tokens[first]
        line = _first_line(token)
        gap = not in_item or (line > 0 and self._is_blank(line - 1))
        if token.type in ("bullet_list_open", "ordered_list_open"):
            return self._list(first, last, gap=gap, depth=depth)
        if token.type in ("fence", "code_block"):
            return code_blocks(token, gap=gap)
        return [Placed(self._single(token, first, last, depth), gap)]

    def _single(self, token: Token, first: int, last: int, depth: int) -> Block:
        match token.type:
            case "paragraph_open":
                return self._paragraph(token, self.tokens[first + 1])
            case "heading_open":
                return Heading(int(token.tag[1]), self._inline(self.tokens[first + 1]))
            case "hr":
                return Rule()
            case "math_block":
                return Plain(self._formula(token.content), "math")
            case "footnote_reference_open":
                return self._footnote(first, last, depth)
            case "table_open":
                table = self.table(first, last)
                return TableRows(table, 0, len(table.rows))
            case "blockquote_open":
                inner = self._sequence(first + 1, last - 1, in_item=False, depth=depth)
                return Quote(inner or self._skipped(token))
            case _:
                return Plain(self._raw(token))

    def _raw(self, token: Token) -> str:
        start, end = token.map or (0, 0)
        return "\n".join(self.lines[start:end])

    def _skipped(self, token: Token) -> tuple[Placed, ...]:
        """Return the text that markdown-it omits where blocks are nested too deeply."""
        text = self._raw(token).strip(" \t\n>")
        return (Placed(Plain(text)),) if text else ()

    def _paragraph(self, token: Token, inline: Token) -> Block:
        if self._verbatim:
            return Plain(self._raw(token))
        found = [_DEFINITION.match(line) for line in inline.content.split("\n")]
        if all(found):
            for match in found:
                if match is not None and len(match[0]) <= _LONGEST_DEFINITION:
                    self.definitions.setdefault(match["label"], match["target"])
            return Plain(inline.content, "quiet")
        return Paragraph(self._inline(inline))

    def _inline(self, token: Token) -> Spans:
        return self._text(token.content)

    def _text(self, content: str) -> Spans:
        if not self._affords(inline_weight(content)):
            return (Span(sanitize(content)),)
        return inline_spans(self._parser, content, self._env)

    def _formula(self, source: str) -> str:
        affordable = self._affords(_FORMULA_WEIGHT * len(source))
        return _formula(source) if affordable else sanitize(source)

    def _affords(self, weight: int) -> bool:
        """Whether text of this weight is still parsed in this unit or row; otherwise it stays as it was written."""
        if self._spent + weight > _MOST_INLINE:
            return False
        self._spent += weight
        return True

    def _list(self, first: int, last: int, *, gap: bool, depth: int) -> list[Placed]:
        placed: list[Placed] = []
        item = first + 1
        open_list = OpenList("", _number(self.tokens[item]), gap)
        while item < last - 1:
            end = _close(self.tokens, item)
            if placed:
                line = _first_line(self.tokens[item])
                open_list.gap = line > 0 and self._is_blank(line - 1)
            placed.append(self._item(item, end, open_list, depth=depth))
            open_list.next_number += 1
            item = end
        return placed

    def _footnote(self, first: int, last: int, depth: int) -> Item:
        token = self.tokens[first]
        inner = self._sequence(first + 1, last - 1, in_item=True, depth=depth + 1)
        if not inner:
            text = self._raw(token).partition("]:")[2].strip(" \t\n>")
            inner = (Placed(Plain(text)),) if text else ()
        return Item(sanitize(footnote_mark(token.meta["label"])), inner, "footnote")

    def _item(self, first: int, last: int, open_list: OpenList, *, depth: int) -> Placed:
        token = self.tokens[first]
        if token.type == _FOOTNOTE:
            return Placed(self._footnote(first, last, depth), open_list.gap)
        if token.info:
            marker = f"{open_list.next_number}{token.markup}"
        else:
            marker = _BULLETS[min(depth, len(_BULLETS) - 1)]
        inline = self.tokens[first + 2] if last - first > 3 else None
        if inline is not None and inline.type == "inline":
            task = _TASK.match(inline.content)
            if task is not None:
                inline.content = inline.content[task.end() :]
                box = "☐" if task[1] == " " else "☑"
                marker = f"{marker} {box}" if token.info else box
        inner = self._sequence(first + 1, last - 1, in_item=True, depth=depth + 1)
        return Placed(Item(marker, inner or self._skipped_item(token)), open_list.gap)

    def _skipped_item(self, token: Token) -> tuple[Placed, ...]:
        text = self._raw(token).strip().removeprefix(token.info + token.markup).strip(" \t\n>")
        return (Placed(Plain(text)),) if text else ()

    # Tables

    def table(self, first: int, last: int) -> Table:
        """Return the table with the tokens `first` to `last`."""
        rows: list[tuple[Spans, ...]] = []
        alignments: list[str] = []
        cells: list[Spans] = []
        line = 0
        for number in range(first, last):
            token = self.tokens[number]
            if token.type == "tr_open":
                cells, line, self._spent = [], _first_line(token), 0
            elif token.type in ("th_open", "td_open"):
                if token.type == "th_open":
                    alignments.append(str(token.attrGet("style") or "").removeprefix("text-align:"))
                cells.append(tuple(expand_tabs(self._inline(self.tokens[number + 1]))))
            elif token.type == "tr_close":
                rows.append(self._row(cells, line) if rows else tuple(cells))
        table = Table(rows[0], tuple(alignments))
        for row in rows[1:]:
            table.add(row)
        return table

    def _row(self, cells: list[Spans], line: int) -> tuple[Spans, ...]:
        """Return the cells of a row without those that markdown-it adds to a short row."""
        while len(cells) > 1 and not cells[-1]:
            cells.pop()
        return self._with_surplus(tuple(cells), line)

    def _with_surplus(self, cells: tuple[Spans, ...], line: int) -> tuple[Spans, ...]:
        """Append cells beyond the last column, which Markdown drops, to the last column."""
        text = self.lines[line]
        text = text[_QUOTE_MARKS.match(text).end() :].strip()  # type: ignore[union-attr]
        parts = _CELL_EDGE.split(text)
        if parts and not parts[0]:
            parts.pop(0)
        if parts and not parts[-1]:
            parts.pop()
        surplus = " | ".join(part.strip() for part in parts[len(cells) :])
        if not surplus or not cells:
            return cells
        added = expand_tabs(self._text(surplus))
        return (*cells[:-1], (*cells[-1], Span(" | ", "quiet"), *added))


def code_blocks(token: Token, *, gap: bool) -> list[Placed]:
    """Return a fence or an indented block as stretches of code."""
    content = token.content.removesuffix("\n")
    label = sanitize(token.info.strip())
    parts = stretches(content.split("\n") if token.content else [])
    last = len(parts) - 1
    language = language_of(label)
    starts = list(accumulate((len(part) for part in parts), initial=1))
    return [
        Placed(
            Code(
                tuple(sanitize(line) for line in part),
                language,
                label if number == 0 else "",
                is_first=number == 0,
                is_last=number == last,
                first_number=starts[number],
            ),
            gap and number == 0,
        )
        for number, part in enumerate(parts)
    ]


def _formula(source: str) -> str:
    """Return a displayed formula as readable text if possible, otherwise as it was written."""
    match = _FORMULA.fullmatch(source.strip())
    text = readable(match["formula"]) if match is not None else None
    return sanitize(source if match is None or text is None else text + match["end"])


def language_of(info: str) -> str:
    """Return the language in the text after an opening fence: `python title="x"` is python."""
    words = re.split(r"[\s,{:]+", info.strip(" {."), maxsplit=1)
    return words[0].lower() if words else ""


def references(definitions: dict[str, str]) -> dict[str, Any]:
    """Return link definitions in the form that markdown-it's inline parser needs."""
    from markdown_it.common.utils import normalizeReference

    parser = _parser(verbatim=False)
    found: dict[str, Any] = {}
    for label, target in definitions.items():
        href = parser.normalizeLink(target)
        if parser.validateLink(href):
            found.setdefault(normalizeReference(label), {"title": "", "href": href})
    return {"references": found}


def _first_line(token: Token) -> int:
    return token.map[0] if token.map else 0


def _number(item: Token) -> int:
    return int(item.info) if item.info.isdigit() else 0


def _close(tokens: Sequence[Token], number: int) -> int:
    """Return the index of the token after the block that token `number` opens."""
    if tokens[number].nesting != 1:
        return number + 1
    level = tokens[number].level
    number += 1
    while not (tokens[number].nesting == -1 and tokens[number].level == level):
        number += 1
    return number + 1
