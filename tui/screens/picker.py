"""A list to choose from, filtered by typing: themes, presets, prompts, examples, earlier messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.dataclass import dataclass
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.closed_once import Result
from tui.screens.dialog import Dialog, Hint, KeyHints
from tui.widgets.bindings import bindings
from tui.widgets.columns import cut, fitted
from tui.widgets.line_input import LineInput
from tui.widgets.preview_pane import PreviewPane

_MOST_SHOWN: Final = 100
MOST_PREVIEWED: Final = 4_000
_WIDEST_COLUMN: Final = 40
_WIDEST_LINE: Final = 200
_FEW: Final = 10


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to choose.

    Attributes:
        id: the value that the dialog returns for it.
        title: the title shown.
        detail: more information; may be empty.
        is_current: whether it is the current choice.
        columns: facts in aligned columns between the title and the detail.
        preview: its contents, shown beside the list if there is room.
    """

    id: str
    title: str
    detail: str = ""
    is_current: bool = False
    columns: tuple[str, ...] = ()
    preview: str = ""

    @property
    def searched(self) -> str:
        """The text that the filter searches, in lower case."""
        text = " ".join((self.title, *self.columns, self.detail))
        return f"{text} {self.preview[:MOST_PREVIEWED]}".casefold()


class ListDialog(Dialog[Result]):
    """A dialog with a field that filters a list. The field keeps the focus, and the arrow keys move in the list."""

    PLACE = Scope.LIST
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.LIST,
        does={
            "list.down": "move(1)",
            "list.up": "move(-1)",
            "list.page_down": "move(10)",
            "list.page_up": "move(-10)",
        },
    )

    def narrow(self, typed: str) -> None:
        """List the entries that contain the typed words."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """List all entries."""
        self.query_one(OptionList).can_focus = False
        self.narrow("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.narrow(event.value)

    def action_move(self, step: int) -> None:
        """Move the highlight in the list."""
        options = self.query_one(OptionList)
        if options.option_count:
            at = -1 if options.highlighted is None else options.highlighted
            options.highlighted = max(0, min(options.option_count - 1, at + step))

    @on(OptionList.OptionSelected)
    @on(Input.Submitted)
    def _entered(self, event: Message) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> object:
        """Act on the highlighted entry."""
        raise NotImplementedError


class Picker(ListDialog[str]):
    """Returns the ID of the chosen entry, or None."""

    CSS = """
    Picker {
        & > #dialog { width: 76; height: auto; }
        & #body { height: auto; margin: 1 0; }
        & #none { margin: 1 0; }
        & OptionList { width: 1fr; height: auto; max-height: 16; }
        & PreviewPane { display: none; }
        &.-tall Input { margin-top: 1; }
        &.-short OptionList { max-height: 9; }
        &.-short #body { margin: 0; }
        &.-previews.-broad > #dialog { width: 116; }
        &.-previews.-broad #body { height: 16; }
        &.-previews.-broad.-few #body { height: 10; }
        &.-previews.-broad.-short #body { height: 10; }
        &.-previews.-broad OptionList { width: 3fr; max-height: 100%; }
        &.-previews.-broad PreviewPane { width: 2fr; display: block; }
    }
    """

    def __init__(
        self,
        title: str,
        entries: Sequence[Entry],
        *,
        empty: str = "There is nothing to choose from yet.",
        on_move: Callable[[str], object] | None = None,
    ) -> None:
        """Create the dialog.

        Args:
            title: what to choose.
            entries: in the order in which they are shown.
            empty: the sentence to show if there are none.
            on_move: called with the ID of the highlighted entry.
        """
        super().__init__()
        self._title_text = title
        self._entries = tuple(entries)
        self._shown: list[Entry] = []
        self._texts: tuple[str, ...] = ()
        """The text that the filter searches in each entry; built when something is typed."""
        self._empty = empty
        self._on_move = on_move
        self._widths = _widths(self._entries)
        self._has_marks = any(one.is_current for one in self._entries)
        self.set_class(len(self._entries) <= _FEW, "-few")
        self.set_class(any(one.preview for one in self._entries), "-previews")

    def compose(self) -> ComposeResult:
        """Lay out the field and the list."""
        with Vertical(id="dialog"):
            yield Label(Content(sanitize_line(self._title_text)), classes="title")
            yield LineInput(placeholder="Type to filter", compact=True)
            with Horizontal(id="body"):
                yield OptionList(id="entries")
                yield PreviewPane(id="preview")
            yield Label("", id="none", classes="note", markup=False)
            yield KeyHints()

    def narrow(self, typed: str) -> None:
        """List the entries that contain the typed words."""
        words = typed.casefold().split()
        if words and not self._texts:
            # The texts have thousands of characters, so don't build them at every key.
            self._texts = tuple(one.searched for one in self._entries)
        if words:
            pairs = zip(self._entries, self._texts, strict=True)
            found: Iterator[Entry] = (
                one for one, text in pairs if all(word in text for word in words)
            )
        else:
            found = iter(self._entries)
        self._shown = list(islice(found, _MOST_SHOWN))
        options = self.query_one(OptionList)
        options.set_options(Option(self._prompt(one)) for one in self._shown)
        self.query_one("#body").display = bool(self._shown)
        note = self._empty if not self._entries else "" if self._shown else "Nothing matches."
        none = self.query_one("#none", Label)
        none.update(note)
        none.display = bool(note)
        choose = [Hint("Enter", "choose", "choose"), Hint("list.up/list.down", "move", "move(1)")]
        close = Hint("Esc", "close", "close")
        self.query_one(KeyHints).show([*choose, close] if self._shown else [close])
        current = next((at for at, one in enumerate(self._shown) if one.is_current), 0)
        if self._shown:
            options.highlighted = 0 if typed else current

    def _prompt(self, entry: Entry) -> Content:
        first, *others = _cells(entry)
        mark = ("● " if entry.is_current else "  ", "$text-success") if self._has_marks else ""
        if not others:
            return Content.assemble(mark, cut(first, _WIDEST_LINE))
        cells = [
            fitted(text, width) for text, width in zip((first, *others), self._widths, strict=False)
        ]
        cells += [cut(text, _WIDEST_LINE) for text in (first, *others)[len(cells) :]]
        return Content.assemble(mark, cells[0], ("  " + "  ".join(cells[1:]), "$text-muted"))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index >= len(self._shown):
            return
        entry = self._shown[event.option_index]
        if self._on_move is not None:
            self._on_move(entry.id)
        if entry.preview or self.has_class("-previews"):
            text = sanitize(entry.preview[:MOST_PREVIEWED])
            self.query_one(PreviewPane).show(Content(text))

    def action_choose(self) -> None:
        """Return the ID of the highlighted entry."""
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._shown):
            self.dismiss(self._shown[at].id)


def _widths(entries: Sequence[Entry]) -> list[int]:
    """Return the width of each column but the last: that of its longest text, up to a limit."""
    rows = [_cells(one) for one in entries]
    most = max(map(len, rows), default=0)
    return [
        max(cell_len(cut(row[at], _WIDEST_COLUMN)) for row in rows if at < len(row))
        for at in range(most - 1)
    ]


def _cells(entry: Entry) -> tuple[str, ...]:
    return (entry.title, *entry.columns, *((entry.detail,) if entry.detail else ()))
