"""Turns the progress bars of transformers and huggingface_hub into `Progress` events, and into places to cancel a load."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, Self, TypeVar

from tui.engine.base import Cancelled, Emit, IsCancelled, Progress
from tui.engine.local import interruptible

_INTERVAL_S: Final = 0.05
MOST_BYTES: Final = 2 << 30
"""What a model's config and tokenizer may take; the largest in use take some 600 MB while they are read."""
_Result = TypeVar("_Result")


class Reporter:
    """Emits a job's progress, not more often than a screen can show it, and raises when the job was cancelled."""

    def __init__(self, emit: Emit, cancelled: IsCancelled) -> None:
        self._emit = emit
        self._cancelled = cancelled
        self._stage = ""
        self._due_s = 0.0

    def is_cancelled(self) -> bool:
        """Return whether the job was cancelled."""
        return self._cancelled()

    def check(self) -> None:
        """Raise `Cancelled` when the job was cancelled."""
        if self._cancelled():
            raise Cancelled

    def run(self, work: Callable[[], _Result], *, alone: bool = True) -> _Result:
        """Return what `work` returns, without letting a cancel wait for it; see `interruptible.run`."""
        return interruptible.run(work, self._cancelled, alone=alone)

    def run_frugally(self, work: Callable[[], _Result]) -> _Result:
        """Return what work on a model's files returns that reads no weights, and so needs little memory; see `interruptible.run`."""
        return interruptible.run(work, self._cancelled, most_bytes=MOST_BYTES)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Wait until work that was left to itself has ended, and keep such work out inside the block."""
        return interruptible.alone(self._cancelled)

    def step(self, stage: str, done: int = 0, total: int = 0, unit: str = "") -> None:
        """Report a step.

        Raises:
            Cancelled: the job was cancelled.
        """
        self.check()
        now_s = time.monotonic()
        is_news = stage != self._stage or (total and done >= total)
        if is_news or now_s >= self._due_s:
            self._stage, self._due_s = stage, now_s + _INTERVAL_S
            self._emit(Progress(stage, done, total, unit))

    @contextlib.contextmanager
    def weights(self, stage: str, unit: str = "tensors") -> Iterator[None]:
        """Report what transformers' own bars count, inside the block, as one stage."""
        from transformers.utils import logging as transformers_logging

        def bar(_factory: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bar:
            return Bar(self, stage, unit, *args, **kwargs)

        former = transformers_logging.set_tqdm_hook(bar)
        try:
            yield
        finally:
            transformers_logging.set_tqdm_hook(former)

    def download_bar(self, stage: str) -> type[Any]:
        """Return a class to give as `tqdm_class`; bars that count anything but bytes stay silent."""
        reporter = self

        class DownloadBar(Bar):
            """What huggingface_hub counts while it downloads."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                counted = kwargs.get("unit", "it")
                super().__init__(
                    reporter, stage if counted == "B" else "", counted, *args, **kwargs
                )

        return DownloadBar


class Bar:
    """Looks like a tqdm bar to those who count with it."""

    def __init__(
        self,
        reporter: Reporter,
        stage: str,
        counted: str,
        iterable: Iterable[object] | None = None,
        /,
        *_args: object,
        total: float | None = None,
        initial: float = 0,
        **_kwargs: object,
    ) -> None:
        self._reporter = reporter
        self._stage = stage
        self._counted = counted
        self.iterable = iterable
        self.total = total if total is not None else _length(iterable)
        self.n = initial
        self.disable = False
        self.unit = counted
        self.desc = stage

    def __iter__(self) -> Iterator[object]:
        for item in self.iterable or ():
            yield item
            self.update()

    def __len__(self) -> int:
        return int(self.total or 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def update(self, count: float | None = 1) -> None:
        """Count; raises `Cancelled` when the job was cancelled."""
        self.n += count or 0
        self._report()

    def refresh(self, *_args: object, **_kwargs: object) -> None:
        """Report after the counter or the total was set from outside."""
        self._report()

    def reset(self, total: float | None = None) -> None:
        """Count from zero again."""
        self.n, self.total = 0, total if total is not None else self.total

    def close(self) -> None:
        """Do nothing: a stage ends when the next one starts."""

    def clear(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing: there is no line to clear."""

    def display(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing: the screen draws."""

    def set_description(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing: the stage has its own name."""

    def set_description_str(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing: the stage has its own name."""

    def set_postfix(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing: only the count is shown."""

    def set_postfix_str(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing: only the count is shown."""

    @classmethod
    def get_lock(cls) -> contextlib.AbstractContextManager[None]:
        """Return a lock that is always free."""
        return contextlib.nullcontext()

    @classmethod
    def set_lock(cls, _lock: object) -> None:
        """Do nothing: there is no lock."""

    def _report(self) -> None:
        if self._stage:
            self._reporter.step(self._stage, int(self.n), int(self.total or 0), self._counted)
        else:
            self._reporter.check()


def _length(iterable: Any) -> float | None:
    try:
        return len(iterable)
    except TypeError:
        return None
