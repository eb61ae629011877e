"""What all dialogs share: the frame, the line of keys that can also be clicked, a multi-line text field, a list in which a click
moves the highlight, and the end of a form. It contains no dialog itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.style import Style
from textual.widget import Widget
from textual.widgets import Button, Input, Label, OptionList

from tui.actions import action
from tui.dataclass import dataclass
from tui.sanitize import sanitize
from tui.scopes import Scope
from tui.screens.closed_once import ClosedOnce, Result
from tui.widgets.bindings import binding_for, bindings, is_ascii, keys_in_force, pair_text
from tui.widgets.editor import Editor

_GAP: Final = "   "

TALL: Final = 28
"""The least height of the screen, in lines, for blank lines in a dialog."""
BROAD: Final = 100
"""The least width of the screen, in cells, for a preview beside a list."""


class Dialog(ClosedOnce[Result]):
    """A dialog in the middle of the screen, in a `Vertical` with the ID `dialog`. Escape closes it with None, and F1 shows its
    keys.
    """

    PLACE: ClassVar[Scope] = Scope.DIALOG
    """The scope whose keys help shows first."""

    HORIZONTAL_BREAKPOINTS = [(0, "-slim"), (72, "-wide"), (BROAD, "-broad")]  # noqa: RUF012 - Textual's declaration
    VERTICAL_BREAKPOINTS = [(0, "-short"), (TALL, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.DIALOG),
        # A modal screen hides the app's own keys.
        binding_for(action("app.help"), does="app_help"),
    ]
    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > #dialog {
            width: 76; max-width: 96%; height: auto; max-height: 94%;
            padding: 1 2; background: $surface; border: round $border;
        }
        &.-short > #dialog { padding: 0 1; max-height: 100%; }
        &.-slim > #dialog { padding-left: 1; padding-right: 1; max-width: 100%; }
        & .title { text-style: bold; width: 1fr; height: auto; }
        & .text { width: 1fr; height: auto; }
        & .heading { color: $text-muted; text-style: bold; width: 1fr; height: 1; }
        & .note { color: $text-muted; width: 1fr; height: auto; }
        & .problem { color: $text-error; width: 1fr; height: auto; }
        & .problem.-none { display: none; }
        & Input { width: 1fr; background: $surface-lighten-1; }
        & Button:focus {
            color: $background !important; background: $foreground !important; text-style: bold !important;
        }
        & OptionList, & VerticalScroll, & Tree, & LongText {
            scrollbar-size-vertical: 1; scrollbar-background: $surface;
            scrollbar-background-hover: $surface; scrollbar-background-active: $surface;
        }
        & OptionList {
            background: $surface; border: none; padding: 0;
            text-wrap: nowrap; text-overflow: ellipsis;
            &:focus { border: none; background-tint: $foreground 0%; }
            & > .option-list--option { padding: 0 1; }
            & > .option-list--option-highlighted { color: $foreground; background: $primary 20%; text-style: none; }
            &:focus > .option-list--option-highlighted { color: $foreground; background: $primary 40%; text-style: none; }
        }
    }
    """

    def action_close(self) -> None:
        """Close without a result."""
        self.dismiss(None)

    def action_app_help(self) -> None:
        """Show the keys, those of this dialog first."""
        from tui.screens.help import HelpScreen

        self.app.push_screen(HelpScreen(place=self.PLACE))


@dataclass(frozen=True, slots=True)
class Hint:
    """A key, what it does, and the action that a click runs: an action of the screen, unless it names another namespace.

    The key is an action's ID in the registry, which stands for the key in force, or the name of a key. A `/` separates two of them.
    """

    key: str
    text: str
    action: str


class KeyHints(Widget):
    """Lists the available keys on as many lines as needed. Each entry can be clicked."""

    DEFAULT_CSS = """
    KeyHints { height: auto; width: 1fr; color: $text-muted; }
    """

    def __init__(self, hints: Sequence[Hint] = (), *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._hints = tuple(hints)
        self.auto_links = False
        self._keys: Mapping[str, tuple[str, ...]] = {}

    def on_mount(self) -> None:
        """Show the keys in force, also after they change."""
        self._look(self.screen)
        self.screen.bindings_updated_signal.subscribe(self, self._look)

    def _look(self, _screen: object) -> None:
        if self._keys != keys_in_force(self.app):
            self._keys = keys_in_force(self.app)
            self.refresh(layout=True)

    def show(self, hints: Sequence[Hint]) -> None:
        """List other keys."""
        if self._hints != tuple(hints):
            self._hints = tuple(hints)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002 - Textual's
        """Return how many lines the entries take."""
        return max(1, len(self._lines(width)))

    def render(self) -> Content:
        """Draw the entries."""
        return Content("\n").join(Content(_GAP).join(line) for line in self._lines(self.size.width))

    def _lines(self, width: int) -> list[list[Content]]:
        lines: list[list[Content]] = []
        used = width
        for hint in self._hints:
            if not (key := _key_text(hint.key, self._keys, ascii_only=is_ascii(self.app))):
                continue
            content = _hint_content(hint, key)
            if used + len(_GAP) + content.cell_length > width:
                lines.append([])
                used = -len(_GAP)
            lines[-1].append(content)
            used += len(_GAP) + content.cell_length
        return lines


def _key_text(key: str, keys: Mapping[str, tuple[str, ...]], *, ascii_only: bool) -> str:
    """Return the keys in force of the actions that a hint names; empty if they have none."""
    named = [part for part in key.split("/") if part in keys]
    found = [keys[one][0] for one in named if keys[one]] if named else key.split("/")
    return pair_text(found, ascii_only=ascii_only)


def _hint_content(hint: Hint, key: str) -> Content:
    # As in the footer.
    text = hint.text[:1].upper() + hint.text[1:]
    content = Content.assemble((key, "bold $footer-key-foreground"), " ", text)
    action = hint.action if "." in hint.action else f"screen.{hint.action}"
    return content.stylize(Style.from_meta({"@click": action}))


class PickList(OptionList):
    """A list in which a click moves the highlight and a double click chooses, so that keys can act on the clicked entry."""

    async def _on_click(self, event: events.Click) -> None:
        event.prevent_default()
        clicked = event.style.meta.get("option")
        if clicked is None or self.options[clicked].disabled:
            return
        self.highlighted = clicked
        if event.chain > 1:
            self.action_select()


class Finder(Dialog[Result]):
    """A dialog with a search field with the ID `words`, and a list of results on which keys act.

    A character is never a key of the list: wherever the focus is, typing continues in the field.
    """

    def take_typing(self, event: events.Key | events.Paste) -> None:
        """Focus the field before text is typed in the list; see `FocusControl.take_typing`."""
        if isinstance(event, events.Key) and not (event.is_printable or event.key == "backspace"):
            return
        if isinstance(self.focused, PickList):
            self.action_to_field()

    def action_to_list(self) -> None:
        """Move from the field to the list."""
        self.set_focus(self.query_one(PickList))

    def action_to_field(self) -> None:
        """Move from the list to the field."""
        self.set_focus(self.query_one("#words", Input))


class TextField(Editor):
    """A text field of a few lines: Enter accepts the text, Ctrl+J starts a new line, pasting never accepts."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TEXT)
    DEFAULT_CSS = """
    TextField {
        height: auto; min-height: 1; max-height: 8;
        border: none; padding: 0; background: $surface-lighten-1;
        &:focus { background: $surface-lighten-2; border: none; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    @dataclass
    class Submitted(Message):
        """Enter was pressed."""

        field: TextField

    def __init__(self, text: str = "", *, placeholder: str = "", id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(
            sanitize(text),
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
            placeholder=placeholder,
        )
        self.move_cursor(self.document.end)

    async def _on_key(self, event: events.Key) -> None:
        # TextArea takes Enter before any binding is looked at.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Submitted(self))


class FormDialog(Dialog[Result]):
    """A dialog with fields. Enter in a text field, Ctrl+S and the first button accept; the second button cancels."""

    PLACE = Scope.FORM
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FORM)
    DEFAULT_CSS = """
    FormDialog {
        & #buttons { height: 1; margin-top: 1; align-horizontal: right; }
        & KeyHints { margin-top: 1; }
        &.-short #buttons, &.-short KeyHints { margin-top: 0; }
        & Button { margin-left: 2; }
    }
    """

    def compose_end(self, accept: str, hints: Sequence[Hint]) -> ComposeResult:
        """Lay out what is below the fields: the label for problems, the buttons, the keys.

        Args:
            accept: the label of the button that accepts.
            hints: the hints for the keys.
        """
        yield Label("", id="problem", classes="problem -none", markup=False)
        with Horizontal(id="buttons"):
            yield Button(accept, variant="primary", compact=True, id="accept")
            yield Button("Cancel", compact=True, id="cancel")
        yield KeyHints(hints)

    @on(Input.Submitted)
    @on(TextField.Submitted)
    def _entered(self, event: Message) -> None:
        event.stop()
        self.action_accept()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "accept":
            self.action_accept()
        else:
            self.dismiss(None)

    def action_accept(self) -> object:
        """Close with the values of the fields, or show in `problem` what is wrong with them."""
        raise NotImplementedError


def show_problem(dialog: Dialog[Any], problem: str) -> None:
    """Show a sentence in the dialog's label with the id `problem`; an empty one hides it."""
    label = dialog.query_one("#problem")
    label.set_class(not problem, "-none")
    label.update(Content(sanitize(problem)))  # type: ignore[attr-defined]
