"""The engine that the worker drives; it dispatches to the engine that a model belongs to, by its name and what is asked for."""

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
from tui.engine.llama import choice
from tui.engine.remote.address import is_server


class Engines:
    """Has one model, here or on a server; implements `tui.engine.base.Engine`."""

    def __init__(
        self,
        local: Engine,
        make_remote: Callable[[], Engine],
        make_llama: Callable[[], Engine] | None = None,
    ) -> None:
        """Begin with the engine of this machine.

        Args:
            local: has the models of this machine.
            make_remote: makes the one that has those of servers; called on the worker's thread when the first is wanted, since what
                it imports is not needed before.
            make_llama: makes the one that has GGUF files in llama.cpp, likewise; None to leave these to `local`.
        """
        self._local = local
        self._make_remote = make_remote
        self._make_llama = make_llama
        self._remote: Engine | None = None
        self._llama: Engine | None = None
        self._requests: dict[int, LoadRequest] = {}
        """What the models of this machine were loaded by, by their engines' identities."""
        self._current = local

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        return self._current.loaded

    @property
    def lost(self) -> str:
        """Why the model that was loaded is gone; see `Engine.lost`."""
        return self._current.lost

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model and replace the loaded one, on the engine it belongs to; see `Engine.load`."""
        wanted, former = self._engine_for(request), self._current
        info = self._still_there(wanted, request)
        if info is None:
            self._make_room(wanted, request)
            info = wanted.load(request, emit, cancelled)
        self._current = wanted
        if wanted is not self._remote:
            self._requests[id(wanted)] = _key(request, info)
        if wanted is not former and not request.keeps_former:
            former.unload()
        return info

    def _still_there(self, wanted: Engine, request: LoadRequest) -> ModelInfo | None:
        """Return the model of this machine that was kept while another engine's was in use, if it is the one that is asked for."""
        info = wanted.loaded
        is_back = wanted is not self._remote and self._current is not wanted
        if not is_back or info is None or _key(request, info) != self._requests.get(id(wanted)):
            return None
        is_it = (request.model, request.quantization) == (info.model, info.quantization)
        return info if is_it else None

    def _make_room(self, wanted: Engine, request: LoadRequest) -> None:
        """Unload the model of the other engine of this machine, whose memory the new one needs.

        Raises:
            ModelLoadError: there is no model of that name, or its file can't be used; nothing is unloaded.
        """
        former = self._current
        are_here = self._remote not in (wanted, former)
        if wanted is not former and are_here and not request.keeps_former:
            from tui.engine import catalog, gguf_files

            source = catalog.resolve(request.model)
            if wanted is self._llama:
                gguf_files.read_whole(source.path)
            former.unload()

    def _engine_for(self, request: LoadRequest) -> Engine:
        if is_server(request.model):
            if self._remote is None:
                self._remote = self._make_remote()
            return self._remote
        if self._make_llama is None or not choice.takes(request):
            return self._local
        if self._llama is None:
            self._llama = self._make_llama()
        return self._llama

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
        for other in (self._remote, self._llama):
            if other is not None:
                other.unload()

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
