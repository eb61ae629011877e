"""Which model is loaded, which one is wanted, how far its loading is, and what came of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from tui.chat.settings import ChatSettings
from tui.chat.signal import Signal
from tui.dataclass import dataclass
from tui.engine.base import (
    Event,
    Failed,
    LoadCancelled,
    LoadRequest,
    ModelInfo,
    ModelReady,
    Progress,
    Unloaded,
)
from tui.engine.client import EngineClient, EngineJob
from tui.engine.remote.address import is_server


@dataclass(frozen=True, slots=True)
class LoadEnded:
    """What came of a load or unload that no other one has replaced.

    Attributes:
        request: what was to be loaded; of an unload, what was loaded before.
        event: how it ended.
        is_passing: whether another model is to be loaded again after the next reply.
    """

    request: LoadRequest
    event: Event
    is_passing: bool


class ModelLoader:
    """Loads and unloads; a load that is asked for takes the place of one under way."""

    def __init__(self, client: EngineClient, settings: ChatSettings) -> None:
        """Make it, with no model.

        Args:
            client: what is asked.
            settings: whose code may run, and where the model that is loaded is noted.
        """
        self._client = client
        self._settings = settings
        self.info: ModelInfo | None = None
        self.wanted: LoadRequest | None = None
        self._held: LoadRequest | None = None
        """What the model was loaded with that is there; None for no model."""
        self.progress: Progress | None = None
        self.failure: Failed | None = None
        self.begun: Signal[LoadRequest | None] = Signal()
        """A load begins; with None an unload."""
        self.changed: Signal[None] = Signal()
        """What is loaded, or being loaded, is another."""
        self.ended: Signal[LoadEnded] = Signal()
        self._return_to: LoadRequest | None = None
        """The model to go back to after a reply by another one."""
        self._lost: LoadRequest | None = None
        """What the model was loaded with that was freed for one that could not be loaded."""
        self._job: EngineJob | None = None
        self._is_stopping = False
        self._following: set[asyncio.Task[Event]] = set()

    # -- where it stands

    @property
    def loading(self) -> bool:
        """Whether a load or unload is under way."""
        return self._job is not None

    @property
    def ready(self) -> bool:
        """Whether a reply can be asked for now."""
        return self.info is not None and not self.loading

    @property
    def name(self) -> str:
        """The name to show: of the model that is loaded, or being loaded."""
        if self.loading and self.wanted is not None:
            if self.info is not None and self.info.model == self.wanted.model:
                return self.info.name
            return short_name(self.wanted.model)
        return self.info.name if self.info else ""

    @property
    def model(self) -> str:
        """What to ask for to get this model again; empty without one."""
        if self.wanted is not None:
            return self.wanted.model
        return self.info.model if self.info else ""

    @property
    def quantization(self) -> str:
        """The quantization that is in force, or asked for."""
        if self.wanted is not None:
            return self.wanted.quantization
        return self.info.quantization if self.info else self._settings.quantization

    @property
    def assistant(self) -> str:
        """The model that drafts for this one; empty for none."""
        return self.wanted.assistant if self.wanted is not None else ""

    def requantized(self, quantization: str) -> LoadRequest | None:
        """Return the request for the current model with another quantization; None without one that can have another."""
        is_locked = self.info is not None and bool(
            self.info.server or self.info.quantization_locked
        )
        if not self.model or not (self.info or self.loading) or is_locked:
            return None
        request = self.wanted or LoadRequest(self.model)
        return replace(request, model=self.model, quantization=quantization)

    def requantize(self, quantization: str) -> None:
        """Choose another quantization, and load the model with it; without one that can have another, it holds for the next."""
        request = self.requantized(quantization)
        if request is None and self.wanted is not None and self.info is None:
            self.wanted = replace(self.wanted, quantization=quantization)
        self._settings.set_quantization(quantization, remembers=request is None)
        if request is not None:
            self.load(request)

    # -- loading

    def load(self, request: LoadRequest) -> asyncio.Task[Event]:
        """Load a model, in place of any load under way, and stay with it; the task returns the event that ends the load."""
        self._return_to = None
        return self._load(request)

    def load_for_reply(self, request: LoadRequest) -> asyncio.Task[Event]:
        """Load a model for one reply: `go_back` loads the present one again."""
        if self._return_to is None and self.info is not None:
            self._return_to = self.wanted
        return self._load(request)

    def go_back(self) -> None:
        """Load the model again that was there before a reply by another one, if there was one."""
        request, self._return_to = self._return_to, None
        info = self.info
        if request is None:
            return
        there = (info.model, info.quantization) if info is not None and not self.loading else None
        if there != (request.model, request.quantization):
            self._load(request)

    @property
    def can_restore(self) -> bool:
        """Whether `restore` loads a model."""
        return self._lost is not None and self.info is None and not self.loading

    def restore(self) -> bool:
        """Load the model again that was freed for one that could not be loaded; return whether there is such a model."""
        if not self.can_restore or self._lost is None:
            return False
        self.load(self._lost)
        return True

    def _load(self, request: LoadRequest) -> asyncio.Task[Event]:
        self.begun.emit(request)
        self._cancel_job()
        self.wanted = request
        self.failure = None
        self._is_stopping = False
        job = self._client.load(replace(request, trusted=self._settings.state.trusted))
        return self._follow(job, request, "Starting")

    def unload(self) -> asyncio.Task[Event]:
        """Free the model's memory."""
        self._return_to = None
        self.begun.emit(None)
        self._cancel_job()
        request = self.wanted or LoadRequest(self.model)
        return self._follow(self._client.unload(), request, "Freeing memory")

    def cancel(self) -> bool:
        """Stop a load under way; return whether there was one."""
        if self._job is None:
            return False
        self._job.cancel()
        self.progress = Progress("Stopping")
        self._is_stopping = True
        return True

    async def settled(self) -> bool:
        """Wait until no load is under way; return whether there is a model then."""
        while self._following:
            await asyncio.wait(tuple(self._following))
        return self.info is not None

    def lose(self) -> None:
        """Note that the engine has no model any more, as after a failure that took it along."""
        self._hold(None)
        self.changed.emit(None)

    def _cancel_job(self) -> None:
        if self._job is not None:
            self._job.cancel()

    # -- following

    def _follow(self, job: EngineJob, request: LoadRequest, stage: str) -> asyncio.Task[Event]:
        self._job = job
        self.progress = Progress(stage)
        following = asyncio.get_running_loop().create_task(self._followed(job, request))
        self._following.add(following)
        following.add_done_callback(self._following.discard)
        self.changed.emit(None)
        return following

    async def _followed(self, job: EngineJob, request: LoadRequest) -> Event:
        last: Event = LoadCancelled()
        async for event in job:
            last = event
            if isinstance(event, Progress) and job is self._job and not self._is_stopping:
                self.progress = event
        self._take_end(last, request)
        if job is self._job:
            is_passing = self._return_to is not None
            self._settle(last)
            self.changed.emit(None)
            self.ended.emit(LoadEnded(request, last, is_passing))
        return last

    def _take_end(self, event: Event, request: LoadRequest) -> None:
        """Note what is loaded now: what the end of a load says holds for the engine, also where another load has replaced it."""
        if isinstance(event, ModelReady):
            info = event.info
            self._lost = None
            self._hold(info)
            self._held = replace(request, model=info.model, quantization=info.quantization)
        elif isinstance(event, Unloaded) or (
            isinstance(event, LoadCancelled | Failed) and not event.keeps_model
        ):
            self._note_lost(event, request)
            self._hold(None)

    def _note_lost(self, event: Event, request: LoadRequest) -> None:
        """Note which model was freed for one that could not be loaded; one that can't be loaded itself is none to go back to."""
        lost = self._held or self._lost
        is_other = lost is not None and (lost.model, lost.quantization) != (request.model, request.quantization)  # fmt: skip
        self._lost = lost if is_other and not isinstance(event, Unloaded) else None

    def _hold(self, info: ModelInfo | None) -> None:
        self.info = info
        self._held = None
        self._settings.model = info.model if info is not None else ""

    def _settle(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.failure = event
        # What was wanted of a model that did not come says nothing of the one that is still there.
        if self._held is not None:
            self.wanted = self._held
        self._job = None
        self.progress = None


def short_name(model: str) -> str:
    """Return the last part of a Hub id or path, or of the id of a model on a server."""
    if is_server(model):
        base, _, on_server = model.partition("#")
        model = on_server or base
    return model.rstrip("/").rpartition("/")[2] or model
