"""One job of llama.cpp on a thread of its own, so that a cancel need not wait for the tokens that are being computed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tui.engine.base import Cancelled, IsCancelled
from tui.json_types import Json

_LOOK_S: Final = 0.02
"""How often a job looks whether it was cancelled."""

Take = Callable[[str], bool]
Work = Callable[[Mapping[str, Json], Take], None]
"""`LlamaServer.chat` or `complete`."""


class Stream:
    """What a job says, piece by piece."""

    def __init__(self, work: Work, body: Mapping[str, Json]) -> None:
        """Start the job.

        Args:
            work: does it.
            body: of the request.
        """
        self._pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(
            target=self._run, args=(work, body), name="llama.cpp", daemon=True
        )
        self._thread.start()

    def _run(self, work: Work, body: Mapping[str, Json]) -> None:
        try:
            work(body, self._take)
        except Exception as error:  # noqa: BLE001 - raised again by whoever reads
            self._error = error
        self._pieces.put(None)

    def _take(self, piece: str) -> bool:
        self._pieces.put(piece)
        return self._stopped.is_set()

    def pieces(self, cancelled: IsCancelled) -> Iterator[str]:
        """Yield all that it says.

        Raises:
            Cancelled: `cancelled` returned True; the job ends behind what it is just computing.
            Exception: the job could not be done.
        """
        while True:
            if cancelled():
                self.stop()
                raise Cancelled
            try:
                piece = self._pieces.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if piece is None:
                break
            yield piece
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Have the job end, without waiting for that."""
        self._stopped.set()

    def wait(self, cancelled: IsCancelled) -> bool:
        """Wait until the job has ended; return False where it was cancelled to wait."""
        while self._thread.is_alive():
            if cancelled():
                return False
            self._thread.join(_LOOK_S)
        return True
