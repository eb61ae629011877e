"""The engine that owns a transformers model in this process: load, reply, unload.

It runs on the worker's thread. What is heavy is imported there, in `load`, so that the screen is painted before.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.engine import gguf_files, memory
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
from tui.engine.hub.hub import Hub
from tui.engine.local import adapter, gguf, module_cache, quantization
from tui.engine.local.code_cache import CodeCache
from tui.engine.local.heavy import import_heavy, stdout_shut
from tui.engine.local.progress import Reporter
from tui.engine.quantization import NONE
from tui.files import is_folder, typed_path
from tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from tui.engine.local.cpu.native import Native
    from tui.engine.local.cpu.timings import Timings
    from tui.engine.local.loaded import LoadedModel, Preparation

_log = logging.getLogger(__name__)
_LONGEST_REASON: Final = 300


class LocalEngine:
    """Runs one model at a time; implements `tui.engine.base.Engine`."""

    def __init__(self, cache_folder: Path, hub: Hub | None = None) -> None:
        """Start without a model.

        Args:
            cache_folder: where converted GGUF files are kept; made when it is needed.
            hub: where models are downloaded from; None for the Hugging Face Hub.
        """
        self._cache_folder = cache_folder
        self._hub = hub or Hub()
        self._loaded: LoadedModel | None = None
        self._request: LoadRequest | None = None
        self._kept: list[tuple[LoadRequest, LoadedModel]] = []
        """Unused models that the user keeps in memory."""
        self._device = "cpu"
        self._native_made: Native | None = None
        self._native_tried = False
        self._native_problem = ""
        self._timings: Timings | None = None
        self._token_s = 0.0
        """How long each token of the last reply took; 0 when that is not known."""
        self._code = CodeCache(cache_folder / "compiled")

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        model = self._loaded
        return model.info if model is not None else None

    def memory(self) -> MemoryReading:
        """Return the memory of the devices in use; from any thread."""
        kept = [model for _, model in self._kept]
        models = [*kept, self._loaded] if self._loaded is not None else kept
        return replace(
            memory.read(self._device),
            weights=sum(
                model.info.weights_bytes
                + (model.assistant.info.weights_bytes if model.assistant else 0)
                for model in models
            ),
            cache=sum(
                model.cache.bytes + (model.compiled.bytes if model.compiled else 0)
                for model in models
            ),
        )

    @property
    def lost(self) -> str:
        """Nothing: a model of this process ends with it."""
        return ""

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the device that a model would be loaded to, and its memory; imports torch if need be."""
        self._code.open()
        import_heavy()
        from tui.engine.local import placement

        device = placement.choose_device("auto")
        return device, replace(memory.read(device), half_dtype=placement.half_dtype(device))

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model and replace the loaded one, which is freed once the new one has passed its checks.

        Raises:
            ModelLoadError: it could not be loaded; `loaded` tells whether the former model is still there.
            Cancelled: the job was cancelled; the same holds.
        """
        reporter = Reporter(emit, cancelled)
        if (back := self._back_to(request)) is not None:
            return back
        source = resolve(request.model)
        quantization.check(request.quantization)
        if request.adapter:
            adapter.check(request.adapter)
        if source.kind in (ModelKind.GGUF, ModelKind.DEMO):
            gguf_files.read_whole(source.path)
        self._code.open()
        reporter.step("Importing torch")
        reporter.run(import_heavy)
        from tui.engine.local import problems

        try:
            return self._load(source, request, reporter)
        except Cancelled:
            problems.free_device_memory()
            raise
        except BaseException as error:
            if not isinstance(error, Exception) and not problems.is_panic(error):
                raise
            failure = error
        problems.release(failure)
        raise problems.load_error(failure, request.model) from failure

    def _back_to(self, request: LoadRequest) -> ModelInfo | None:
        """Take up a model again that was kept in memory; None when this one was not."""
        key = _key(request)
        model = next((kept for known, kept in self._kept if known == key), None)
        if model is None:
            return None
        self._kept = [entry for entry in self._kept if entry[0] != key]
        if request.keeps_former:
            self._keep_current()
        elif self._loaded is not None:
            self._drop_current()
        self._take(key, model)
        return model.info

    def _load(self, source: ModelSource, request: LoadRequest, reporter: Reporter) -> ModelInfo:
        from tui.engine.local import assembling

        # Everything that can fail or require a question comes before the current model is released.
        prepared = self._prepared(source, request, reporter)
        drafting = self._prepared_assistant(request, reporter) if request.assistant else None
        if request.keeps_former:
            self._keep_current()
        else:
            self.unload()
        with reporter.alone():
            loaded = self._read(prepared, reporter)
        if drafting is not None:
            with reporter.alone():
                assembling.take_assistant(loaded, self._read(drafting, reporter))
        self._take(_key(request), loaded)
        _log.info("loaded %s", loaded.info)
        return loaded.info

    def _prepared(
        self,
        source: ModelSource,
        request: LoadRequest,
        reporter: Reporter,
        *,
        drafts: bool = False,
    ) -> Preparation:
        from tui.engine.local import code, loading
        from tui.engine.local.loaded import Parts

        folder = self._folder(source, request, reporter)
        if drafts or request.assistant:
            code.check_drafts(source, folder)
        allowed = code.agreed(
            source,
            folder,
            request,
            lambda repository, commit: self._code_folder(source, repository, commit, reporter),
            self._cache_folder / "code",
        )
        if allowed.model or allowed.tokenizer:
            module_cache.PROCESS.use(self._cache_folder / "modules")
        place = self._adapter_folder(request.adapter, reporter) if request.adapter else None
        parts = Parts(source, folder, allowed, place)
        with stdout_shut():
            return reporter.run_frugally(lambda: loading.prepare(parts, request, reporter))

    def _prepared_assistant(self, request: LoadRequest, reporter: Reporter) -> Preparation:
        """Prepare the model that drafts; its weights are held as they come, and what was agreed to of the other says nothing of it."""
        wanted = replace(
            request,
            model=request.assistant,
            assistant="",
            adapter="",
            quantization=NONE,
            revision="",
            compile=False,
            trust_own_code=False,
        )
        return self._prepared(resolve(wanted.model), wanted, reporter, drafts=True)

    def _read(self, prepared: Preparation, reporter: Reporter) -> LoadedModel:
        from tui.engine.local import loading

        if self._timings is None:
            from tui.engine.local.cpu.timings import Timings

            self._timings = Timings(self._cache_folder / "kernels")
        loaded = loading.load(prepared, reporter, self._native, self._code, self._timings)
        if self._native_problem and prepared.request.kernels:
            note = f"chat-tui's CPU kernels can't be used, so replies are slower: {self._native_problem}."
            loaded.info = replace(loaded.info, notes=(*loaded.info.notes, note))
        return loaded

    def _native(self) -> Native | None:
        """Return the products that are compiled for this CPU; compiled at the first call."""
        from tui.engine.local.cpu import native

        if not self._native_tried:
            self._native_tried = True
            self._native_made = native.build(self._cache_folder / "kernels", self._without_native)
        return self._native_made

    def _without_native(self, reason: str) -> None:
        self._native_problem = sanitize_line(reason, _LONGEST_REASON)

    def _take(self, key: LoadRequest, model: LoadedModel) -> None:
        self._loaded, self._request, self._device = model, key, model.info.device
        self._token_s = 0.0

    def _keep_current(self) -> None:
        if self._loaded is not None and self._request is not None:
            self._loaded.cache.drop()
            if self._loaded.compiled is not None:
                self._loaded.compiled.drop_cache()
            self._kept.append((self._request, self._loaded))
        self._loaded = self._request = None

    def _drop_current(self) -> None:
        from tui.engine.local import problems

        if self._loaded is not None and self._loaded.installed is not None:
            self._loaded.installed.undo()
        is_compiled = self._loaded is not None and self._loaded.compiled is not None
        self._loaded = self._request = None
        if is_compiled:
            self._forget_compiled()
        self._device = "cpu"
        problems.free_device_memory()

    def _forget_compiled(self) -> None:
        """Free what compiled code holds; that of the models that are kept goes too, and is made again when it is needed."""
        from tui.engine.local import compiled

        compiled.forget()
        for _, kept in self._kept:
            if kept.compiled is not None:
                kept.compiled.forget_code()

    def _folder(self, source: ModelSource, request: LoadRequest, reporter: Reporter) -> Path:
        if source.kind is ModelKind.FOLDER:
            return source.path
        if source.kind is ModelKind.HUB:
            reporter.step("Contacting the Hub")
            # It may wait for the network, and keeps out of what goes on in the process.
            return reporter.run(
                lambda: self._hub.snapshot(
                    source.location,
                    request.revision,
                    tqdm_class=reporter.download_bar("Downloading"),
                    check=reporter.check,
                    tell=lambda text: reporter.step(text or "Contacting the Hub"),
                ),
                alone=False,
            )
        return gguf.convert(source.path, self._cache_folder, reporter)

    def _adapter_folder(self, name: str, reporter: Reporter) -> Path:
        """Return the folder of an adapter; one of the Hub is fetched, so that it is looked at before anything is done with it."""
        if is_folder(place := typed_path(name)):
            return place
        return self._pieces(name, "", adapter.FILES, reporter)

    def _code_folder(
        self, source: ModelSource, repository: str, commit: str, reporter: Reporter
    ) -> Path:
        """Return the folder of a repository's commit with its code in it."""
        if repository != source.location:
            return self._pieces(repository, commit, ("*.py",), reporter)
        bar = reporter.download_bar("Downloading")
        return reporter.run(
            lambda: self._hub.snapshot(
                repository, commit, code=True, tqdm_class=bar, check=reporter.check
            ),
            alone=False,
        )

    def _pieces(
        self, repository: str, commit: str, names: tuple[str, ...], reporter: Reporter
    ) -> Path:
        reporter.step("Contacting the Hub")
        bar = reporter.download_bar("Downloading")
        return reporter.run(
            lambda: self._hub.pieces(
                repository, names, commit, tqdm_class=bar, check=reporter.check
            ),
            alone=False,
        )

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Make a reply; see `Engine.generate`.

        Raises:
            GenerationError: there is no model, or the reply failed; what was emitted before holds.
        """
        loaded = self._loaded
        if loaded is None:
            raise GenerationError("No model is loaded.", "Choose a model first.")
        from tui.engine.local import generation, problems

        if loaded.installed is not None:
            loaded.installed.heard(self._token_s)
        self._token_s = 0.0
        try:
            finished = generation.reply(loaded, request, emit, cancelled)
            speed = finished.stats.tokens_per_s
            self._token_s = 1 / speed if speed else 0.0
            return finished
        except GenerationError as error:
            failure = error
        problems.release(failure)
        raise failure

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead what is certain of the next prompt; see `Engine.prepare`."""
        loaded = self._loaded
        if loaded is None:
            return True
        from tui.engine.local import ahead

        return ahead.prepare(loaded, request, cancelled)

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return the prompt of a request as text; see `Engine.describe`."""
        loaded = self._loaded
        if loaded is None:
            raise GenerationError("No model is loaded.", "Choose a model first.")
        prompt = loaded.prompts.build(request.messages, request.continue_last, request.template)
        return PromptDescribed(loaded.prompts.text(prompt.ids), len(prompt.ids), prompt.notes)

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into the loaded model's tokens; nothing without a model."""
        loaded = self._loaded
        return loaded.prompts.split(text) if loaded is not None else ()

    def unload(self) -> None:
        """Forget the model, and those that were kept beside it, and free their memory; does nothing without one."""
        if self._loaded is None and not self._kept:
            return
        were_compiled = any(kept.compiled is not None for _, kept in self._kept)
        self._kept.clear()
        self._drop_current()
        if were_compiled:
            self._forget_compiled()


def _key(request: LoadRequest) -> LoadRequest:
    """Return what tells one loaded model from another: the request without what is said of others."""
    return replace(request, keeps_former=False, trust_own_code=False, trusted=())
