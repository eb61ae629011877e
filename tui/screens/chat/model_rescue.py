"""What to offer when a load or a reply fails: using less memory, trusting code, choosing another model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tui.chat.loader import ModelLoader
from tui.chat.settings import ChatSettings
from tui.chat.ui import Answer
from tui.engine.base import EngineError, Failed, LoadRequest, ModelLoadError
from tui.engine.worker import EngineWorker
from tui.screens.chat.ui import ScreenUi
from tui.settings.measurements import Measurements

if TYPE_CHECKING:
    from tui.engine.facts import ModelFacts
    from tui.screens.models.rows import FreeMemory

_TRUST_ANSWERS: Final = (
    Answer("no", "Don't run it", "n"),
    Answer("yes", "I trust its authors", style="error"),
)

_UNENCRYPTED_ANSWERS: Final = (
    Answer("no", "Don't connect", "n"),
    Answer("yes", "Send them anyway", style="error"),
)


class ModelRescue:
    """Asks what to do about a failure, and does it."""

    def __init__(
        self,
        worker: EngineWorker,
        measurements: Measurements,
        loader: ModelLoader,
        settings: ChatSettings,
        ui: ScreenUi,
        choose_model: Callable[[], object],
    ) -> None:
        """Create it.

        Args:
            worker: knows how much memory is free.
            measurements: figures measured on this machine.
            loader: loads models.
            settings: which code may run.
            ui: shows questions.
            choose_model: asks for another model.
        """
        self._worker = worker
        self._measurements = measurements
        self._loader = loader
        self._settings = settings
        self._ui = ui
        self._choose_model = choose_model

    def measure_memory(self) -> FreeMemory:
        """Measure the free memory. Call this on a thread, because it may import torch."""
        from tui.screens.models.rows import FreeMemory

        try:
            device, reading = self._worker.target_memory()
        except EngineError:
            device, reading = "", self._worker.memory()
        own = self._worker.memory()
        # The loaded model is freed before another one is loaded, so its memory counts as free.
        freed = own.weights + own.cache if own.device == reading.device else 0
        return FreeMemory(
            device,
            f"{reading.device} ({reading.kind})",
            reading.free + freed,
            measured=self._measurements.figures,
            half_dtype=reading.half_dtype,
            context_tokens=self._settings.preferences.values.model.context,
        )

    async def offer_ways_out(self, request: LoadRequest, failed: Failed, *, in_reply: bool) -> bool:
        """Offer solutions when memory ran out.

        Args:
            request: the load that failed, or that the reply was made with.
            failed: the error.
            in_reply: whether a reply failed, so that part of the chat can be left out.

        Returns:
            Whether the user chose to leave out part of the chat.
        """
        from tui.screens.models.rescue import PICKER, SHORTER, ways_out

        facts, memory = await asyncio.to_thread(self._look_at, request)
        ways = ways_out(request, facts, memory, in_reply=in_reply)
        answers = [Answer("no", "Do nothing", "n"), *(way.answer for way in ways)]
        answer = await self._ui.ask("Not enough memory", failed.message, answers, interrupts=True)
        if answer == PICKER:
            self._choose_model()
        for way in ways:
            if way.answer.id == answer and way.request is not None:
                self._loader.load(way.request)
        if answer in ("no", None):
            self._loader.restore()
        return answer == SHORTER

    def _look_at(self, request: LoadRequest) -> tuple[ModelFacts | None, FreeMemory]:
        from tui.engine import catalog
        from tui.engine.llama import choice

        memory = self.measure_memory()
        try:
            folders = self._settings.state.model_folders
            sources = {one.model: one for one in catalog.local_models(folders)}
            source = sources.get(request.model) or catalog.resolve(request.model)
            return choice.facts(source, request.gguf), memory
        except ModelLoadError:
            return None, memory

    def can_trust(self, failed: Failed) -> bool:
        """Return whether asking could help. Code that was trusted and still refused is not asked about again."""
        return failed.subject not in ("", *self._settings.state.trusted)

    async def ask_to_trust(self, request: LoadRequest, failed: Failed) -> None:
        """Ask whether some code may run. The answer applies to this version only; other code that the model needs is asked about
        when it is needed.
        """
        from tui.engine import trust

        text = (
            f"{failed.message}\n\nThis code can do anything on this machine that you can. If you agree, this version of it runs "
            f"without asking from now on. You are asked again about any other version."
        )
        title = f"Run code from {trust.short(failed.subject)}?"
        if await self._ui.ask(title, text, _TRUST_ANSWERS, interrupts=True) == "yes":
            self._agree(request, failed.subject)

    async def ask_to_send_unencrypted(self, request: LoadRequest, failed: Failed) -> None:
        """Ask whether chats may be sent to a server without encryption. Asked once per server."""
        text = f"{failed.message} Anyone on the network in between could read your chats, and your API key if you use one."
        title = "Send chats unencrypted?"
        if await self._ui.ask(title, text, _UNENCRYPTED_ANSWERS, interrupts=True) == "yes":
            self._agree(request, failed.subject)

    def _agree(self, request: LoadRequest, subject: str) -> None:
        trusted = dict.fromkeys((*self._settings.state.trusted, subject))
        self._settings.remember(trusted=tuple(trusted))
        self._loader.load(request)
