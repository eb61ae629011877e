"""The dialog in which a model is chosen: one of this machine's, or any Hub id, folder or GGUF file typed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.engine.catalog import ModelSource, local_models
from tui.sanitize import sanitize, sanitize_line
from tui.screens.dialog import ClosedOnce
from tui.widgets.figures import bytes_text


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """What the user asked to load: a Hub id, a folder, a `.gguf` file or `demo`."""

    model: str


class ModelPicker(ClosedOnce[ChosenModel]):
    """Returns the model that was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close"),
        Binding("down", "to_list", show=False),
    ]
    CSS = """
    ModelPicker {
        align: center middle;
        & > Vertical {
            width: 76; max-width: 96%; height: auto; max-height: 90%;
            padding: 1 2; background: $surface; border: round $border;
        }
        & .title { text-style: bold; width: 1fr; }
        & .message { color: $text-warning; height: auto; width: 1fr; margin-bottom: 1; }
        & .note { color: $text-muted; height: auto; width: 1fr; margin-top: 1; }
        & Input { margin-top: 1; width: 1fr; }
        & OptionList { height: auto; max-height: 12; margin-top: 1; background: $surface; border: none; }
    }
    """

    def __init__(self, *, message: str = "", current: str = "") -> None:
        super().__init__()
        self._message = message
        self._current = current
        self._models: list[ModelSource] = []

    def compose(self) -> ComposeResult:
        """Lay out the field and the list."""
        with Vertical():
            yield Label("Choose a model", classes="title")
            if self._message:
                yield Label(Content(sanitize(self._message)), classes="message")
            yield Input(
                placeholder="Hub id (org/name), folder or .gguf file, then Enter", compact=True
            )
            yield OptionList(id="models")
            yield Label("Looking for models on this machine…", id="note", classes="note")

    def on_mount(self) -> None:
        """Begin to look for models."""
        self._look()

    @work(thread=True, exit_on_error=False)
    def _look(self) -> None:
        found = local_models()
        self.app.call_from_thread(self._show, found)

    def _show(self, models: Sequence[ModelSource]) -> None:
        if not self.query("#models"):
            return  # closed meanwhile
        options = self.query_one("#models", OptionList)
        for source in models:
            mark = "● " if source.model == self._current else "  "
            size = f" · {bytes_text(source.size_bytes)}" if source.size_bytes else ""
            facts = f"  {source.kind.value}{size}"
            prompt = Content.assemble(mark, sanitize_line(source.name), (facts, "$text-muted"))
            options.add_option(Option(prompt))
        self._models = list(models)
        note = self.query_one("#note", Label)
        if models:
            note.update("Enter loads the marked model, ↓ goes to the list; Esc closes.")
            options.highlighted = next(
                (i for i, source in enumerate(models) if source.model == self._current), 0
            )
        else:
            note.update(
                "There is no model on this machine yet. Type a Hub id such as "
                "HuggingFaceTB/SmolLM2-360M-Instruct, or the path of a model folder or .gguf file."
            )

    def action_to_list(self) -> None:
        """Move from the field to the list."""
        self.set_focus(self.query_one(OptionList))

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        event.stop()
        options = self.query_one("#models", OptionList)
        if text := event.value.strip():
            self.dismiss(ChosenModel(text))
        elif options.highlighted is not None:
            self.dismiss(ChosenModel(self._models[options.highlighted].model))

    @on(OptionList.OptionSelected)
    def _picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(ChosenModel(self._models[event.option_index].model))
