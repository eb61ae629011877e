"""Which model is loaded, which one is wanted, and how far its loading is."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
from tui.engine.worker import EngineWorker, JobId


@dataclass
class ModelControl:
    """Asks the worker for models and follows what becomes of it."""

    worker: EngineWorker
    info: ModelInfo | None = None
    wanted: LoadRequest | None = None
    progress: Progress | None = None
    failure: Failed | None = None
    _job: JobId | None = None
    _is_stopping: bool = False

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
        return self.info.quantization if self.info else "none"

    def load(self, request: LoadRequest) -> None:
        """Load a model, in place of any load under way."""
        if self._job is not None:
            self.worker.cancel(self._job)
        self.wanted = request
        self.failure = None
        self._is_stopping = False
        self.progress = Progress("Starting")
        self._job = self.worker.load(request)

    def requantized(self, quantization: str) -> LoadRequest | None:
        """Return the request for the current model with another quantization; None without a model."""
        if not self.model or not (self.info or self.loading):
            return None
        request = self.wanted or LoadRequest(self.model)
        return replace(request, model=self.model, quantization=quantization)

    def unload(self) -> None:
        """Free the model's memory."""
        if self._job is not None:
            self.worker.cancel(self._job)
        self.progress = Progress("Freeing memory")
        self._job = self.worker.unload()

    def cancel(self) -> bool:
        """Stop a load under way; return whether there was one."""
        if self._job is None:
            return False
        self.worker.cancel(self._job)
        self.progress = Progress("Stopping")
        self._is_stopping = True
        return True

    def take(self, job: JobId, event: Event) -> bool:
        """Follow one event; return whether the job is this control's current one and has ended with it."""
        # Also from a load that another one has replaced: what the event says holds for the engine.
        if isinstance(event, ModelReady):
            self.info = event.info
        elif isinstance(event, Unloaded) or (
            isinstance(event, LoadCancelled | Failed) and not event.keeps_model
        ):
            self.info = None
        if job != self._job:
            return False
        if isinstance(event, Progress):
            if not self._is_stopping:
                self.progress = event
            return False
        if isinstance(event, Failed):
            self.failure = event
        if self.info is not None:
            wanted = self.wanted or LoadRequest(self.info.model)
            self.wanted = replace(
                wanted,
                model=self.info.model,
                quantization=self.info.quantization,
                # What was agreed to for a model that did not come says nothing of the one that is still there.
                trust_own_code=wanted.trust_own_code and isinstance(event, ModelReady),
            )
        self._job = None
        self.progress = None
        return True


def short_name(model: str) -> str:
    """Return the last part of a Hub id or path."""
    return model.rstrip("/").rpartition("/")[2] or model
