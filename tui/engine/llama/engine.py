"""The engine that holds a GGUF model in llama.cpp. It speaks the dialect of llama-server with the server in its own process."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from tui.conversation.turn import USER, Message
from tui.engine import memory
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    Emit,
    Finished,
    GenerateRequest,
    GenerationError,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    Overflow,
    PromptDescribed,
    StopReason,
)
from tui.engine.failures import words
from tui.engine.llama import loading
from tui.engine.llama.loading import Loaded
from tui.engine.llama.pieces import whole_pieces
from tui.engine.llama.server import NAME
from tui.engine.llama.stream import Stream
from tui.engine.remote import overflow
from tui.engine.remote.problems import ServerError
from tui.engine.remote.telling import Telling
from tui.engine.remote.values import table, tables, text
from tui.errors import listed
from tui.json_types import Json
from tui.parameters import whole
from tui.sanitize import sanitize_line

_log = logging.getLogger(__name__)

_REFUSED: Final = re.compile(r"Jinja Exception: ([^\n]+)")
_LONGEST: Final = 200
_NEXT: Final = ("zqfirst", "qzsecond")
"""Words that stand for the user's next message."""


class LlamaEngine:
    """Has one model in its life; implements `tui.engine.base.Engine`. Another model takes another process."""

    def __init__(self, folder: Path) -> None:
        """Start without a model.

        Args:
            folder: a private one for a socket; made when it is needed.
        """
        self._folder = folder
        self._held: Loaded | None = None
        self._last: Stream | None = None

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        return self._held.info if self._held is not None else None

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model; see `Engine.load`."""
        self._held = loading.load(request, self._folder, emit, cancelled)
        return self._held.info

    def unload(self) -> None:
        """Forget the model; its memory is freed with the process."""
        self._held = None

    # -- replies

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Generate a reply; see `Engine.generate`."""
        held = self._model()
        try:
            fits, dropped = held.fitting(request)
            telling = Telling(fits, emit, _notes(dropped), held.splitter(request))
        except ServerError as error:
            raise _failed(error) from error
        telling.start()
        try:
            self._wait(cancelled)
            telling.prompt_tokens = held.count(fits)
            limit = overflow.limit(
                fits.messages,
                telling.prompt_tokens,
                held.served.context_tokens,
                whole(fits.parameters, "max_new_tokens") or 0,
            )
            telling.tell_prompt()
            self._last = Stream(held.server.chat, held.body(fits, limit))
            reader = held.dialect.reader()
            for piece in self._last.pieces(cancelled):
                for said in reader.read(piece):
                    telling.take(said)
                if telling.has_stopped:
                    self._last.stop()
        except Cancelled:
            return telling.finished(StopReason.CANCELLED)
        except ContextOverflowError as error:
            raise ContextOverflowError(_in_tokens(held, fits, error.overflow)) from error
        except (ServerError, ValueError) as error:
            telling.tell_rest()
            raise _failed(error, telling) from error
        if telling.ended is None:
            raise GenerationError(
                f"{NAME} ended the reply without giving a reason.", "", telling.stats
            )
        return telling.finished(telling.ended.reason)

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead what the next prompt begins with; see `Engine.prepare`."""
        held = self._held
        if held is None or request.continue_last:
            return True
        try:
            self._wait(cancelled)
            start = _certain(held, request)
            if not start:
                return True
            body: dict[str, Json] = {
                "prompt": start, "max_tokens": 0, "stream": True, "return_progress": True, "cache_prompt": True,
            }  # fmt: skip
            self._last = Stream(held.server.complete, body)
            for _ in self._last.pieces(cancelled):
                pass
        except Cancelled:
            return False
        except (ServerError, ValueError) as error:
            _log.info("nothing is computed ahead: %s", error)
        return True

    def _wait(self, cancelled: IsCancelled) -> None:
        """Wait for a job that was stopped and is still computing.

        Raises:
            Cancelled: this one is given up too.
        """
        if cancelled() or (self._last is not None and not self._last.wait(cancelled)):
            raise Cancelled

    # -- without a reply

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return the prompt that the model would be given; see `Engine.describe`."""
        held = self._model()
        try:
            fits, _ = held.fitting(request)
            return PromptDescribed(held.prompt(fits), held.count(fits))
        except ServerError as error:
            raise _failed(error) from error

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into the model's tokens; see `Engine.split`."""
        if self._held is None or not text:
            return ()
        return whole_pieces([one.get("piece") for one in tables(self._held.tokens(text))])

    def memory(self) -> MemoryReading:
        """Return the memory of this machine and what the model takes of it; see `Engine.memory`."""
        held = self._held
        if held is None:
            return memory.read("cpu")
        return replace(memory.read("cpu"), weights=held.info.weights_bytes, cache=held.cache_bytes)

    @property
    def lost(self) -> str:
        """Nothing: a model of this process ends with it."""
        return ""

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the same; llama.cpp finds out where a model goes when it loads it."""
        return "cpu", memory.read("cpu")

    def _model(self) -> Loaded:
        if self._held is None:
            raise GenerationError("No model is loaded.")
        return self._held


def _certain(held: Loaded, request: GenerateRequest) -> str:
    """Return what the next prompt begins with, whatever the user says next."""
    one, other = (
        held.prompt(
            held.fitting(replace(request, messages=(*request.messages, Message(USER, word))))[0]
        )
        for word in _NEXT
    )
    same = (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1])
    return one[: next(same, min(len(one), len(other)))]


def _in_tokens(held: Loaded, request: GenerateRequest, found: Overflow) -> Overflow:
    """Return by how much a chat is too long, with the tokens of each message as they are rather than as they are guessed."""
    try:
        each = [len(tables(held.tokens(message.content))) for message in request.messages]
    except ServerError:
        return found
    around = max(0, found.prompt_tokens - sum(each)) // max(1, len(each))
    return replace(found, message_tokens=tuple(one + around for one in each))


def _failed(error: Exception, telling: Telling | None = None) -> GenerationError:
    stats = telling.stats if telling is not None else None
    said = text(table(getattr(error, "body", None), "error").get("message")) or str(error)
    if (refused := _REFUSED.search(said)) is not None:
        return GenerationError(
            f"The model's chat template rejects this chat ({sanitize_line(refused[1], _LONGEST)}).",
            "Change the part that it rejects, or set model.gguf to transformers, which adapts chats to templates.",
            stats,
        )
    if isinstance(error, ServerError):
        return GenerationError(error.message, error.hint, stats)
    return GenerationError(
        f"{NAME} can't use the request ({words(error)}).",
        "Set model.gguf to transformers to use the other engine.",
        stats,
    )


def _notes(dropped: list[str]) -> tuple[str, ...]:
    if not dropped:
        return ()
    it = "it" if len(dropped) == 1 else "them"
    return (f"{NAME} doesn't support {listed(dropped)}; the reply is generated without {it}.",)
