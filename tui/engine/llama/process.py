"""llama.cpp in a process of its own, a new one for each model: what its native code does can't harm the app."""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from pathlib import Path
from typing import Final

from tui.engine import catalog, gguf_files
from tui.engine.base import (
    Cancelled,
    Emit,
    FailureCause,
    Finished,
    GenerateRequest,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    PromptDescribed,
)
from tui.engine.process.engine import ProcessEngine
from tui.engine.process.program import LLAMA, WARM, command
from tui.sanitize import sanitize_line

_log = logging.getLogger(__name__)

_LINES: Final = 200
"""Of its log that are kept, to find out why a load failed."""
_LONGEST_REASON: Final = 200
_HANG_S: Final = 900.0
"""How long a load may be silent: the library holds the interpreter as long as it loads."""
_ENDS_WITHIN_S: Final = 0.3
"""How long a load that was cancelled may go on before its process is ended."""
_NO_MEMORY: Final = re.compile(
    r"(?:failed to allocate|unable to allocate|out of memory).*", re.IGNORECASE
)
_BROKEN_TEMPLATE: Final = re.compile(
    r"common_chat_templates_init: error: (?:(?:parser|lexer): )?(?:Parser Error: )?(.+)"
)
"""A chat template with an error of syntax."""
_FAILING_TEMPLATE: Final = re.compile(r"^Error: (?:Jinja Exception: )?(.+)")
"""A chat template that fails on a test chat."""
_REASONS: Final = (
    re.compile(r"GGML_ASSERT\(.*\) failed"),
    re.compile(r"error loading model: (?:error loading model hyperparameters: )?(.+)"),
    _BROKEN_TEMPLATE,
    _FAILING_TEMPLATE,
    _NO_MEMORY,
    re.compile(r"error: (.+)"),
)
"""What in its log says why a load failed, the most telling first."""
_UNKNOWN: Final = re.compile(r"unknown (?:model architecture|pre-tokenizer)", re.IGNORECASE)
_OTHER: Final = (
    "Set model.gguf to transformers to try the other engine, or choose another file of the model."
)
_NEWER: Final = (
    "A newer version may know it: pip install -U xllamacpp. Or set model.gguf to transformers."
)


_OTHER_TEMPLATE: Final = "Use another file of the model, or replace its chat template with llama.cpp's gguf-new-metadata (--chat-template-file)."
_OR_TRANSFORMERS: Final = "Set model.gguf to transformers, which adapts chats to templates, or use another file of the model."


class LlamaProcess:
    """Runs llama.cpp in a process; implements `tui.engine.base.Engine`."""

    def __init__(self, cache_folder: Path) -> None:
        """Start nothing yet.

        Args:
            cache_folder: holds a folder for its sockets.
        """
        self._said: deque[str] = deque(maxlen=_LINES)
        self._process = ProcessEngine(
            cache_folder, command(cache_folder, LLAMA, WARM), self._note, _HANG_S
        )

    def _note(self, line: str) -> None:
        self._said.append(line)
        _log.info("llama.cpp: %s", line)

    def start(self) -> None:
        """Start the process, so that it imports the library while the app is still starting."""
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of the process; 0 without one."""
        return self._process.pid

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        return self._process.loaded

    @property
    def lost(self) -> str:
        """Why the model that was loaded is gone; see `Engine.lost`."""
        return self._process.lost

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model; see `Engine.load`. The former one is freed as soon as the file was checked."""
        if self._process.loaded is not None:
            gguf_files.read_whole(catalog.resolve(request.model).path)
            self._process.close()
        self._said.clear()
        given_up_s = 0.0

        def gives_up() -> bool:
            nonlocal given_up_s
            if not cancelled():
                return False
            given_up_s = given_up_s or time.monotonic()
            if time.monotonic() - given_up_s > _ENDS_WITHIN_S:
                self._process.kill()
            return True

        try:
            return self._process.load(request, emit, gives_up)
        except ModelLoadError as error:
            self._process.close()
            if given_up_s:
                raise Cancelled from error
            raise self._explained(error) from error
        except BaseException:
            self._process.close()
            raise

    def _explained(self, error: ModelLoadError) -> ModelLoadError:
        """Return an error with what the library has written of it."""
        found = next(
            (
                match
                for pattern in _REASONS
                for line in reversed(self._said)
                if (match := pattern.search(line))
            ),
            None,
        )
        if found is None or (error.hint and error.cause is FailureCause.OTHER):
            return error
        reason = sanitize_line(found[found.lastindex or 0], _LONGEST_REASON)
        if _NO_MEMORY.match(reason):
            return ModelLoadError(
                f"There isn't enough memory to load the file in llama.cpp ({reason.rstrip('.')}).",
                "Set model.context to fewer tokens, or choose a smaller file of the model.",
                cause=FailureCause.MEMORY,
            )
        if found.re is _BROKEN_TEMPLATE:
            said = f"{error.message} Its chat template is broken: {reason.rstrip('.')}."
            return ModelLoadError(said, _OTHER_TEMPLATE)
        if found.re is _FAILING_TEMPLATE:
            said = f"{error.message} Its chat template fails on a test chat: {reason.rstrip('.')}."
            return ModelLoadError(said, _OR_TRANSFORMERS)
        hint = error.hint or (_NEWER if _UNKNOWN.search(reason) else _OTHER)
        said = f"{error.message} The reason: {reason.rstrip('.')}."
        return ModelLoadError(said, hint, cause=error.cause, subject=error.subject)

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Make a reply; see `Engine.generate`."""
        return self._process.generate(request, emit, cancelled)

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead; see `Engine.prepare`."""
        return self._process.prepare(request, cancelled)

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return a prompt; see `Engine.describe`."""
        return self._process.describe(request)

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into tokens; see `Engine.split`."""
        return self._process.split(text)

    def unload(self) -> None:
        """Forget the model by ending the process."""
        self._process.close()

    close = unload

    def memory(self) -> MemoryReading:
        """Return the memory in use; see `Engine.memory`."""
        return self._process.memory()

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the memory of this machine; see `Engine.target_memory`."""
        return self._process.target_memory()
