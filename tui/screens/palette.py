"""The command palette: all available actions, found by a few letters. It returns the chosen action; running it is the caller's
job.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.actions import Action
from tui.commands import find_actions
from tui.screens.dialog import Hint, KeyHints
from tui.screens.picker import ListDialog
from tui.widgets.bindings import key_name, way_to
from tui.widgets.line_input import LineInput

_WIDTH: Final = 62
"""The width of a row in cells, until the real one is known."""
_SHARE: Final = 0.4
_SHARE_SHORT: Final = 0.5
"""The largest share of the screen's height that the rows take; the second value is for a low screen."""
_NONE: Final = "No command matches."


class _Rows(OptionList):
    """A list that reports changes of its width."""

    class Widened(Message):
        """The rows have to be laid out again."""

    def on_resize(self) -> None:
        """Report the new width."""
        self.post_message(self.Widened())


class CommandPalette(ListDialog[str]):
    """Returns the ID of the chosen action, or None."""

    CSS = """
    CommandPalette {
        align: center top;
        & > #dialog { width: 72; margin-top: 3; }
        & OptionList { margin-top: 1; scrollbar-gutter: stable; scrollbar-size-horizontal: 0;
            scrollbar-color: $foreground 20%; scrollbar-color-hover: $foreground 40%; scrollbar-color-active: $foreground 60%;
        text-overflow: clip; }
        & #what { color: $text-muted; width: 1fr; height: 1; margin: 1 1 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & KeyHints { margin: 1 1 0 1; }
        & Input { margin: 0 1; }
        &.-short > #dialog { margin-top: 0; }
        &.-short OptionList { margin-top: 0; }
        &.-short #what, &.-short KeyHints { margin: 0 1; }
    }
    """

    def __init__(
        self, offered: Sequence[Action], recent: Sequence[str] = (), *, on_turn: bool = False
    ) -> None:
        """Create the dialog.

        Args:
            offered: the actions that are available now.
            recent: the IDs of the actions chosen here before, the newest first.
            on_turn: whether a turn has the cursor, so that its single-letter keys work.
        """
        super().__init__()
        self._offered = tuple(offered)
        self._recent = tuple(recent)
        self._found: list[Action] = []
        self._width = _WIDTH
        self._on_turn = on_turn

    def compose(self) -> ComposeResult:
        """Lay out the field, the list, and the line that explains the highlighted entry."""
        with Vertical(id="dialog"):
            yield LineInput(placeholder="Type a command", compact=True)
            yield _Rows(id="commands")
            yield Label("", id="what", markup=False)
            yield KeyHints(
                [
                    Hint("Enter", "Run", "choose"),
                    Hint("list.up/list.down", "Move", "move(1)"),
                    Hint("Esc", "Close", "close"),
                ]
            )

    def narrow(self, typed: str) -> None:
        """List the actions that match the typed text, the best first. Without any text, the recent ones come first."""
        self._found = find_actions(typed, self._offered, self._recent)
        rows = self.query_one(_Rows)
        rows.set_options(Option(self._row(one, typed)) for one in self._found)
        rows.display = bool(self._found)
        self._make_room()
        if self._found:
            rows.highlighted = 0
        else:
            self.query_one("#what", Label).update(_NONE)

    def _make_room(self) -> None:
        """Fit the height to the results. With a height of `auto`, the frame would include the rows that are scrolled out of
        view.
        """
        share = _SHARE_SHORT if self.has_class("-short") else _SHARE
        most = max(1, int(self.size.height * share))
        self.query_one(_Rows).styles.height = (
            "1fr" if self.app.has_class("-plain") else min(len(self._found), most)
        )

    def on_resize(self) -> None:
        """Adapt to the new height."""
        self.call_after_refresh(self._make_room)

    def _row(self, one: Action, typed: str) -> Content:
        """Return a title with its key, or else its command, at the right."""
        key = key_name(self.app, one.id) if self._on_turn else way_to(self.app, one)
        named = f"/{one.slash[0]}" if one.slash else ""
        side = (key, "bold $text-accent") if key else (named, "")
        title = Content(one.title)
        for word in typed.lstrip("/!").casefold().split():
            at = one.title.casefold().find(word)
            if at >= 0:
                title = title.stylize("bold underline", at, at + len(word))
        # In a single column, a right-aligned key would be far from its title.
        is_plain = self.app.has_class("-plain")
        gap = 2 if is_plain else max(2, self._width - title.cell_length - cell_len(side[0]))
        return Content.assemble(title, " " * gap, side)

    @on(_Rows.Widened)
    def _widened(self) -> None:
        rows = self.query_one(_Rows)
        width = rows.scrollable_content_region.width - 2
        if width > 0 and width != self._width:
            self._width = width
            typed = self.query_one(Input).value
            for at, one in enumerate(self._found):
                rows.replace_option_prompt_at_index(at, self._row(one, typed))

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if event.option_index < len(self._found):
            self.query_one("#what", Label).update(self._found[event.option_index].help)

    def action_choose(self) -> None:
        """Return the action under the cursor."""
        at = self.query_one(_Rows).highlighted
        if at is not None and at < len(self._found):
            self.dismiss(self._found[at].id)
