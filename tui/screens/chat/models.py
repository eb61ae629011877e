"""The model as seen from the main screen: choosing, loading, unloading, and replies that wait for a load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual import on

from tui.engine.base import Event, Failed, LoadCancelled, LoadRequest, ModelReady, Unloaded
from tui.engine.worker import JobId
from tui.screens.chat.desk import EngineDesk
from tui.screens.model_picker import ChosenModel, ModelPicker
from tui.widgets.sidebar import Sidebar


@dataclass(frozen=True, slots=True)
class Pending:
    """A reply that begins when a model is loaded.

    Attributes:
        chat_id: the chat that it belongs to; in another one it does not begin.
        begin: begins it.
        request: the load that it waits for; None when any model will do.
        back_to: the model to load again afterwards.
    """

    chat_id: str
    begin: Callable[[], None]
    request: LoadRequest | None = None
    back_to: LoadRequest | None = None


class Models(EngineDesk):
    """Loads models behind the screen."""

    pending: Pending | None = None
    _loading: LoadRequest | None = None
    _return_to: LoadRequest | None = None
    """The model to go back to after a reply by another one."""
    quitting = False

    # -- loading

    def load_model(self, request: LoadRequest) -> None:
        """Load a model behind the screen."""
        self._loading = request
        self.model.load(request)
        self.engine_asked()
        self.show_model()

    def choose_model(self, request: LoadRequest) -> None:
        """Load a model that the user chose, which ends what was planned with another one."""
        self._return_to = None
        if self.pending is not None and self.pending.request is not None:
            self.drop_pending("another model was chosen")
        self.load_model(request)

    def load_back(self) -> None:
        """Go back to the model that was there before a reply by another one."""
        request, self._return_to = self._return_to, None
        info = self.model.info
        if request is None or self.quitting or self.model.loading:
            return
        if info is None or (info.model, info.quantization) != (request.model, request.quantization):
            self.load_model(request)

    def take_event(self, job: JobId, event: Event) -> bool:
        """Follow one event; return whether it was anybody's here."""
        if super().take_event(job, event):
            return True
        if self.model.take(job, event):
            self._model_event(event)
        return True

    def _model_event(self, event: Event) -> None:
        match event:
            case ModelReady():
                self.quantization = self.model.quantization
                if self._return_to is None and (self.pending is None or not self.pending.back_to):
                    self.remember()
            case Failed(message, hint):
                kept = " The model that was loaded still is." if event.keeps_model else ""
                self.tell(
                    f"{message} {hint}{kept}", title="The model was not loaded", severity="error"
                )
            case LoadCancelled():
                self.tell("Loading was cancelled.")
            case Unloaded():
                self.tell("The model was unloaded; its memory is free.")
            case _:
                pass
        self.show_model()
        self._settle_pending(event)

    # -- replies that wait for a load

    def begin_when_loaded(self, pending: Pending) -> None:
        """Keep a reply until the model that it waits for is loaded."""
        self.pending = pending
        self.refresh_bindings()

    def _settle_pending(self, event: Event) -> None:
        pending = self.pending
        if pending is None or self.model.loading:
            return
        is_wanted = pending.request is None or pending.request is self._loading
        if not (isinstance(event, ModelReady) and is_wanted):
            self.drop_pending("the model was not loaded")
            return
        self.pending = None
        self._return_to = pending.back_to
        if pending.chat_id == self.conversation.id:
            pending.begin()

    def drop_pending(self, why: str) -> None:
        """Give up the reply that waits for a load, and say so."""
        pending, self.pending = self.pending, None
        if pending is None:
            return
        self.tell(
            f"No reply was made, since {why}. What you wrote is saved: r on it has it answered."
        )
        self._return_to = pending.back_to
        self.load_back()
        self.refresh_bindings()

    # -- what the user asks for

    @on(Sidebar.QuantizationChanged)
    def _quantization_changed(self, event: Sidebar.QuantizationChanged) -> None:
        self.quantization = event.name
        if (request := self.model.requantized(event.name)) is not None:
            self.choose_model(request)
        else:
            self.remember()

    @on(Sidebar.ModelPressed)
    def _model_pressed(self) -> None:
        self.action_model_choose()

    def action_model_choose(self, message: str = "") -> None:
        """Ask for a model and load it."""

        def chosen(choice: ChosenModel | None) -> None:
            if choice is not None:
                self.choose_model(LoadRequest(choice.model, self.quantization))

        self.app.push_screen(ModelPicker(message=message, current=self.model.model), chosen)

    def action_model_cancel(self) -> None:
        """Stop loading."""
        self.model.cancel()

    def action_model_unload(self) -> None:
        """Free the model's memory."""
        self._return_to = None
        self.model.unload()
        self.engine_asked()
        self.show_model()

    def action_model_reload(self) -> None:
        """Load the model once more."""
        if self.model.wanted is not None:
            self.choose_model(self.model.wanted)
