"""The model as seen from the main screen: choosing, loading, unloading, and replies that wait for a load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from textual import on, work
from textual.timer import Timer

from tui.engine import catalog, trust
from tui.engine.base import (
    EngineError,
    Event,
    Failed,
    FailureCause,
    LoadCancelled,
    LoadRequest,
    ModelInfo,
    ModelLoadError,
    ModelReady,
    Unloaded,
)
from tui.engine.catalog import ModelKind
from tui.engine.facts import ModelFacts
from tui.engine.hub.downloads import Download, DownloadStatus
from tui.engine.hub.hub import DownloadPlan
from tui.engine.hub.problems import is_network_problem
from tui.engine.quantization import availability
from tui.engine.worker import JobId
from tui.screens.ask import Answer, Ask
from tui.screens.chat.desk import EngineDesk
from tui.screens.models.download_question import GET, LOAD, no_room, question
from tui.screens.models.memory_view import MemoryView
from tui.screens.models.picker import ModelDesk, ModelPicker
from tui.screens.models.rescue import PICKER, SHORTER, ways_out
from tui.screens.models.rows import Room, download_text, downloads_text
from tui.settings.state import AppState
from tui.widgets.sidebar import Sidebar

DOWNLOADS_S: Final = 0.5
"""How often downloads are looked at while there are any."""


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
    _download_timer: Timer | None = None

    # -- loading

    def load_model(self, request: LoadRequest) -> None:
        """Load a model behind the screen."""
        self._loading = request
        self.model.load(replace(request, trusted=self.state.trusted))
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
                self._note_load(event.info)
                if self._return_to is None and (self.pending is None or not self.pending.back_to):
                    self.state = self.state.with_recent(event.info.model)
                    self.remember()
            case Failed(cause=FailureCause.CODE) if self._loading is not None and self._helps(
                event
            ):
                self._ask_to_trust(self._loading, event)
            case Failed(cause=FailureCause.MEMORY) if self._loading is not None:
                self.offer_ways_out(self._loading, event)
            case Failed(message, hint):
                kept = " The model that was loaded still is." if event.keeps_model else ""
                self.tell(
                    f"{message} {hint}{kept}",
                    title="The model was not loaded",
                    severity="error",
                    is_shown=not event.keeps_model and not self.conversation.path,
                )
            case LoadCancelled():
                self.tell("Loading was cancelled.")
            case Unloaded():
                self.tell("The model was unloaded; its memory is free.")
            case _:
                pass
        self.show_model()
        self._settle_pending(event)

    def _note_load(self, info: ModelInfo) -> None:
        """Keep what the model takes, for the next choice of a quantization."""
        measurements = self.measurements
        self.note_measured(
            lambda: measurements.note_load(info.model, info.quantization, info.weights_bytes)
        )

    @work
    async def note_measured(self, note: Callable[[], None]) -> None:
        """Keep what was measured, on the thread that writes, and show it."""
        await asyncio.wrap_future(self.sessions.run(note))
        self.show_measured()

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
        device = self.model.info.device if self.model.info else ""
        found = availability(event.name, device)
        if not found.ok:
            remedy = f" Install it with: {found.command}" if found.command else ""
            self.tell(
                f"This quantization can't be used here: {found.reason}.{remedy}", severity="warning"
            )
            self.sidebar.show_quantization(self.model.quantization)
            return
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

        def chosen(request: LoadRequest | None) -> None:
            if self.downloads.all:
                self.watch_downloads()
            if request is not None:
                self.choose_model(request)

        picker = ModelPicker(
            self.model_desk,
            message=message,
            current=self.model.model,
            request=self.request_for(""),
        )
        self.app.push_screen(picker, chosen)

    @property
    def model_desk(self) -> ModelDesk:
        """What the picker works with."""
        return ModelDesk(
            self.hub, self.downloads, self.state, self.look_for_room, self.remember_models
        )

    def look_for_room(self) -> Room:
        """Find out what there is room for; on a thread, since it may import torch."""
        try:
            device, reading = self.worker.target_memory()
        except EngineError:
            device, reading = "", self.worker.memory()
        own = self.worker.memory()
        # The model in use goes before another one comes, so that its place counts as free.
        freed = own.weights + own.cache if own.device == reading.device else 0
        return Room(
            device,
            f"{reading.device} ({reading.kind})",
            reading.free + freed,
            measured=self.measurements.figures,
            half_dtype=reading.half_dtype,
        )

    def remember_models(self, state: AppState) -> None:
        """Keep favourites and folders for the next start."""
        self.state = replace(
            self.state, favourites=state.favourites, model_folders=state.model_folders
        )
        self.remember()
        self.watch_downloads()

    def action_model_memory(self) -> None:
        """Show where the memory goes."""
        self.app.push_screen(MemoryView(self.worker.memory, self.model.info))

    # -- downloads

    def watch_downloads(self) -> None:
        """Look at downloads now and then as long as there are any."""
        if self._download_timer is None:
            self._download_timer = self.set_interval(DOWNLOADS_S, self._look_at_downloads)

    def _look_at_downloads(self) -> None:
        for one in self.downloads.all:
            if one.status.has_ended:
                self.downloads.forget(one.repo_id)
                self._download_ended(one)
        running = self.downloads.running
        self.download_text = " · ".join(f"{one.repo_id} {download_text(one)}" for one in running)
        self.download_short = downloads_text(running)
        self.show_status()
        if not running and self._download_timer is not None:
            self._download_timer.stop()
            self._download_timer = None
        self.refresh_bindings()

    def _download_ended(self, one: Download) -> None:
        match one.status:
            case DownloadStatus.FAILED:
                self.tell(one.problem, title="The download failed", severity="error")
            case DownloadStatus.CANCELLED:
                self.tell(
                    f"The download of {one.repo_id} was stopped; it goes on where it was when it is started again."
                )
            case DownloadStatus.DONE if one.load and not self.quitting:
                self.tell(f"{one.repo_id} is here and is being loaded.")
                self.choose_model(replace(self.request_for(one.repo_id), revision=one.revision))
            case DownloadStatus.DONE:
                self.tell(f"{one.repo_id} is here; F4 loads it.")

    @work(exclusive=True, group="get-model")
    async def get_model(self, request: LoadRequest) -> None:
        """Load a model; what would have to be downloaded for it is asked about first."""
        try:
            plan = await asyncio.to_thread(self._plan, request)
        except ModelLoadError as error:
            if is_network_problem(error):
                # Without the Hub nothing is downloaded: the load takes what is here, or says what is missing.
                self.choose_model(request)
            else:
                self.tell(
                    f"{error.message} {error.hint}",
                    title="The model was not loaded",
                    severity="error",
                )
            return
        if self.quitting:
            return
        if plan is None or not plan.missing_bytes:
            self.choose_model(request)
        elif not plan.fits:
            self.tell(no_room(plan), title="The model was not loaded", severity="error")
        else:
            answer = await self.app.push_screen_wait(question(plan))
            if answer in (LOAD, GET):
                self.downloads.start(request.model, request.revision, load=answer == LOAD)
                self.watch_downloads()

    def _plan(self, request: LoadRequest) -> DownloadPlan | None:
        """Return what a download would take; None for a model that is here."""
        try:
            source = catalog.resolve(request.model)
        except ModelLoadError:
            # The load says what is wrong with the name.
            return None
        if source.kind is not ModelKind.HUB:
            return None
        cached = {one.model: one for one in catalog.local_models()}.get(source.model)
        if cached is not None and catalog.is_complete(cached):
            return None
        return self.hub.plan(request.model, request.revision)

    def action_download_cancel(self) -> None:
        """Stop what is being downloaded."""
        for one in self.downloads.running:
            self.downloads.cancel(one.repo_id)
        self._look_at_downloads()

    # -- ways out of a failure

    def _helps(self, failed: Failed) -> bool:
        """Whether an answer could help: what was agreed to and is refused all the same is not asked for again and again."""
        return failed.subject not in ("", *self.state.trusted)

    @work(exclusive=True, group="trust")
    async def _ask_to_trust(self, request: LoadRequest, failed: Failed) -> None:
        """Ask whether some code may run. Agreement holds for this version of it; what else the model needs asks when its turn comes."""
        text = (
            f"{failed.message}\n\nSuch code can do all that you can do on this machine. If you agree, this version of it is run "
            f"from now on; any other is asked for again."
        )
        answers = (
            Answer("no", "Don't run it", "n"),
            Answer("yes", "I trust its authors", "y", "error"),
        )
        title = f"Run code of {trust.short(failed.subject)}?"
        answer = await self.app.push_screen_wait(Ask(title, text, answers))
        if answer == "yes":
            trusted = dict.fromkeys((*self.state.trusted, failed.subject))
            self.state = replace(self.state, trusted=tuple(trusted))
            self.remember()
            self.choose_model(request)

    @work(exclusive=True, group="rescue")
    async def offer_ways_out(
        self, request: LoadRequest, failed: Failed, shorten: Callable[[], None] | None = None
    ) -> None:
        """Offer what can be done when memory ran out.

        Args:
            request: the load that failed, or that the reply was made with.
            failed: what happened.
            shorten: leaves out a part of the chat and asks again; None where no reply failed.
        """
        facts, room = await asyncio.to_thread(self._look_at, request)
        ways = ways_out(request, facts, room, in_reply=shorten is not None)
        answers = [Answer("no", "Leave it", "n"), *(way.answer for way in ways)]
        answer = await self.app.push_screen_wait(
            Ask("There is not enough memory", failed.message, answers)
        )
        if answer == SHORTER and shorten is not None:
            shorten()
        elif answer == PICKER:
            self.action_model_choose()
        for way in ways:
            if way.answer.id == answer and way.request is not None:
                self.choose_model(way.request)

    def _look_at(self, request: LoadRequest) -> tuple[ModelFacts | None, Room]:
        room = self.look_for_room()
        try:
            sources = {one.model: one for one in catalog.local_models(self.state.model_folders)}
            source = sources.get(request.model) or catalog.resolve(request.model)
            return catalog.facts(source), room
        except ModelLoadError:
            return None, room

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
