"""The dialog with options for a single reply: other parameters, another model, and the first words of the reply."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.chat.loader import short_name
from tui.dataclass import dataclass
from tui.engine.base import ModelInfo, ModelLoadError
from tui.engine.catalog import ModelSource, resolve
from tui.engine.remote.address import AddressError, is_server
from tui.engine.remote.address import parse as parse_address
from tui.parameters import PARAMETERS, Value
from tui.sanitize import sanitize_line
from tui.screens.dialog import FormDialog, Hint, TextField, show_problem
from tui.widgets.bindings import key_name
from tui.widgets.defaults import Defaults
from tui.widgets.figures import bytes_text
from tui.widgets.line_input import LineInput
from tui.widgets.parameter_field import ParameterField, ValueInput


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    """The options for one reply.

    Attributes:
        parameters: the values that are set; all others have their defaults.
        model: the model to load; empty for the current one.
        start_text: the first words of the reply, as typed.
    """

    parameters: Mapping[str, Value] = field(default_factory=dict)
    model: str = ""
    start_text: str = ""


class ReplyOptions(FormDialog[ChosenOptions]):
    """Returns the options for the reply, or None."""

    CSS = """
    ReplyOptions {
        & > #dialog { width: 80; height: 32; }
        & #fields { height: 1fr; background: $surface; }
        & .heading { margin-top: 1; }
        &.-short .heading { margin-top: 0; }
        & #models { height: auto; max-height: 4; }
        & TextField { min-height: 2; max-height: 5; }
    }
    """

    def __init__(
        self,
        parameters: Mapping[str, Value],
        info: ModelInfo | None,
        models: Callable[[], Sequence[ModelSource]],
        start_text: str = "",
    ) -> None:
        """Create the dialog.

        Args:
            parameters: the values that are set for the chat.
            info: the current model and its capabilities; None without a model.
            models: returns the models to choose from; called on a thread.
            start_text: the initial first words of the reply.
        """
        super().__init__()
        self._parameters = {name: value for name, value in parameters.items() if value is not None}
        self._defaults = Defaults.of(info)
        self._find_models = models
        self._current_model = info.model if info is not None else ""
        self._start_text = start_text
        self._models: Sequence[ModelSource] = ()
        self._offered: Sequence[ModelSource] = ()

    def _newline_key(self) -> str:
        key = key_name(self.app, "text.newline")
        return f" ({key}: new line)" if key else ""

    def compose(self) -> ComposeResult:
        """Lay out the fields."""
        with Vertical(id="dialog"):
            yield Label("This reply only", classes="title")
            yield Label("OPENING", classes="heading")
            continues = self._defaults.capabilities.continues
            placeholder = (
                f"The reply starts with this text, and the model continues it{self._newline_key()}"
            )
            refused = f"{self._defaults.server} can't start a reply with text that you provide."
            start = TextField(
                self._start_text if continues else "",
                placeholder=placeholder if continues else sanitize_line(refused),
                id="start",
            )
            start.disabled = not continues
            yield start
            with VerticalScroll(id="fields", can_focus=False):
                yield Label("MODEL", classes="heading")
                name = sanitize_line(short_name(self._current_model))
                yield LineInput(
                    placeholder=f"{name} (loaded now)"
                    if name
                    else "Hub ID, folder, .gguf file or a server's address",
                    compact=True,
                    id="model",
                )
                yield OptionList(id="models")
                yield Label("GENERATION", classes="heading")
                for parameter in PARAMETERS.values():
                    # Rarely used parameters are in the sidebar. Those that are set are shown here too.
                    if parameter.is_common or parameter.name in self._parameters:
                        yield ParameterField(parameter, self._parameters.get(parameter.name))
            yield from self.compose_end(
                "Reply",
                [
                    Hint("Enter", "reply", "accept"),
                    Hint("Tab", "next field", "app.focus_next"),
                    Hint("Esc", "close", "close"),
                ],
            )

    def on_mount(self) -> None:
        """Show the defaults and start looking for models."""
        for parameter_field in self.query(ParameterField):
            parameter_field.set_defaults(self._defaults)
        self._look()

    # -- models

    @work(thread=True)
    def _look(self) -> None:
        found = self._find_models()
        self.app.call_from_thread(self._found, found)

    def _found(self, models: Sequence[ModelSource]) -> None:
        if self.is_attached and self.query("#models"):
            self._models = models
            self._offer(self.query_one("#model", Input).value)

    def _offer(self, typed: str) -> None:
        """List the models whose names contain the typed text; all models if it is the full name of one."""
        words = typed.casefold().split()
        is_chosen = any(sanitize_line(source.model) == typed for source in self._models)
        self._offered = [
            source
            for source in self._models
            if is_chosen
            or all(word in f"{source.name} {source.model}".casefold() for word in words)
        ]
        options = self.query_one("#models", OptionList)
        options.set_options(self._model_option(source) for source in self._offered)
        options.display = bool(self._offered)

    def _model_option(self, source: ModelSource) -> Option:
        mark = "● " if source.model == self._current_model else "  "
        size = f" · {bytes_text(source.size_bytes)}" if source.size_bytes else ""
        facts = f"  {source.kind.value}{size}"
        return Option(Content.assemble(mark, sanitize_line(source.name), (facts, "$text-muted")))

    @on(Input.Changed, "#model")
    def _model_typed(self, event: Input.Changed) -> None:
        event.stop()
        show_problem(self, "")
        self._offer(event.value.strip())

    @on(OptionList.OptionSelected, "#models")
    def _model_picked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        model = self._offered[event.option_index].model
        typed = self.query_one("#model", Input)
        typed.value = "" if model == self._current_model else sanitize_line(model)
        self.set_focus(typed)

    # -- parameters and accepting

    @on(ParameterField.Changed)
    def _parameter_changed(self, event: ParameterField.Changed) -> None:
        # The value applies to this reply only, so the screen below must not receive the message.
        event.stop()

    def action_accept(self) -> None:
        """Return the options; if a field has an invalid value, go there instead."""
        for invalid in self.query("ParameterField.-invalid"):
            self.set_focus(invalid.query_one(ValueInput))
            return
        typed = self.query_one("#model", Input).value.strip()
        listed = (one.model for one in self._models if sanitize_line(one.model) == typed)
        self._accept(next(listed, typed))

    @work(thread=True, exclusive=True)
    def _accept(self, model: str) -> None:
        """Check the model's name off the UI thread, because that accesses the disk."""
        if model == self._current_model:
            model = ""
        try:
            named = _whole_name(model) if model else ""
        except (ModelLoadError, AddressError) as error:
            self.app.call_from_thread(self._refuse, str(error))
            return
        self.app.call_from_thread(self._done, named)

    def _refuse(self, problem: str) -> None:
        if self.is_attached and self.query("#models"):
            show_problem(self, problem)
            self.set_focus(self.query_one("#model", Input))

    def _done(self, model: str) -> None:
        if self.is_current:
            start_text = self.query_one("#start", TextField).text
            fields = {one.parameter.name: one.enter() for one in self.query(ParameterField)}
            chosen = {name: value for name, value in fields.items() if value is not None}
            self.dismiss(ChosenOptions(chosen, model, start_text))


def _whole_name(model: str) -> str:
    """Return the full name or path for a typed model name.

    Raises:
        ModelLoadError, AddressError: the name can't be loaded.
    """
    return str(parse_address(model)) if is_server(model) else resolve(model).model
