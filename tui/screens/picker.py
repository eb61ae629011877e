"""A list to choose one entry from by typing: themes, presets, prompts, examples, what was sent before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.screens.closed_once import Result
from tui.screens.dialog import Dialog, Hint, KeyHints
from tui.widgets.bindings import bindings
from tui.widgets.editor import LineInput

_MOST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to choose.

    Attributes:
        id: what the dialog returns for it.
        title: for people.
        detail: what else there is to say; may be empty.
        is_current: whether it is what holds now.
    """

    id: str
    title: str
    detail: str = ""
    is_current: bool = False


class ListDialog(Dialog[Result]):
    """A dialog with a field that narrows a list; the field keeps the focus, and the arrow keys move in the list."""

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
        """List what has the words that were typed."""
        raise NotImplementedError

    def on_mount(self) -> None:
        """List everything."""
        self.query_one(OptionList).can_focus = False
        self.narrow("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.narrow(event.value)

    def action_move(self, step: int) -> None:
        """Move the cursor in the list."""
        options = self.query_one(OptionList)
        if options.option_count:
            at = -1 if options.highlighted is None else options.highlighted
            options.highlighted = max(0, min(options.option_count - 1, at + step))


class Picker(ListDialog[str]):
    """Returns the id of the entry that was chosen, or None."""

    CSS = """
    Picker {
        & > #dialog { width: 76; height: auto; }
        & Input { margin-top: 1; }
        & OptionList { height: auto; max-height: 16; margin: 1 0; }
        &.-short OptionList { max-height: 9; margin: 0; }
    }
    """

    def __init__(
        self,
        title: str,
        entries: Sequence[Entry],
        *,
        empty: str = "There is nothing to choose from yet.",
        preview: Callable[[str], object] | None = None,
    ) -> None:
        """Make the dialog.

        Args:
            title: what is chosen.
            entries: in the order in which they are shown.
            empty: a sentence for when there are none.
            preview: called with the id of the entry under the cursor.
        """
        super().__init__()
        self._title_text = title
        self._entries = tuple(entries)
        self._shown: list[Entry] = []
        self._empty = empty
        self._preview = preview

    def compose(self) -> ComposeResult:
        """Lay out the field and the list."""
        with Vertical(id="dialog"):
            yield Label(Content(sanitize_line(self._title_text)), classes="title")
            yield LineInput(placeholder="Type to narrow the list", compact=True)
            yield OptionList(id="entries")
            yield Label("", id="none", classes="note", markup=False)
            yield KeyHints(
                [
                    Hint("Enter", "choose", "choose"),
                    Hint("list.up/list.down", "move", "move(1)"),
                    Hint("Esc", "close", "close"),
                ]
            )

    def narrow(self, typed: str) -> None:
        """List the entries that have the words that were typed."""
        words = typed.casefold().split()
        self._shown = [
            one
            for one in self._entries
            if all(word in f"{one.title} {one.detail}".casefold() for word in words)
        ][:_MOST_SHOWN]
        options = self.query_one(OptionList)
        options.set_options(Option(_prompt(one)) for one in self._shown)
        options.display = bool(self._shown)
        note = self._empty if not self._entries else "" if self._shown else "None has these words."
        self.query_one("#none", Label).update(note)
        current = next((at for at, one in enumerate(self._shown) if one.is_current), 0)
        if self._shown:
            options.highlighted = 0 if typed else current

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self._preview is not None and event.option_index < len(self._shown):
            self._preview(self._shown[event.option_index].id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_choose()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_choose()

    def action_choose(self) -> None:
        """Return the entry under the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is not None and at < len(self._shown):
            self.dismiss(self._shown[at].id)


def _prompt(entry: Entry) -> Content:
    mark = "● " if entry.is_current else "  "
    detail = f"  {sanitize_line(entry.detail, 200)}" if entry.detail else ""
    return Content.assemble(mark, sanitize_line(entry.title, 200), detail)
