"""The dialog that asks for the file and the format of an export. It writes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from rich.cells import cell_len
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Checkbox, Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.chat.ui import Answer
from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.screens.ask import Ask
from tui.screens.dialog import TALL, FormDialog, Hint, KeyHints, PickList, show_problem
from tui.screens.path_field import PathField
from tui.widgets.bindings import bindings
from tui.widgets.columns import fitted

_OTHER_LINES: Final = 14
_WIDEST_LABEL: Final = 44
_OTHER_LINES_SHORT: Final = 9
_AROUND: Final = 12
"""Cells taken by the frame, its padding, a row's padding, the gap in it, and the scrollbar."""

FormatChoice = tuple[str, str, str]
"""A format's name, its label for people, and the extension of its files."""


@dataclass(frozen=True, slots=True)
class ExportChoice:
    """What to write.

    Attributes:
        format: the format's name.
        path: the absolute path of the file.
        overwrite: the user agreed to replace the existing file.
        whole: the whole chat, rather than the selected turns.
    """

    format: str
    path: Path
    overwrite: bool = False
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """A path that the user typed, and whether a file can be written there.

    Attributes:
        problem: why no file can be written there; empty if one can.
        exists: whether the file exists already.
    """

    path: Path
    problem: str = ""
    exists: bool = False


class ExportDialog(FormDialog[ExportChoice]):
    """Returns what to write, or None."""

    PLACE = Scope.EXPORT
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.EXPORT,
        does={"export.previous_format": "format(-1)", "export.next_format": "format(1)"},
    )
    CSS = """
    ExportDialog {
        & > #dialog { width: 84; }
        & .heading { margin-top: 1; }
        &.-short .heading { margin-top: 0; }
        & #formats { height: 1fr; min-height: 2; }
        & Checkbox { margin-top: 1; background: $surface; }
        &.-short Checkbox { margin-top: 0; }
        & .problem { margin-top: 1; }
    }
    """

    def __init__(
        self, formats: Sequence[FormatChoice], suggested: Path, has_selection: bool = False
    ) -> None:
        """Create the dialog.

        Args:
            formats: to choose from, at least one. The format with the extension of `suggested` is selected first.
            suggested: the initial path.
            has_selection: whether turns are selected, so that only these can be exported.
        """
        super().__init__()
        self._formats = [
            (name, label, f".{extension.lstrip('.')}") for name, label, extension in formats
        ]
        self._suggested = suggested
        self._has_selection = has_selection
        self._format = next(
            (
                place
                for place, (_, _, extension) in enumerate(self._formats)
                if suggested.name.endswith(extension)
            ),
            0,
        )

    def compose(self) -> ComposeResult:
        """Lay out the formats and the path."""
        with Vertical(id="dialog"):
            yield Label("Export the chat", classes="title")
            yield Label("Format", classes="heading")
            yield PickList(*map(Option, self._rows()), id="formats")
            yield Label("File", classes="heading")
            yield PathField(sanitize_line(self._first_path()), id="path")
            if self._has_selection:
                yield Checkbox("Only the selected turn", value=True, compact=True, id="selection")
            yield from self.compose_end(
                "Export",
                _hints(),
            )

    def _rows(self) -> list[Content]:
        """Return a row for each format. The extensions are aligned and never truncated."""
        widest = max(cell_len(sanitize_line(one[1])) for one in self._formats)
        endings = max(cell_len(one[2]) for one in self._formats)
        width = max(1, min(_WIDEST_LABEL, widest, self.app.size.width - _AROUND - endings))
        return [
            Content.assemble(fitted(label, width), (f"  {extension}", "$text-muted"))
            for _, label, extension in self._formats
        ]

    def _first_path(self) -> str:
        return with_extension(str(self._suggested), self._formats[self._format][2], ())

    def on_mount(self) -> None:
        """Focus the list of formats."""
        formats = self.query_one("#formats", OptionList)
        formats.highlighted = self._format
        self.set_focus(formats)

    def on_resize(self, event: events.Resize) -> None:
        """Show all formats if they fit. Otherwise only the list scrolls."""
        is_tall = event.size.height >= TALL
        others = _OTHER_LINES if is_tall else _OTHER_LINES_SHORT
        others += (1 + is_tall) * self._has_selection
        self.query_one("#dialog").styles.height = len(self._formats) + others
        formats = self.query_one("#formats", OptionList)
        for place, row in enumerate(self._rows()):
            formats.replace_option_prompt_at_index(place, row)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Update the hint for Tab."""
        is_path = isinstance(event.widget, PathField)
        self.query_one(KeyHints).show(_hints(completes=is_path))

    def action_complete(self) -> None:
        """Complete the folders in the path."""
        self.query_one(PathField).complete()

    # -- formats

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._format = event.option_index
        extension = self._formats[self._format][2]
        path = self.query_one("#path", Input)
        path.value = with_extension(path.value, extension, [known[2] for known in self._formats])

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.action_accept()

    def action_to_formats(self) -> None:
        """Move to the list of formats."""
        self.set_focus(self.query_one("#formats", OptionList))

    # -- accepting

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        show_problem(self, "")

    @work(exclusive=True)
    async def action_accept(self) -> None:
        """Return the choice, unless the file can't be written or the user doesn't want to replace it."""
        target = await asyncio.to_thread(look_at, self.query_one("#path", Input).value)
        if target.problem:
            show_problem(self, target.problem)
            self.set_focus(self.query_one("#path", Input))
            return
        if target.exists and not await self._may_overwrite(target.path):
            return
        boxes = self.query(Checkbox)
        whole = not (boxes and boxes.first().value)
        name = self._formats[self._format][0]
        self.dismiss(ExportChoice(name, target.path, target.exists, whole))

    async def _may_overwrite(self, path: Path) -> bool:
        answer = await self.app.push_screen_wait(
            Ask(
                "Replace the file?",
                f"{path} already exists. Exporting replaces it.",
                [Answer("keep", "Keep it", "k"), Answer("replace", "Replace", style="error")],
            )
        )
        return answer == "replace"

    def action_format(self, step: int) -> None:
        """Choose the format `step` places away, also while the path has the focus."""
        formats = self.query_one("#formats", OptionList)
        (formats.action_cursor_down if step > 0 else formats.action_cursor_up)()


def _hints(*, completes: bool = False) -> list[Hint]:
    tab = Hint("Tab", "complete", "complete")
    return [
        Hint("export.previous_format/export.next_format", "format", "to_formats"),
        Hint("Enter", "export", "accept"),
        tab if completes else Hint("Tab", "next field", "app.focus_next"),
        Hint("Esc", "cancel", "close"),
    ]


def with_extension(path: str, extension: str, known: Sequence[str]) -> str:
    """Return a path with its extension replaced by `extension` if it is one of `known`; otherwise with `extension` appended."""
    if not path or path.endswith(("/", os.sep, extension)):
        return path
    for old in sorted(known, key=len, reverse=True):
        if path.endswith(old) and Path(path).name != old:
            return path.removesuffix(old) + extension
    return path + extension


def look_at(typed: str) -> Target:
    """Return what a typed path means, and whether a file can be written there. Accesses the disk."""
    text = typed.strip()
    if not text:
        return Target(Path(), "Type the path of the file to write.")
    if "\0" in text:
        return Target(Path(), "This isn't the path of a file.")
    try:
        path = Path(os.path.abspath(Path(text).expanduser()))  # noqa: PTH100 - resolve() would follow links
        problem = _problem(path, is_folder_named=text.endswith(("/", os.sep)))
        return Target(path, problem, not problem and os.path.lexists(path))
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Target(Path(), f"This path can't be used: {sanitize_line(reason, 200)}.")


def _problem(path: Path, *, is_folder_named: bool) -> str:
    parent = path.parent
    if path.is_dir() or is_folder_named:
        return f"{path} is a folder. Add a file name."
    if not parent.exists():
        return f"The folder {parent} doesn't exist. Create it first, or choose another one."
    if not parent.is_dir():
        return f"{parent} is a file, not a folder. Choose another folder."
    if os.path.lexists(path):
        if not path.is_file():
            return f"{path} isn't a regular file. Choose another name."
        if not os.access(path, os.W_OK):
            return f"{path} can't be replaced: it is read-only."
    if not os.access(parent, os.W_OK | os.X_OK):
        return f"{parent} is read-only. Choose another folder."
    return ""
