"""The engine that owns a transformers model in this process: load, reply, unload.

It runs on the worker's thread. What is heavy is imported there, in `load`, so that the screen is painted before.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tui.engine import memory
from tui.engine.base import (
    Cancelled,
    Emit,
    Finished,
    GenerateRequest,
    GenerationError,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    PromptDescribed,
)
from tui.engine.catalog import ModelKind, ModelSource, resolve
from tui.engine.local import gguf, quantization
from tui.engine.local.heavy import import_heavy
from tui.engine.local.progress import Reporter

if TYPE_CHECKING:
    from tui.engine.local.loading import LoadedModel

_log = logging.getLogger(__name__)


class LocalEngine:
    """Runs one model at a time; implements `tui.engine.base.Engine`."""

    def __init__(self, cache_folder: Path) -> None:
        """Start without a model.

        Args:
            cache_folder: where converted GGUF files are kept; made when it is needed.
        """
        self._cache_folder = cache_folder
        self._loaded: LoadedModel | None = None
        self._device = "cpu"

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        model = self._loaded
        return model.info if model is not None else None

    def memory(self) -> MemoryReading:
        """Return the memory of the device in use; from any thread."""
        return memory.read(self._device)

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model in place of the one that is loaded, which is freed once the new one has passed its checks.

        Raises:
            ModelLoadError: it could not be loaded; `loaded` tells whether the former model is still there.
            Cancelled: the job was cancelled; the same holds.
        """
        reporter = Reporter(emit, cancelled)
        source = resolve(request.model)
        quantization.check(request.quantization)
        if source.kind in (ModelKind.GGUF, ModelKind.DEMO):
            gguf.check(source.path)
        reporter.step("Importing torch")
        import_heavy()
        from tui.engine.local import problems

        try:
            return self._load(source, request, reporter)
        except Cancelled:
            problems.free_device_memory()
            raise
        except Exception as error:  # noqa: BLE001 - becomes a sentence for the user
            failure = error
        problems.release(failure)
        raise problems.load_error(failure, request.model) from failure

    def _load(self, source: ModelSource, request: LoadRequest, reporter: Reporter) -> ModelInfo:
        from tui.engine.local import loading

        prepared = loading.prepare(
            source, self._folder(source, request, reporter), request, reporter
        )
        self.unload()
        loaded = loading.load(prepared, reporter)
        self._loaded, self._device = loaded, loaded.info.device
        _log.info("loaded %s", loaded.info)
        return loaded.info

    def _folder(self, source: ModelSource, request: LoadRequest, reporter: Reporter) -> Path:
        if source.kind is ModelKind.FOLDER:
            return source.path
        if source.kind is ModelKind.HUB:
            from tui.engine.local import hub

            return hub.snapshot(source.location, request, reporter)
        return gguf.convert(source.path, self._cache_folder, reporter)

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Make a reply; see `Engine.generate`.

        Raises:
            GenerationError: there is no model, or the reply failed; what was emitted before holds.
        """
        loaded = self._loaded
        if loaded is None:
            raise GenerationError("No model is loaded.", "Choose a model first.")
        from tui.engine.local import generation, problems

        try:
            return generation.reply(loaded, request, emit, cancelled)
        except GenerationError as error:
            failure = error
        problems.release(failure)
        raise failure

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return the prompt of a request as text; see `Engine.describe`."""
        loaded = self._loaded
        if loaded is None:
            raise GenerationError("No model is loaded.", "Choose a model first.")
        prompt = loaded.prompts.build(request.messages, request.continue_last)
        text = loaded.tokenizer.decode(prompt.ids, skip_special_tokens=False)
        return PromptDescribed(text, len(prompt.ids))

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into the loaded model's tokens; nothing without a model."""
        loaded = self._loaded
        return loaded.prompts.split(text) if loaded is not None else ()

    def unload(self) -> None:
        """Forget the model and free its memory; does nothing without one."""
        if self._loaded is None:
            return
        from tui.engine.local import problems

        self._loaded = None
        self._device = "cpu"
        problems.free_device_memory()
