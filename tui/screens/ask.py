"""Two small dialogs: a question with a few answers, and a question that is answered with a text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Button, Input, Label

from tui.chat.ui import Answer
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.dialog import Dialog, Hint, KeyHints, TextField, show_problem
from tui.screens.path_field import PathField
from tui.widgets.bindings import bindings
from tui.widgets.key_burst import BURST_S
from tui.widgets.line_input import LineInput


class Ask(Dialog[str]):
    """Asks a question. Returns the ID of the answer, or None for Escape. The first answer has the focus."""

    PLACE = Scope.QUESTION
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.QUESTION,
        does={"question.previous": "app.focus_previous", "question.next": "app.focus_next"},
    )
    CSS = """
    Ask {
        & > #dialog { width: 64; max-height: 100%; }
        & #said { height: auto; width: 1fr; margin-top: 1; scrollbar-gutter: auto; }
        & KeyHints { margin-top: 1; }
        &.-tight #said, &.-tight #answers, &.-tight KeyHints { margin-top: 0; }
        & #answers { height: auto; width: 1fr; margin-top: 1; layout: horizontal; align-horizontal: right; }
        & #answers.-stacked { layout: vertical; align-horizontal: left; }
        & Button { margin-left: 2; min-width: 8; }
        & .-stacked Button { margin-left: 0; width: 1fr; text-align: left; content-align: left middle; padding: 0 1; }
        & Button.-error { color: $text-error; background: $surface; }
    }
    """

    burst_s: ClassVar[float] = BURST_S
    """How long a letter waits for a second one, in seconds; with 0, every letter is an answer."""

    def __init__(
        self,
        title: str,
        text: str,
        answers: Sequence[Answer],
        *,
        type_on: Callable[[str], object] | None = None,
        interrupts: bool = False,
    ) -> None:
        """Create the dialog.

        Args:
            title: the question in a few words.
            text: the consequences; may be empty.
            answers: two to four; the safest first.
            type_on: receives letters typed by a user who has not noticed the question; None to drop them.
            interrupts: whether the question comes up by itself, when the user may be typing. Then a letter is an answer
                only together with Alt.
        """
        super().__init__()
        self._type_on = type_on
        self._held = ""
        self._held_timer: Timer | None = None
        self._typed_at = float("-inf")
        self._title_text = title
        self._text = text
        self._interrupts = interrupts
        self._answers = {answer.id: answer for answer in answers}
        self._keys = {self._key(one): one.id for one in answers if one.letter}

    def compose(self) -> ComposeResult:
        """Lay out the question and the answers."""
        with Vertical(id="dialog"):
            yield Label(Content(sanitize_line(self._title_text)), classes="title")
            if self._text:
                with VerticalScroll(id="said", can_focus=False):
                    yield Label(Content(sanitize(self._text)), classes="text")
            with Container(id="answers"):
                for answer in self._answers.values():
                    yield Button(
                        self._button_label(answer),
                        variant=answer.style,
                        compact=True,
                        id=f"answer-{answer.id}",
                    )
            if self._answers:
                # An answer that destroys something has no letter, and not every terminal has Alt, so say how to reach it.
                is_reached = self._interrupts or any(
                    one.style == "error" for one in self._answers.values()
                )
                way = Hint("question.previous/question.next", "choose", "app.focus_next")
                leave = Hint("Esc", sanitize_line(self._left_with), "close")
                yield KeyHints([way, leave] if is_reached else [leave])

    @property
    def _left_with(self) -> str:
        """The ID of the answer that Escape stands for."""
        answers = list(self._answers.values())
        return next((one for one in answers if one.is_escape), answers[0]).label

    def _key(self, answer: Answer) -> str:
        """Return the key that gives an answer that has a letter."""
        return f"alt+{answer.letter}" if self._interrupts else answer.letter

    def _button_label(self, answer: Answer) -> Content:
        letter = f"Alt+{answer.letter.upper()}" if self._interrupts else answer.letter
        key = f" ({letter})" if answer.letter else ""
        return Content(f"{sanitize_line(answer.label)}{key}")

    def on_resize(self, _event: events.Resize) -> None:
        """Stack the answers if they don't fit side by side."""
        needed = sum(
            self._button_label(answer).cell_length + 6 for answer in self._answers.values()
        )
        available = min(64, self.size.width) - 6
        self.query_one("#answers").set_class(needed > available, "-stacked")
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """Keep the answers visible. If space is short, the blank lines go first, and then the text scrolls."""
        if not self.query("#said"):
            return
        frame, said = self.query_one("#dialog"), self.query_one("#said")
        text = self.query_one(".text").outer_size.height
        others = [one for one in frame.children if one is not said]
        least = frame.gutter.height + sum(one.size.height for one in others)
        is_tight = least + text + len(others) > self.size.height
        self.set_class(is_tight, "-tight")
        room = max(1, self.size.height - least - (0 if is_tight else len(others)))
        said.styles.max_height = room
        # It needs the focus only if it scrolls.
        said.can_focus = text > room

    def on_mount(self, event: events.Mount) -> None:
        """Treat letters typed right now as the rest of a word."""
        self._typed_at = event.time

    def on_key(self, event: events.Key) -> None:
        """Give the answer that a key stands for. Letters in quick succession are prose, not an answer."""
        given = self._keys.get(event.key) or self._keys.get(event.character or "")
        letter = event.character if event.is_printable and "alt+" not in event.key else None
        if given is not None and (letter is None or self.burst_s <= 0):
            event.stop()
            self.dismiss(given)
            return
        if letter is None:
            return
        event.stop()
        is_quick = event.time - self._typed_at < self.burst_s
        self._typed_at = event.time
        held, self._held = self._held, ""
        if self._held_timer is not None:
            self._held_timer.stop()
        if is_quick or given is None:
            if self._type_on is not None:
                self._type_on(held + letter)
        else:
            self._held = letter
            self._held_timer = self.set_timer(self.burst_s, partial(self._answer, given))

    def on_paste(self, event: events.Paste) -> None:
        """Pass a pasted text on to the message."""
        event.stop()
        if self._type_on is not None:
            self._type_on(event.text)

    def _answer(self, given: str) -> None:
        self.dismiss(given)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss((event.button.id or "").removeprefix("answer-"))


Check = Callable[[str], str | None]
"""Checks a text: returns a sentence that says why it is not accepted, or None if it is."""


class AskText(Dialog[str]):
    """Asks for a text. Returns it as typed, or None for Escape."""

    PLACE = Scope.FORM
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.FORM)
    CSS = """
    AskText {
        & > #dialog { width: 70; }
        & .note { margin-top: 1; }
        & Input, & TextField { margin-top: 1; }
        & TextField { min-height: 3; }
        & .problem { margin-top: 1; }
        & KeyHints { margin-top: 1; }
    }
    """

    def __init__(
        self,
        title: str,
        value: str = "",
        *,
        note: str = "",
        placeholder: str = "",
        check: Check | None = None,
        multiline: bool = False,
        is_path: bool = False,
    ) -> None:
        """Create the dialog.

        Args:
            title: what to enter.
            value: the initial text of the field.
            note: a sentence about what to type.
            placeholder: shown while the field is empty.
            check: checks the text when Enter is pressed.
            multiline: whether the text may have several lines.
            is_path: whether the text is a path, which Tab completes.
        """
        super().__init__()
        self._title_text = title
        self._value = value
        self._note = note
        self._placeholder = placeholder
        self._check = check
        self._multiline = multiline
        self._is_path = is_path

    def compose(self) -> ComposeResult:
        """Lay out the field."""
        with Vertical(id="dialog"):
            yield Label(Content(sanitize_line(self._title_text)), classes="title")
            if self._note:
                yield Label(Content(sanitize(self._note)), classes="note")
            if self._multiline:
                yield TextField(self._value, placeholder=self._placeholder, id="text")
            elif self._is_path:
                yield PathField(
                    sanitize_line(self._value), placeholder=self._placeholder, id="text"
                )
            else:
                yield LineInput(
                    sanitize_line(self._value),
                    placeholder=self._placeholder,
                    compact=True,
                    id="text",
                )
            yield Label("", id="problem", classes="problem -none", markup=False)
            more = [Hint("text.newline", "new line", "newline")] if self._multiline else []
            more += [Hint("Tab", "complete", "complete")] if self._is_path else []
            yield KeyHints(
                [Hint("Enter", "accept", "accept"), *more, Hint("Esc", "cancel", "close")]
            )

    def action_newline(self) -> None:
        """Start a new line in the field."""
        self.query_one("#text", TextField).action_newline()

    def action_complete(self) -> None:
        """Complete the path in the field."""
        self.query_one(PathField).complete()

    def action_accept(self) -> None:
        """Return the text, or show why it is not accepted."""
        if self._multiline:
            text = self.query_one("#text", TextField).text
        else:
            text = self.query_one("#text", Input).value
        problem = self._check(text) if self._check is not None else None
        if problem:
            show_problem(self, problem)
        else:
            self.dismiss(text)

    @on(Input.Submitted)
    @on(TextField.Submitted)
    def _submitted(self, event: Input.Submitted | TextField.Submitted) -> None:
        event.stop()
        self.action_accept()

    @on(Input.Changed)
    @on(TextField.Changed)
    def _typed(self, event: Input.Changed | TextField.Changed) -> None:
        event.stop()
        show_problem(self, "")
