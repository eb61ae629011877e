"""An engine that says what a test tells it to say. It runs through the real worker thread and the real events."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tui.conversation import ReplyStats
from tui.engine.base import (
    Cancelled,
    Emit,
    EngineError,
    Finished,
    GenerateRequest,
    GenerationError,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    Progress,
    PromptDescribed,
    PromptReady,
    ReasoningDelta,
    StopReason,
    TextDelta,
)


@dataclass
class ScriptedEngine:
    """Replies from a list, one after another (the last one again and again).

    A reply is a text (streamed word by word), a list of events, or an exception to raise after what stands before it.
    `hold` lets a test keep a reply or load open: the engine waits for the event before the last word, or for a cancel.
    """

    replies: Sequence[object] = ("Hello there.",)
    word_s: float = 0.0
    info: ModelInfo = field(
        default_factory=lambda: ModelInfo(
            model="scripted", name="Scripted-1B", dtype="bfloat16", context_tokens=2048,
            weights_bytes=1_000_000,
        )
    )  # fmt: skip
    load_error: EngineError | None = None
    load_hold: threading.Event | None = None
    hold: threading.Event | None = None
    requests: list[GenerateRequest] = field(default_factory=list)
    load_requests: list[LoadRequest] = field(default_factory=list)
    prepared: list[GenerateRequest] = field(default_factory=list)
    on_generate: Callable[[GenerateRequest], None] | None = None
    lost: str = ""
    _loaded: ModelInfo | None = None
    _turn: int = 0

    @property
    def loaded(self) -> ModelInfo | None:
        return self._loaded

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        self.load_requests.append(request)
        self.lost = ""
        for done in range(3):
            emit(Progress("Loading weights", done, 3, "tensors"))
        while self.load_hold is not None and not self.load_hold.wait(0.01):
            if cancelled():
                self._loaded = None
                raise Cancelled
        if self.load_error is not None:
            raise self.load_error
        self._loaded = replace(
            self.info, model=request.model, quantization=request.quantization, weights_bytes=0
        )
        return self._loaded

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        if self._loaded is None:
            raise GenerationError("No model is loaded.")
        self.requests.append(request)
        if self.on_generate is not None:
            self.on_generate(request)
        prompt_tokens = _tokens(request)
        emit(PromptReady(prompt_tokens, 0, {**request.parameters, "seed": 1}))
        count = 0
        for step, is_last in self._steps():
            while is_last and self.hold is not None and not self.hold.wait(0.01):
                if cancelled():
                    break
            if cancelled():
                return Finished(ReplyStats(prompt_tokens, new_tokens=count), StopReason.CANCELLED)
            time.sleep(self.word_s)
            if isinstance(step, Exception):
                raise step
            if isinstance(step, StopReason):
                return Finished(ReplyStats(prompt_tokens, new_tokens=count), step)
            emit(step)
            count += isinstance(step, TextDelta | ReasoningDelta)
        stats = ReplyStats(
            prompt_tokens, new_tokens=count, ttft_s=0.1, decode_s=max(0.1, count * 0.05)
        )
        return Finished(stats)

    def _steps(self) -> list[tuple[Any, bool]]:
        """What the next reply is made of, each with whether it is the last."""
        reply = self.replies[min(self._turn, len(self.replies) - 1)]
        self._turn += 1
        steps: list[Any] = []
        for part in reply if isinstance(reply, list) else [reply]:
            steps += _words(part) if type(part) is str else [part]
        return [(step, at == len(steps) - 1) for at, step in enumerate(steps)]

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        self.prepared.append(request)
        return True

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        text = "".join(f"<|{one.role}|>{one.content}" for one in request.messages)
        return PromptDescribed(text, _tokens(request))

    def split(self, text: str) -> tuple[str, ...]:
        return tuple(re.findall(r"\s*\S+", text))

    def unload(self) -> None:
        self._loaded = None

    def memory(self) -> MemoryReading:
        return MemoryReading("RAM", "CPU", 8 * 1024**3, 24 * 1024**3, 512 * 1024**2)

    def target_memory(self) -> tuple[str, MemoryReading]:
        return "cpu", self.memory()


def _tokens(request: GenerateRequest) -> int:
    return sum(len(message.content.split()) + 4 for message in request.messages)


def _words(text: str) -> list[TextDelta]:
    return [TextDelta(piece) for piece in re.findall(r"\s*\S+\s*", text) or [text]]
