"""The thread that does the app's disk work, so that a slow disk never blocks the screen, and its asyncio interface.

Work is done in the order in which it was asked for. What could not be written stays in memory and is tried again, every few
seconds and whenever something else was written, until it is on the disk or the writer is closed. It decides nothing about files: that is the store's.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import field
from typing import Any, Final, TypeVar

from tui.conversation import Conversation, Status
from tui.dataclass import dataclass
from tui.sessions.errors import SessionError, SessionWriteError
from tui.sessions.store import SessionStore

_log = logging.getLogger(__name__)

RETRY_S: Final = 5.0
_INDEX_STEP_S: Final = 0.2

_Result = TypeVar("_Result")


@dataclass(slots=True)
class _Delta:
    """Text of an unfinished reply that is not on the disk."""

    text: str = ""
    reasoning: str = ""


@dataclass(slots=True)
class _Job:
    work: Callable[[], Any]
    futures: list[Future[Any]]
    chat_id: str | None = None
    """The chat that it writes; None for work that could be about any."""
    is_save: bool = False


@dataclass(slots=True)
class _Unwritten:
    """What of one chat waits for the disk to work again."""

    conversation: Conversation | None = None
    deltas: dict[str, _Delta] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.conversation is None and not self.deltas


class SessionWriter:
    """Does a store's work on a thread of its own, which starts with the first job. No method but `close` waits."""

    def __init__(self, store: SessionStore, retry_s: float = RETRY_S) -> None:
        self.store = store
        self._retry_s = retry_s
        self._wake = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._unwritten: dict[str, _Unwritten] = {}
        self._failures: dict[str, SessionError] = {}
        self._unsaved: dict[str, Conversation] = {}

    # -- asking for work; from the UI thread

    def save(self, conversation: Conversation) -> Future[None]:
        """Put a chat on the disk. A save of the same chat that still waits, with nothing after it, is skipped.

        Returns:
            A future that ends when the chat is on the disk, or with the `SessionError` that says why it is not. After a
            `SessionWriteError` the chat stays in memory and is tried again; see `failures`.
        """
        future: Future[None] = Future()
        chat_id = conversation.id

        def work() -> None:
            self._save(conversation)

        with self._wake:
            self._unsaved[chat_id] = conversation
            waiting = self._waiting_save(chat_id)
            if waiting is not None and not self._closed:
                waiting.work = work
                waiting.futures.append(future)
            else:
                self._submit(_Job(work, [future], chat_id, is_save=True))
        return future

    def checkpoint(
        self, chat_id: str, turn_id: str, text_delta: str, reasoning_delta: str = ""
    ) -> Future[None]:
        """Put on the disk what a reply said since the last call; see `SessionStore.checkpoint`.

        Returns:
            A future that ends like that of `save`. What could not be written is kept and goes with the next call.
        """
        future: Future[None] = Future()

        def work() -> None:
            self._checkpoint(chat_id, turn_id, text_delta, reasoning_delta)

        with self._wake:
            self._submit(_Job(work, [future], chat_id))
        return future

    def run(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Do any work on the store, such as a list or a search, after all that was asked for before."""
        future: Future[_Result] = Future()
        with self._wake:
            self._submit(_Job(work, [future]))
        return future

    def ask(self, work: Callable[[SessionStore], _Result]) -> Future[_Result]:
        """Do work on the chats, after all that was asked for before, and leave it to go on."""
        return self.run(lambda: work(self.store))

    async def do(self, work: Callable[[SessionStore], _Result]) -> _Result:
        """Do work on the chats and wait for it; it is done also where whoever waits is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self.ask(work)))

    async def settled(self) -> None:
        """Wait until everything is done that was asked for before."""
        await self.do(lambda _store: None)

    def index_texts(self) -> None:
        """Index all chats for search in small steps, each after all that was asked for before."""

        def step() -> None:
            left = self.store.index_texts(_INDEX_STEP_S)
            with self._wake:
                if left and not self._closed:
                    self._submit(_Job(step, [Future()]))

        self.run(step)

    @property
    def failures(self) -> Mapping[str, SessionError]:
        """The reasons why chats couldn't be saved, by chat ID; empty if everything is saved."""
        with self._wake:
            return dict(self._failures)

    @property
    def unsaved(self) -> Mapping[str, Conversation]:
        """The chats whose newest state isn't saved, by ID."""
        with self._wake:
            return dict(self._unsaved)

    def retry(self) -> Future[None]:
        """Try again now what could not be written; the future ends after that, whether it worked or not."""
        return self.run(self._retry)

    def forget(self, chat_id: str) -> None:
        """Give up what waits of a chat, since it goes on under another id; do so after all that was asked for before."""

        def work() -> None:
            self._unwritten.pop(chat_id, None)
            with self._wake:
                self._failures.pop(chat_id, None)
                self._unsaved.pop(chat_id, None)

        self.run(work)

    @property
    def pending(self) -> int:
        """The number of waiting jobs."""
        with self._wake:
            return len(self._jobs)

    def close(self, timeout_s: float) -> bool:
        """Finish all waiting jobs, retry failed ones once, end the thread, and release the locks.

        Returns:
            Whether everything is on the disk; `failures` names what is not.
        """
        with self._wake:
            self._closed = True
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
            if self._thread.is_alive():
                return False
        self.store.close()
        return not self.failures

    def _submit(self, job: _Job) -> None:
        if self._closed:
            raise RuntimeError("the chat writer is closed")
        self._jobs.append(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run_jobs, name="sessions", daemon=True)
            self._thread.start()
        self._wake.notify()

    def _waiting_save(self, chat_id: str) -> _Job | None:
        for job in reversed(self._jobs):
            if job.chat_id is None:
                return None
            if job.chat_id == chat_id:
                return job if job.is_save else None
        return None

    # -- the thread

    def _run_jobs(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._closed:
                    if not self._wake.wait(self._retry_s if self._unwritten else None):
                        break
                job = self._jobs.popleft() if self._jobs else None
                is_over = job is None and self._closed
            if job is None:
                self._retry()
            else:
                _finish(job)
            if is_over:
                return
            del job

    def _save(self, conversation: Conversation) -> None:
        chat_id = conversation.id
        waiting = self._unwritten.setdefault(chat_id, _Unwritten())
        waiting.conversation = conversation
        self._write(chat_id)
        for other in [other for other in self._unwritten if other != chat_id]:
            self._write_quietly(other)

    def _checkpoint(self, chat_id: str, turn_id: str, text: str, reasoning: str) -> None:
        waiting = self._unwritten.setdefault(chat_id, _Unwritten())
        delta = waiting.deltas.setdefault(turn_id, _Delta())
        delta.text += text
        delta.reasoning += reasoning
        self._write(chat_id)

    def _retry(self) -> None:
        for chat_id in list(self._unwritten):
            self._write_quietly(chat_id)

    def _write_quietly(self, chat_id: str) -> None:
        try:
            self._write(chat_id)
        except SessionError:
            _log.info("chat %s still can't be saved", chat_id)
        except Exception:  # noqa: BLE001 - no fault of one chat may end the thread
            _log.exception("chat %s can't be saved", chat_id)

    def _write(self, chat_id: str) -> None:
        """Put what waits of a chat on the disk: first the chat, then what its unfinished reply said."""
        waiting = self._unwritten[chat_id]
        try:
            if waiting.conversation is not None:
                self.store.save(waiting.conversation)
                with self._wake:
                    if self._unsaved.get(chat_id) is waiting.conversation:
                        del self._unsaved[chat_id]
                ended = _ended(waiting.conversation, waiting.deltas)
                waiting.conversation = None
                for turn_id in ended:
                    del waiting.deltas[turn_id]
            for turn_id in list(waiting.deltas):
                delta = waiting.deltas[turn_id]
                self.store.checkpoint(chat_id, turn_id, delta.text, delta.reasoning)
                del waiting.deltas[turn_id]
        except SessionWriteError as error:
            self._failed(chat_id, error)
            raise
        except SessionError as error:
            # Retrying can't help: the caller has to save it as a separate chat.
            del self._unwritten[chat_id]
            self._failed(chat_id, error)
            raise
        del self._unwritten[chat_id]
        with self._wake:
            self._failures.pop(chat_id, None)

    def _failed(self, chat_id: str, error: SessionError) -> None:
        _log.warning("chat %s was not saved: %s", chat_id, error, exc_info=error)
        with self._wake:
            self._failures[chat_id] = error


def _ended(conversation: Conversation, turn_ids: Mapping[str, _Delta]) -> list[str]:
    """Return the turns whose whole text is in the chat itself, since they are no longer being written."""
    turns = conversation.turns
    return [
        key for key in turn_ids if key not in turns or turns[key].status is not Status.STREAMING
    ]


def _finish(job: _Job) -> None:
    """Do a job and tell everybody who waits for it."""
    waiting = [future for future in job.futures if future.set_running_or_notify_cancel()]
    if not waiting and job.chat_id is None:
        return
    try:
        result = job.work()
    except BaseException as error:  # noqa: BLE001 - no fault of a job may end the thread
        if not isinstance(error, SessionError):
            _log.exception("a chat task failed unexpectedly")
        for future in waiting:
            future.set_exception(error)
    else:
        for future in waiting:
            future.set_result(result)
