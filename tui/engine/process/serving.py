"""The process of an engine: runs the jobs that the app asks for, one after another, and says what they say.

It is started by `engine.py` as a program, with the app's requests on stdin and its own answers on stdout. It ends when stdin does, however
the app has ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.engine import failures
from tui.engine.base import (
    Engine,
    Event,
    GenerateRequest,
    LoadRequest,
    Progress,
)
from tui.engine.event_buffer import EventBuffer
from tui.engine.process import wire
from tui.engine.process.errors import told
from tui.engine.process.program import LLAMA, WARM

_log = logging.getLogger(__name__)

_TICK_S: Final = 0.012
"""Between two writes at least, so that a fast model makes larger frames and not more of them."""
_MEMORY_S: Final = 0.5
_CHUNK_BYTES: Final = 1 << 16
_GONE: Final = 0
_SET_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of Linux."""


@dataclass(slots=True)
class _Job:
    id: int
    do: str
    said: dict[str, Any]
    cancelled: threading.Event = field(default_factory=threading.Event)


class Serving:
    """Answers one app."""

    def __init__(self, engine: Engine, requests: int, answers: int) -> None:
        """Make it.

        Args:
            engine: does the jobs.
            requests, answers: descriptors to read from and to write to.
        """
        self._engine = engine
        self._requests = requests
        self._answers = answers
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._open: dict[int, _Job] = {}
        self._events = EventBuffer()
        self._ends: dict[int, dict[str, Any]] = {}
        self._asides: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._is_warming = False
        self._importing = Progress("")

    def run(self, warm: Callable[[], object] | None, library: str = "torch") -> None:
        """Do what is asked for; returns never.

        Args:
            warm: imports what every load needs; None to leave that to the first load.
            library: what that is, for people.
        """
        self._importing = Progress(f"Importing {library}")
        self._aside({"is": "ready", "version": wire.VERSION})
        self._is_warming = warm is not None
        for work in (self._read, self._write, self._watch_memory):
            threading.Thread(target=work, name=work.__name__.strip("_"), daemon=True).start()
        if warm is not None:
            # What is wrong with them is said by the load that needs them.
            with contextlib.suppress(Exception):
                warm()
            self._is_warming = False
        while True:
            self._do(self._jobs.get())

    # -- in

    def _read(self) -> None:
        frames = wire.Frames()
        while True:
            try:
                data = os.read(self._requests, _CHUNK_BYTES)
                messages = frames.feed(data) if data else []
            except (OSError, wire.WireError):
                data, messages = b"", []
            if not data:
                # The app is gone, or says what it never says. Nothing here is worth keeping.
                os._exit(_GONE)
            for message in messages:
                self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        do, job_id = message.get("do"), message.get("id", 0)
        if do == "ping":
            self._aside({"is": "pong"})
        elif do == "cancel":
            with self._lock:
                job = self._open.get(job_id)
            if job is not None:
                job.cancelled.set()
        elif do == "target_memory":
            # Asked for by whoever chooses a model, also while another one replies.
            job = _Job(job_id, do, message)
            threading.Thread(target=self._do, args=(job,), daemon=True).start()
        else:
            job = _Job(job_id, str(do), message)
            if message.get("cancelled"):
                job.cancelled.set()
            with self._lock:
                self._open[job_id] = job
            if self._is_warming and do == "load":
                self._say(job, self._importing)
            self._jobs.put(job)

    # -- the jobs

    def _do(self, job: _Job) -> None:
        try:
            result = {"is": "done", "id": job.id, "result": wire.encode(self._result(job))}
        except BaseException as error:  # noqa: BLE001 - the app is told, whatever a model's code raises
            failures.log(_log, logging.WARNING, f"{job.do} failed", error)
            result = {"is": "failed", "id": job.id, "error": told(error)}
        with self._lock:
            self._open.pop(job.id, None)
            self._ends[job.id] = {**result, "loaded": wire.encode(self._engine.loaded)}
        self._wake.set()

    def _result(self, job: _Job) -> Any:
        engine, said, cancelled = self._engine, job.said, job.cancelled.is_set
        emit = self._emitter(job)
        match job.do:
            case "load":
                return engine.load(wire.decode(LoadRequest, said["request"]), emit, cancelled)
            case "generate":
                request = wire.decode(GenerateRequest, said["request"])
                return engine.generate(request, emit, cancelled)
            case "prepare":
                request = wire.decode(GenerateRequest, said["request"])
                return engine.prepare(request, cancelled)
            case "describe":
                return engine.describe(wire.decode(GenerateRequest, said["request"]))
            case "split":
                return engine.split(str(said["text"]))
            case "unload":
                return engine.unload()
            case "target_memory":
                device, reading = engine.target_memory()
                return {"device": device, "reading": wire.encode(reading)}
        raise wire.WireError(f"the job {job.do!r} is unknown")

    def _emitter(self, job: _Job) -> Callable[[Event], None]:
        return lambda event: self._say(job, event)

    def _say(self, job: _Job, event: Event) -> None:
        self._events.put(job.id, event, job.cancelled.is_set)
        self._wake.set()

    # -- out

    def _aside(self, message: dict[str, Any]) -> None:
        self._asides.put(message)
        self._wake.set()

    def _write(self) -> None:
        waiter = threading.Event()
        while True:
            self._wake.wait()
            self._wake.clear()
            frames = b"".join(map(wire.pack, self._waiting()))
            try:
                while frames:
                    frames = frames[os.write(self._answers, frames) :]
            except OSError:
                os._exit(_GONE)
            waiter.wait(_TICK_S)

    def _waiting(self) -> list[dict[str, Any]]:
        """Take all that is to be said: of each job its events before its end."""
        messages: list[dict[str, Any]] = []
        while not self._asides.empty():
            messages.append(self._asides.get())
        with self._lock:
            ends, self._ends = self._ends, {}
        by_job: dict[int, list[Any]] = {}
        for job_id, event in self._events.drain():
            by_job.setdefault(job_id, []).append(wire.encode(event))
        messages += [{"is": "events", "id": one, "events": said} for one, said in by_job.items()]
        return [*messages, *ends.values()]

    def _watch_memory(self) -> None:
        last: Any = None
        waiter = threading.Event()
        while True:
            with contextlib.suppress(Exception):
                reading = wire.encode(self._engine.memory())
                if reading != last:
                    last = reading
                    self._aside({"is": "memory", "reading": reading})
            waiter.wait(_MEMORY_S)


def main() -> None:
    """Run the engine of this machine for the app that has started this process."""
    requests, answers = os.dup(0), os.dup(1)
    # Whatever a library prints goes to stderr, which the app logs.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    # Where it crashed, or what it does when it is asked with a signal, is in the app's log.
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    _end_with(os.getppid())
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    folder, options = Path(sys.argv[1]), sys.argv[2:]
    engine, warm, library = _llama(folder) if LLAMA in options else _transformers(folder)
    Serving(engine, requests, answers).run(warm if WARM in options else None, library)


def _transformers(folder: Path) -> tuple[Engine, Callable[[], object], str]:
    from tui.engine.local.engine import LocalEngine
    from tui.engine.local.heavy import import_heavy

    return LocalEngine(folder), import_heavy, "torch"


def _llama(folder: Path) -> tuple[Engine, Callable[[], object], str]:
    from tui.engine.llama.engine import LlamaEngine
    from tui.engine.llama.loading import import_llama
    from tui.engine.llama.server import NAME

    return LlamaEngine(folder / "llama"), import_llama, NAME


def _end_with(parent: int) -> None:
    """Have the system end this process when the app does, where it can; stdin ends then, too."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
        # The keys of the terminal are the app's.
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(_GONE)


if __name__ == "__main__":
    main()
