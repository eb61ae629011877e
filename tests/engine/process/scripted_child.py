"""A process with an engine that does what the name of its model or the last message says; run as a program."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from dataclasses import replace

from tests.scripted import ScriptedEngine
from tui.conversation.turn import ReplyStats
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    FailureCause,
    GenerationError,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    Overflow,
    Progress,
    TextDelta,
)
from tui.engine.process.serving import Serving

INFO = ModelInfo("scripted", "Scripted-1B", context_tokens=2048, weights_bytes=1_000_000)


class FaultyEngine(ScriptedEngine):
    """Falls in the ways that engines fall."""

    def load(self, request, emit, cancelled):
        emit(Progress("Loading weights", 1, 3, "tensors"))
        self._fall(request.model, cancelled)
        return super().load(replace(request, model="scripted"), emit, cancelled)

    def generate(self, request, emit, cancelled):
        words = request.messages[-1].content.split()
        emit(TextDelta("Well, "))
        for word in words:
            self._fall(word, cancelled)
            if word == "flood":
                for number in range(200_000):
                    emit(TextDelta(f"{number} ", 1))
        return super().generate(request, emit, cancelled)

    def prepare(self, request, cancelled):
        self._fall(request.messages[-1].content, cancelled)
        return super().prepare(request, cancelled)

    def memory(self):
        return MemoryReading("RAM", "CPU", 8 * 2**30, 24 * 2**30, 512 * 2**20)

    def _fall(self, word, cancelled):  # noqa: C901 - one case for each way to fall
        match word:
            case "segfault":
                ctypes.string_at(0)
            case "abort":
                os.abort()
            case "exit":
                os._exit(3)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                time.sleep(1000)
            case "wait":
                while not cancelled():
                    time.sleep(0.01)
                raise Cancelled
            case "garbage":
                os.write(ANSWERS, b"\xff" * 64)
                time.sleep(1000)
            case "nonsense":
                serving._aside({"is": "done", "id": "x" * 10, "result": [[]]})
                serving._aside(
                    {"is": "memory", "reading": {"type": "MemoryReading", "used": "lots"}}
                )
                time.sleep(1000)
            case "print":
                os.write(1, b"more noise\n")
            case "refuse":
                raise ModelLoadError("No.", "Choose.", cause=FailureCause.CODE, subject="org/x@1")
            case "overflow":
                raise ContextOverflowError(Overflow(5000, 2048, (10, 20)))
            case "memory":
                raise MemoryError("nothing left")
            case "fail":
                raise GenerationError("It failed.", "Try.", ReplyStats(3, new_tokens=2))
            case "bug":
                raise KeyError("what")


REQUESTS, ANSWERS = os.dup(0), os.dup(1)
os.dup2(2, 1)
serving = Serving(FaultyEngine(info=INFO), REQUESTS, ANSWERS)

if __name__ == "__main__":
    serving.run(None)
    sys.exit("it has no end")
