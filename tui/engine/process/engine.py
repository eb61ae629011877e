"""The engine of this machine as the app sees it when it runs in a process of its own.

Each job is one request and its answers. What ends the process ends the job with a sentence, and the next load starts another one.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from tui.engine.base import (
    Emit,
    EngineError,
    Event,
    FailureCause,
    Finished,
    GenerateRequest,
    GenerationError,
    IsCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    PromptDescribed,
)
from tui.engine.process import wire
from tui.engine.process.errors import raised
from tui.engine.process.program import WARM, environment
from tui.engine.process.program import command as command_of
from tui.sanitize import sanitize_line

_log = logging.getLogger(__name__)

_LOOK_S: Final = 0.02
"""How often a job looks whether it was cancelled."""
_PING_S: Final = 5.0
HANG_S: Final = 90.0
"""How long the process may be silent before it counts as hung. Libraries hold the interpreter for many seconds while they load."""
_CANCEL_S: Final = 20.0
"""How long a job may take to end once it was cancelled."""
_END_S: Final = 2.0
_CHUNK_BYTES: Final = 1 << 16
_WAITING: Final = 200
"""Messages of a job that nobody has taken yet; then the process waits."""
_LOG_BYTES: Final = 4000
_AGAIN: Final = "Load the model again (/reload). The log has the details (chat-tui --log-path)."


class _Died(Exception):  # noqa: N818 - it is made into an `EngineError`
    """The process has ended in the middle of a job; the message says how."""


class _Gone(_Died):
    """There is no process: it can't be started, or it has ended before the job; the message is a sentence."""


class _Process:
    """One process, from its start to its end. Any thread may use it."""

    def __init__(
        self,
        command: Sequence[str],
        memory: Callable[[MemoryReading], object],
        log: Callable[[str], object],
    ) -> None:
        """Start it.

        Args:
            command: the program.
            memory: takes what it says of its memory.
            log: takes each line that it writes to stderr.

        Raises:
            OSError: it can't be started.
        """
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment(),
            # The keys that end or stop the app are not meant for it.
            start_new_session=True,
        )
        self._take_memory = memory
        self._take_line = log
        self._lock = threading.Lock()
        self._answers: dict[int, queue.Queue[dict[str, Any] | None]] = {}
        self._heard_s = self._asked_s = time.monotonic()
        self._why = ""
        self.has_ended = False
        threading.Thread(target=self._read, name="engine process", daemon=True).start()
        self._logs = threading.Thread(target=self._read_log, name="engine log", daemon=True)
        self._logs.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def open(self, job_id: int) -> queue.Queue[dict[str, Any] | None]:
        """Return what gets the answers of a job; None is the last where the process ends before."""
        answers: queue.Queue[dict[str, Any] | None] = queue.Queue(_WAITING)
        with self._lock:
            self._answers[job_id] = answers
            # Nobody has listened for signs of life while there was no job.
            self._heard_s = time.monotonic()
            if self.has_ended:
                answers.put(None)
        return answers

    def close_job(self, job_id: int) -> None:
        with self._lock:
            self._answers.pop(job_id, None)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; one that can't be sent is lost, and the process has ended or will."""
        data = memoryview(wire.pack(message))
        with self._lock, contextlib.suppress(OSError, ValueError):
            stdin = _pipe(self._process.stdin)
            while data:
                data = data[stdin.write(data) :]

    def look(self, hang_s: float) -> None:
        """Ask for a sign of life where there was none for a while; end it where none came within so many seconds."""
        now = time.monotonic()
        if now - self._heard_s > hang_s:
            self.kill("it stopped responding")
        elif now - max(self._heard_s, self._asked_s) > _PING_S:
            self._asked_s = now
            self.send({"do": "ping"})

    def kill(self, why: str = "") -> None:
        """End it without waiting."""
        self._why = self._why or why
        with contextlib.suppress(OSError):
            self._process.kill()

    def end(self) -> None:
        """Have it end, and wait for that."""
        with contextlib.suppress(OSError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        self._logs.join(_END_S)

    @property
    def why(self) -> str:
        """How it ended, as in `it was killed`."""
        if self._why:
            return self._why
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.returncode
        if code is None or code >= 0:
            return f"it exited unexpectedly (status {code})"
        if code == -signal.SIGKILL:
            return "it was killed, perhaps because memory ran out"
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"it crashed ({name})"

    def _read(self) -> None:
        frames, stdout = wire.Frames(), _pipe(self._process.stdout)
        try:
            while data := os.read(stdout.fileno(), _CHUNK_BYTES):
                self._heard_s = time.monotonic()
                for message in frames.feed(data):
                    self._take(message)
        except OSError:
            pass
        except (wire.WireError, TypeError) as error:
            self.kill(f"it sent invalid data ({error})")
        self._note_end()

    def _note_end(self) -> None:
        with self._lock:
            self.has_ended = True
            waiting = list(self._answers.values())
        for answers in waiting:
            answers.put(None)
        # Otherwise it would stay in the table of processes until the next one starts.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)

    def _take(self, message: dict[str, Any]) -> None:
        match message.get("is"):
            case "memory":
                self._take_memory(wire.decode(MemoryReading, message.get("reading")))
            case "ready":
                if message.get("version") != wire.VERSION:
                    raise wire.WireError("it is from a different version of chat-tui")
            case "events" | "done" | "failed":
                with self._lock:
                    answers = self._answers.get(message.get("id", 0))
                if answers is not None:
                    self._put(answers, message)

    def _put(self, answers: queue.Queue[dict[str, Any] | None], message: dict[str, Any]) -> None:
        """Hand on an answer; where nobody takes them, the process waits, and is not taken for hung."""
        while True:
            try:
                answers.put(message, timeout=1.0)
                return
            except queue.Full:
                self._heard_s = time.monotonic()
                with self._lock:
                    if answers not in self._answers.values():
                        return

    def _read_log(self) -> None:
        stderr = _pipe(self._process.stderr)
        with contextlib.suppress(OSError, ValueError):
            for line in iter(lambda: stderr.readline(_LOG_BYTES), b""):
                self._take_line(sanitize_line(line.decode("utf-8", "replace")))


class ProcessEngine:
    """Runs the engine of this machine in a process of its own; implements `tui.engine.base.Engine`."""

    def __init__(
        self,
        cache_folder: Path,
        command: Sequence[str] = (),
        log: Callable[[str], object] = lambda line: _log.info("engine: %s", line),
        hang_s: float = 0.0,
    ) -> None:
        """Start nothing yet; see `start`.

        Args:
            cache_folder: as `LocalEngine` takes it.
            command: the program to run in place of the usual one.
            log: takes what the process writes to stderr, line by line.
            hang_s: in place of `HANG_S`; 0 for that.
        """
        self._log, self._hang_s = log, hang_s
        self._command = tuple(command) or command_of(cache_folder, WARM)
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._loaded: ModelInfo | None = None
        self._lost = ""
        self._reading = MemoryReading()

    def start(self) -> None:
        """Start the process, so that it imports what every load needs while the app is still starting.

        What goes wrong is told by the first job.
        """
        with contextlib.suppress(OSError):
            self._running()

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            process, self._process, self._loaded = self._process, None, None
            self._lost = ""
        if process is not None:
            process.end()

    def kill(self) -> None:
        """End the process in the middle of its job, which fails."""
        if (process := self._process) is not None:
            process.kill()

    @property
    def pid(self) -> int:
        """The number of the process; 0 without one."""
        process = self._process
        return process.pid if process is not None else 0

    @property
    def loaded(self) -> ModelInfo | None:
        """The model that is loaded."""
        process = self._process
        return self._loaded if process is not None and not process.has_ended else None

    @property
    def lost(self) -> str:
        """Why the model that was loaded is gone; see `Engine.lost`."""
        process = self._process
        if self._loaded is not None and process is not None and process.has_ended:
            self._note_loss(process)
        return self._lost

    def _note_loss(self, process: _Process) -> None:
        if self._loaded is not None:
            self._loaded, self._lost = None, f"The engine stopped: {process.why}."
        # It has said how much memory it uses, and uses none now.
        self._reading = MemoryReading()

    def load(self, request: LoadRequest, emit: Emit, cancelled: IsCancelled) -> ModelInfo:
        """Load a model; see `Engine.load`."""
        self._loaded, self._lost = self.loaded, ""
        try:
            said = {"do": "load", "request": wire.encode(request)}
            info: ModelInfo = wire.decode(ModelInfo, self._job(said, emit, cancelled))
            return info
        except _Gone as error:
            raise ModelLoadError(str(error), _AGAIN, cause=FailureCause.ENGINE) from None
        except _Died as died:
            raise ModelLoadError(
                f"The engine stopped while loading the model: {died}.",
                "The chat is safe. Load the model again, or try a smaller model or another quantization.",
                cause=FailureCause.ENGINE,
            ) from None

    def generate(self, request: GenerateRequest, emit: Emit, cancelled: IsCancelled) -> Finished:
        """Make a reply; see `Engine.generate`."""
        said = {"do": "generate", "request": wire.encode(request)}
        with _told_as_generation():
            finished: Finished = wire.decode(Finished, self._job(said, emit, cancelled))
        return finished

    def prepare(self, request: GenerateRequest, cancelled: IsCancelled) -> bool:
        """Compute ahead; see `Engine.prepare`."""
        if self.loaded is None:
            return True
        try:
            said = {"do": "prepare", "request": wire.encode(request)}
            return self._job(said, _nothing, cancelled) is not False
        except _Died:
            return True

    def describe(self, request: GenerateRequest) -> PromptDescribed:
        """Return a prompt; see `Engine.describe`."""
        said = {"do": "describe", "request": wire.encode(request)}
        with _told_as_generation():
            found: PromptDescribed = wire.decode(PromptDescribed, self._job(said))
        return found

    def split(self, text: str) -> tuple[str, ...]:
        """Return a text cut into tokens; see `Engine.split`."""
        if self.loaded is None:
            return ()
        with contextlib.suppress(_Died):
            pieces: tuple[str, ...] = wire.decode(
                tuple[str, ...], self._job({"do": "split", "text": text})
            )
            return pieces
        return ()

    def unload(self) -> None:
        """Forget the model by ending the process: everything that the libraries keep goes with it."""
        self.close()

    def memory(self) -> MemoryReading:
        """Return the memory of the device in use, as the process said last; the app's own is counted too."""
        # Takes 10 ms to import, and nobody asks before the first frame.
        import psutil

        reading = self._reading if self.pid else MemoryReading()
        own = psutil.Process().memory_info().rss
        if not self.pid or not reading.total:
            machine = psutil.virtual_memory()
            used = machine.total - machine.available
            return MemoryReading(used=used, total=machine.total, own=own)
        if reading.kind != "RAM":
            return reading
        return replace(reading, own=reading.own + own, engine=reading.own)

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the device that a model would go to, and its memory; see `Engine.target_memory`."""
        try:
            found = self._job({"do": "target_memory"})
            return str(found["device"]), wire.decode(MemoryReading, found["reading"])
        except (_Died, KeyError, TypeError) as error:
            raise EngineError(f"The memory use is unknown: {str(error).rstrip('.')}.") from None

    # -- one job

    def _job(
        self, said: dict[str, Any], emit: Emit | None = None, cancelled: IsCancelled | None = None
    ) -> Any:
        """Have a job done; return what came of it.

        Raises:
            _Died: the process ended before, or the model is lost.
            EngineError, Cancelled, MemoryError: as the engine has raised it.
        """
        if self.lost:
            raise _Gone(self._lost)
        try:
            process = self._running()
        except OSError as error:
            raise _Gone(f"The engine can't be started ({error.strerror or error}).") from error
        job_id = next(self._ids)
        answers = process.open(job_id)
        try:
            gives_up = cancelled or _never
            process.send({**said, "id": job_id, "cancelled": gives_up()})
            return self._answer(process, job_id, answers, emit or _nothing, gives_up)
        finally:
            process.close_job(job_id)

    def _answer(
        self,
        process: _Process,
        job_id: int,
        answers: queue.Queue[dict[str, Any] | None],
        emit: Emit,
        cancelled: IsCancelled,
    ) -> Any:
        cancelled_s = 0.0
        while True:
            try:
                message = answers.get(timeout=_LOOK_S)
            except queue.Empty:
                process.look(self._hang_s or HANG_S)
                message = {}
            if message is None:
                self._note_loss(process)
                raise _Died(process.why)
            if not cancelled_s and cancelled():
                cancelled_s = time.monotonic()
                process.send({"do": "cancel", "id": job_id})
            if cancelled_s and time.monotonic() - cancelled_s > _CANCEL_S:
                process.kill("it was killed because it ignored a request to cancel")
            match message.get("is"):
                case "events":
                    for event in message.get("events", ()):
                        emit(_decoded(Event, event, process))
                case "done":
                    self._loaded = _decoded(ModelInfo | None, message.get("loaded"), process)
                    return message.get("result")
                case "failed":
                    self._loaded = _decoded(ModelInfo | None, message.get("loaded"), process)
                    raise self._failure(message.get("error"))

    def _failure(self, said: Any) -> BaseException:
        error = raised(said)
        if isinstance(error, EngineError) and error.cause is FailureCause.DEVICE:
            # Only another process can use the device again.
            error.cause, error.hint = FailureCause.ENGINE, _AGAIN
            self.close()
        return error

    def _running(self) -> _Process:
        with self._lock:
            if self._process is None or self._process.has_ended:
                self._loaded = None
                self._process = _Process(self._command, self._note_memory, self._log)
            return self._process

    def _note_memory(self, reading: MemoryReading) -> None:
        self._reading = reading


def _never() -> bool:
    return False


def _nothing(_event: Event) -> None:
    """Let what is said go nowhere."""


@contextlib.contextmanager
def _told_as_generation() -> Any:
    try:
        yield
    except _Gone as error:
        raise GenerationError(str(error), _AGAIN, cause=FailureCause.ENGINE) from None
    except _Died as died:
        raise GenerationError(
            f"The engine stopped: {died}.",
            _AGAIN,
            cause=FailureCause.ENGINE,
        ) from None


def _decoded(kind: Any, data: Any, process: _Process) -> Any:
    """Return a value that the process has sent.

    Raises:
        _Died: it is none, and the process was ended for that.
    """
    try:
        return wire.decode(kind, data)
    except wire.WireError as error:
        process.kill(f"it sent invalid data ({error})")
        raise _Died(process.why) from error


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
