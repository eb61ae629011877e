"""The engine that the worker drives; it dispatches to the local or the remote engine by the model's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tui.engine.base import (
    Emit,
    Engine,
    Finished,
    GenerateRequest,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    PromptDescribed,
)
from tui.engine.remote.address import is_server


class Engines:
    """Has one model, here or on a server; implements `tui.engine.base.Engine`."""

    def __init__(self, local: Engine, make_remote: Callable[[], Engine]) -> None:
        """Begin with the engine of this machine.

        Args:
            local: has the models of this machine.
            make_remote: makes the one that has those of servers; called on the worker's thread when the first is wanted, since what
                it imports is not needed before.
        """
        self._local = local
        self._make_remote = make_remote
        self._remote: Engine | None = None
        self._local_request: LoadRequest | None = None
        """What the model of this machine was loaded by."""
        self._current = local

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        return self._current.loaded

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model and replace the loaded one, on the engine it belongs to; see `Engine.load`."""
        wanted, former = self._engine_for(request.model), self._current
        info = self._still_there(wanted, request) or wanted.load(request, emit, cancelled)
        self._current = wanted
        if wanted is self._local:
            self._local_request = _key(request, info)
        if wanted is not former and not request.keeps_former:
            former.unload()
        return info

    def _still_there(self, wanted: Engine, request: LoadRequest) -> ModelInfo | None:
        """Return the model of this machine that was kept while a server's was in use, if it is the one that is asked for."""
        info = wanted.loaded
        is_back = wanted is self._local and self._current is not wanted
        if not is_back or info is None or _key(request, info) != self._local_request:
            return None
        is_it = (request.model, request.quantization) == (info.model, info.quantization)
        return info if is_it else None

    def _engine_for(self, model: str) -> Engine:
        if not is_server(model):
            return self._local
        if self._remote is None:
            self._remote = self._make_remote()
        return self._remote

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Make a reply; see `Engine.generate`."""
        return self._current.generate(request, emit, cancelled)

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead; see `Engine.prepare`."""
        return self._current.prepare(request, cancelled)

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return a prompt; see `Engine.describe`."""
        return self._current.describe(request)

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into tokens; see `Engine.split`."""
        return self._current.split(text)

    def unload(self) -> None:
        """Forget the models of all engines and free their memory."""
        self._local.unload()
        if self._remote is not None:
            self._remote.unload()

    def memory(self) -> MemoryReading:
        """Return the memory of the device in use; see `Engine.memory`."""
        return self._current.memory()

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the device of this machine that a model would go to; see `Engine.target_memory`."""
        return self._local.target_memory()


def _key(request: LoadRequest, info: ModelInfo) -> LoadRequest:
    """Return a request with nothing in it that makes no other model of it."""
    return replace(
        request,
        model=info.model,
        quantization=info.quantization,
        trusted=(),
        keeps_former=False,
    )
