"""The box in which a message is written. It posts `Composer.Submitted`; handling the text is the screen's job."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.cells import cell_len
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import var

from tui.dataclass import dataclass
from tui.sanitize import sanitize
from tui.scopes import Scope
from tui.widgets.bindings import bindings, is_ascii, key_name, keys_in_force, keys_text
from tui.widgets.editor import Editor

LONGEST_PASTE: Final = 100_000
"""The most characters of a paste on one line that the box takes; with more, each key would be slow."""
_WRITE: Final = "Write a message…"
_MENU_KEYS: Final = frozenset(("up", "down", "tab", "enter", "escape", "pageup", "pagedown"))


class Composer(Editor):
    """A multi-line editor: Enter sends, Ctrl+J (Shift+Enter, Alt+Enter) starts a new line, pasting never sends."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.MESSAGE,
        Scope.TEXT,
        does={
            "message.send": "submit",
            "message.older": "older_or_up",
            "message.newer": "newer_or_down",
        },
    )

    DEFAULT_CSS = """
    Composer {
        height: auto;
        min-height: 3;
        max-height: 33vh;
        border: round $border-blurred;
        border-title-color: $text-muted; border-subtitle-color: $text-muted;
        padding: 0 1;
        color: $text-muted;
        background: $background;
        &:focus { border: round $primary; color: $foreground; }
        & .text-area--cursor-line { background: transparent; }
    }
    """

    @dataclass
    class Submitted(Message):
        """The user sent `text`, which is not blank."""

        composer: Composer
        text: str

        @property
        def control(self) -> Composer:
            """The composer that sent the message."""
            return self.composer

    @dataclass
    class Pasted(Message):
        """A text was pasted that is too long for the box."""

        text: str

    @dataclass
    class MenuKey(Message):
        """A key was pressed that belongs to the list of completions."""

        key: str

    class LastAttachmentUnwanted(Message):
        """Backspace was pressed in an empty box."""

    class WaitingWanted(Message):
        """The user wants to take back the waiting message."""

    menu_open: var[bool] = var(False, bindings=True)
    """Whether a list of completions is open, which then receives some keys."""
    is_blank: var[bool] = var(True, bindings=True)
    """Whether the box is blank, which enables other actions, such as starting a command."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(
            id=id,
            soft_wrap=True,
            show_line_numbers=False,
            tab_behavior="focus",
            highlight_cursor_line=False,
        )
        self.has_attachments = False
        """Whether the message has attachments, so that it can be sent without a text."""
        self.fold_lines = 0
        """A paste of more lines than this is posted as `Pasted` instead of inserted; with 0, only a very long one."""
        self._sent: list[str] = []
        self._changed: dict[int, str] = {}
        """Changed texts of earlier messages that were recalled and not sent, by index."""
        self._place = 0
        self._draft = ""
        self.has_waiting = False
        """Whether a message is waiting. Up in an empty box takes it back before recalling sent messages."""

    def on_mount(self) -> None:
        """Show the keys in force, also after they change. The first time, that follows the first layout."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.name_keys())

    def on_resize(self) -> None:
        """Show as much in the placeholder as fits."""
        self.name_keys()

    def name_keys(self) -> None:
        """Show the keys in the placeholder."""
        if self.has_focus:
            newline = key_name(self.app, "text.newline")
            whole = f"{_WRITE}  ({newline} for a new line)"
            fits = self.content_size.width > cell_len(whole)
            self.placeholder = whole if newline and fits else _WRITE
        else:
            write = self._way_back
            self.placeholder = f"{write} to write" if write else _WRITE
        # With a text, the placeholder is not visible.
        self.border_subtitle = self.placeholder if self.text and not self.has_focus else ""

    @property
    def _way_back(self) -> str:
        """The key that leads here from the current focus; empty if there is none, for example because Esc cancels an edit or
        stops a reply.
        """
        active = self.screen.active_bindings.items()
        keys = [key for key, one in active if one.binding.id == "composer.focus" and one.enabled]
        known = keys_in_force(self.app)["composer.focus"]
        return keys_text(sorted(keys, key=known.index)[:1], ascii_only=is_ascii(self.app))

    def watch_has_focus(self, focus: bool) -> None:
        """Show in the placeholder how to return, so that a cursor elsewhere is not mistaken for this one."""
        super().watch_has_focus(focus)
        if self.is_mounted:
            self.name_keys()

    def set_text(self, text: str) -> None:
        """Replace the text with `text`, made safe to show, and put the cursor at its end."""
        self.load_text(sanitize(text))
        self.move_cursor(self.document.end)

    def take_back(self, text: str) -> None:
        """Put a text that could not be sent before anything typed since."""
        self.set_text(f"{text}\n{self.text}" if self.text.strip() else text)

    def take_typed(self, text: str) -> None:
        """Insert a text that was typed or pasted elsewhere, as if it had been typed here."""
        text = sanitize(text)
        has_many_lines = self.fold_lines and text.count("\n") >= self.fold_lines
        if has_many_lines or len(text) > LONGEST_PASTE:
            self.post_message(self.Pasted(text))
        elif text:
            self.replace(text, *self.selection, maintain_selection_offset=False)

    @property
    def is_recalling(self) -> bool:
        """Whether the box shows an earlier message that was recalled with Up."""
        return self._place < len(self._sent) and self.text == sanitize(self._sent[self._place])

    @property
    def unsent(self) -> str:
        """The unsent text, also while an earlier message is recalled over it."""
        if self._place == len(self._sent):
            return self.text
        kept = self.text if not self.is_recalling else ""
        return "\n".join(text for text in (self._draft, kept) if text.strip())

    def remember(self, texts: list[str]) -> None:
        """Set the messages that Up recalls, the newest last. The message that is recalled now stays among them."""
        recalled = self._sent[self._place :][:1]
        self._sent = list(texts)
        self._changed.clear()
        self._place = len(self._sent)
        for text in recalled:
            self._go_to(text)

    def _go_to(self, text: str) -> None:
        """Go to the position of an earlier message; Down leads back to the unsent text."""
        if text not in self._sent:
            self._sent.append(text)
        self._place = len(self._sent) - 1 - self._sent[::-1].index(text)

    def recall(self, text: str) -> None:
        """Recall an earlier message, as Up does; Down leads back to the unsent text."""
        if self._place == len(self._sent):
            self._draft = self.text
        self._go_to(text)
        self.set_text(text)

    def begin(self) -> None:
        """Clear the box and the unsent text behind a recalled message."""
        self._place, self._draft = len(self._sent), ""
        self.set_text("")

    async def _on_key(self, event: events.Key) -> None:
        if self.menu_open and event.key in _MENU_KEYS:
            event.stop()
            event.prevent_default()
            self.post_message(self.MenuKey(event.key))
            return
        if event.key == "backspace" and not self.text and self.has_attachments:
            event.stop()
            event.prevent_default()
            self.post_message(self.LastAttachmentUnwanted())
            return
        # TextArea handles Enter before any binding is checked.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_submit()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        self.take_typed(event.text)
        event.stop()

    def action_submit(self) -> None:
        """Post the text and empty the box. Does nothing if it is blank."""
        text = self.text.strip("\n")
        if not text.strip() and not self.has_attachments:
            return
        # The text from before an earlier message was recalled has not been sent.
        unsent = self._draft if self._place < len(self._sent) else ""
        if text.strip():
            self._sent.append(text)
        self._place = len(self._sent)
        self._draft = ""
        self._changed.clear()
        self.clear()
        if unsent:
            self.set_text(unsent)
        self.post_message(self.Submitted(self, text))

    def action_older_or_up(self) -> None:
        """Move up a line; on the first line, recall the previous message."""
        if self.has_waiting and not self.text:
            self.post_message(self.WaitingWanted())
        elif self.cursor_at_first_line and self._place > 0:
            self._keep_place()
            self._place -= 1
            self.set_text(self._changed.get(self._place, self._sent[self._place]))
        else:
            self.action_cursor_up()

    def _keep_place(self) -> None:
        """Keep the current text before another message replaces it."""
        if self._place == len(self._sent):
            self._draft = self.text
        elif not self.is_recalling:
            self._changed[self._place] = self.text

    def action_newer_or_down(self) -> None:
        """Move down a line; on the last line, go to the next message."""
        if self.cursor_at_last_line and self._place < len(self._sent):
            self._keep_place()
            self._place += 1
            newest = self._place == len(self._sent)
            earlier = "" if newest else self._changed.get(self._place, self._sent[self._place])
            self.set_text(self._draft if newest else earlier)
        else:
            self.action_cursor_down()
