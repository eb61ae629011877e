"""The dialog for one reply only: other parameters, another model, and words that the reply begins with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.chat.loader import short_name
from tui.engine.base import ModelInfo, ModelLoadError
from tui.engine.catalog import ModelSource, resolve
from tui.engine.remote.address import AddressError, is_server
from tui.engine.remote.address import parse as parse_address
from tui.parameters import PARAMETERS, Value
from tui.sanitize import sanitize_line
from tui.screens.dialog import FormDialog, Hint, TextField, show_problem
from tui.widgets.bindings import key_name
from tui.widgets.editor import LineInput
from tui.widgets.figures import bytes_text
from tui.widgets.parameter_field import Defaults, ParameterField


@dataclass(frozen=True, slots=True)
class ChosenOptions:
    """What one reply is to be made with.

    Attributes:
        parameters: those that are set; the others have their defaults.
        model: what to load for it; empty for the model that is there.
        start_text: what the reply begins with, as it was typed.
    """

    parameters: Mapping[str, Value] = field(default_factory=dict)
    model: str = ""
    start_text: str = ""


class ReplyOptions(FormDialog[ChosenOptions]):
    """Returns what to make the reply with, or None."""

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
        """Make the dialog.

        Args:
            parameters: those that are set for the chat.
            info: the model that the chat is talked with, and what it can; None without one.
            models: finds the models to choose from; called on a thread.
            start_text: what the reply is to begin with, to start with.
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
            yield Label("IT BEGINS WITH", classes="heading")
            continues = self._defaults.capabilities.continues
            placeholder = f"Words that the model goes on from{self._newline_key()}"
            refused = f"{self._defaults.server} can't begin a reply with given words."
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
                    else "Hub id, folder, .gguf file or a server's address",
                    compact=True,
                    id="model",
                )
                yield OptionList(id="models")
                yield Label("GENERATION", classes="heading")
                for parameter in PARAMETERS.values():
                    # The rare ones can be set in the sidebar; those that are set are here too.
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
        """Show the defaults and begin to look for models."""
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
        """List the models whose name has the words typed in it; all when it is the name of one."""
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

    # -- parameters and the end

    @on(ParameterField.Changed)
    def _parameter_changed(self, event: ParameterField.Changed) -> None:
        # It is for this reply only: the screen below must not hear of it.
        event.stop()

    def action_accept(self) -> None:
        """Return what was chosen; stay where a field holds what can't be taken."""
        if self.query("ParameterField.-invalid"):
            return
        typed = self.query_one("#model", Input).value.strip()
        listed = (one.model for one in self._models if sanitize_line(one.model) == typed)
        self._accept(next(listed, typed))

    @work(thread=True, exclusive=True)
    def _accept(self, model: str) -> None:
        """Check the model's name off the UI thread, since that looks at the disk."""
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
    """Return what a typed name is loaded by.

    Raises:
        ModelLoadError, AddressError: nothing can be loaded by it.
    """
    return str(parse_address(model)) if is_server(model) else resolve(model).model
