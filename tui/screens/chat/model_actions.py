"""What the user does with models: choosing, reloading, quantizing, drafting, unloading. Also reports the outcome of a load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tui.chat.core import Core
from tui.chat.loader import LoadEnded, short_name
from tui.chat.servers import Servers
from tui.chat.ui import Answer
from tui.engine.base import Failed, FailureCause, LoadCancelled, ModelReady, Unloaded
from tui.engine.quantization import availability
from tui.screens.chat.downloading import Downloading
from tui.screens.chat.model_rescue import ModelRescue
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.settings.state import AppState

if TYPE_CHECKING:
    from tui.engine.hub.downloads import Downloads
    from tui.engine.hub.hub import Hub
    from tui.screens.models.picker import ModelDesk


class ModelActions:
    """Carries out the user's actions on models."""

    def __init__(
        self,
        core: Core,
        view: View,
        hub: Callable[[], Hub],
        downloads: Downloads,
        servers: Servers,
        downloading: Downloading,
        rescue: ModelRescue,
        ui: ScreenUi,
    ) -> None:
        self._core = core
        self._view = view
        self._hub = hub
        self._downloads = downloads
        self._servers = servers
        self._downloading = downloading
        self._rescue = rescue
        self._ui = ui
        core.loader.ended.listen(self._load_ended)

    # -- choosing and loading

    async def choose(self, name: str = "") -> None:
        """Load the named model; without a name, ask for one."""
        if name:
            named = self._servers.resolve(name)
            await self._downloading.get(self._core.settings.load_request(named))
        else:
            await self.pick()

    async def pick(self, message: str = "") -> None:
        """Ask for a model and load it.

        Args:
            message: the reason, shown in the dialog.
        """
        from tui.screens.models.picker import ModelPicker

        settings, loader = self._core.settings, self._core.loader
        request = await self._ui.show(
            ModelPicker(
                self._desk(),
                message=message,
                current=loader.model,
                request=settings.load_request(""),
            )
        )
        self._downloading.watch()
        if request is not None:
            loader.load(request)

    def _desk(self) -> ModelDesk:
        """Return what the model picker needs."""
        from tui.screens.models.picker import ModelDesk

        state = self._core.settings.state
        models = (*state.favorites, *state.recent_models, self._core.loader.model)
        return ModelDesk(
            self._hub(),
            self._downloads,
            state,
            self._rescue.measure_memory,
            self._remember,
            self._servers.known(models),
        )

    def _remember(self, state: AppState) -> None:
        """Remember favorites and folders for the next start."""
        self._core.settings.remember(favorites=state.favorites, model_folders=state.model_folders)
        self._downloading.watch()

    def reload(self) -> None:
        """Load the model again."""
        loader = self._core.loader
        if loader.wanted is not None:
            loader.load(loader.wanted)

    def cancel(self) -> None:
        """Stop loading."""
        self._core.loader.cancel()

    def unload(self) -> None:
        """Free the model's memory."""
        self._core.loader.unload()

    def requantize(self, name: str) -> None:
        """Load the model with another quantization."""
        loader = self._core.loader
        found = availability(name, loader.info.device if loader.info else "")
        if not found.ok:
            remedy = f" Install it with: {found.command}" if found.command else ""
            self._ui.tell(
                f"This quantization can't be used here: it {found.reason}.{remedy}",
                severity="warning",
            )
            self._view.sidebar.show_quantization(loader.quantization)
            return
        with self._core.undoing.step("Quantization", "quantization"):
            loader.requantize(name)

    def show_memory(self) -> None:
        """Show what uses memory."""
        from tui.screens.models.memory_view import MemoryView

        view = MemoryView(self._core.client.memory, self._core.loader.info)
        self._ui.open(view)

    # -- the assistant model

    async def choose_assistant(self, argument: str = "") -> None:
        """Choose a model that drafts for the loaded one, or none; without an argument, ask."""
        loader = self._core.loader
        wanted, name = loader.wanted, argument.strip()
        if loader.info is None or wanted is None:
            self._ui.tell(
                "Load a model first. Then choose one that drafts for it.", severity="warning"
            )
        elif not name:
            await self._ask_for_assistant()
        elif (name := "" if name.casefold() == "none" else name) == loader.assistant:
            self._ui.tell(
                f"{short_name(name)} is already the assistant model."
                if name
                else "No assistant model is in use."
            )
        else:
            loader.load(replace(wanted, assistant=name))

    async def _ask_for_assistant(self) -> None:
        from tui.screens.models.picker import ModelPicker

        loader = self._core.loader
        answer: str | None = "other"
        if loader.assistant:
            answers = (
                Answer("other", "Choose another", "c"),
                Answer("none", "No assistant model", "n"),
                Answer("keep", "Keep it", "k", is_escape=True),
            )
            text = f"{short_name(loader.assistant)} drafts for {loader.name}."
            answer = await self._ui.ask("The assistant model", text, answers)
        if answer == "none":
            self._load_with_assistant("")
        elif answer == "other":
            message = f"A small model of the same family works best. It drafts tokens, and {loader.name} checks them."
            picker = ModelPicker(self._desk(), message=message, assistant=True)
            request = await self._ui.show(picker)
            if request is not None:
                self._load_with_assistant(request.model)

    def _load_with_assistant(self, name: str) -> None:
        loader = self._core.loader
        if loader.wanted is not None:
            loader.load(replace(loader.wanted, assistant=name))

    # -- the outcome of a load

    def _load_ended(self, ended: LoadEnded) -> None:
        settings = self._core.settings
        self._follow_quantization()
        match ended.event:
            case ModelReady(info):
                if not info.server:
                    self._core.measuring.note_load(info)
                if not ended.is_passing:
                    recent = settings.state.with_recent(info.model).recent_models
                    settings.remember(recent_models=recent)
            case Failed(cause=FailureCause.CODE) as failed if self._rescue.can_trust(failed):
                self._ui.start(self._rescue.ask_to_trust(ended.request, failed))
            case Failed(cause=FailureCause.UNENCRYPTED) as failed if self._rescue.can_trust(failed):
                self._ui.start(self._rescue.ask_to_send_unencrypted(ended.request, failed))
            case Failed(cause=FailureCause.MEMORY) as failed:
                offer = self._rescue.offer_ways_out(ended.request, failed, in_reply=False)
                self._ui.start(offer)
            # What is to be done when the engine has ended is asked by `Recovery`.
            case Failed() as failed if failed.cause is not FailureCause.ENGINE:
                # After a reply by another model, the one before is loaded again by whoever asked for it.
                self._tell_failed(failed, restores=not ended.is_passing)
            case LoadCancelled():
                self._ui.tell("Loading was stopped.")
            case Unloaded():
                self._ui.tell("The model was unloaded, and its memory is free.")

    def _follow_quantization(self) -> None:
        """Have the quantization of the model that is there in force, also where another one could not be loaded."""
        loader = self._core.loader
        if loader.info is not None and not loader.info.server:
            self._core.settings.set_quantization(loader.quantization, remembers=False)

    def _tell_failed(self, failed: Failed, *, restores: bool) -> None:
        loader = self._core.loader
        is_restoring = restores and loader.restore()
        if failed.keeps_model:
            now = " The previous model is still loaded."
        else:
            now = " The previous model is being loaded again." if is_restoring else ""
        self._ui.tell(
            f"{failed.message} {failed.hint}{now}",
            title="The model was not loaded",
            severity="error",
            is_shown=not (failed.keeps_model or is_restoring)
            and not self._core.session.conversation.path,
        )
