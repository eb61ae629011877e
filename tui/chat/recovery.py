"""What is offered when the process of the engine has ended: the model was lost, and the chat was not."""

from __future__ import annotations

from typing import Final

from tui.chat.loader import LoadEnded, ModelLoader
from tui.chat.replies import ReplyRunner, Said
from tui.chat.ui import Answer, Ui
from tui.engine.base import Failed, FailureCause, LoadRequest
from tui.engine.client import EngineClient

_LOAD: Final = "load"
_ANSWERS: Final = (
    Answer("no", "Not now", "n"),
    Answer(_LOAD, "Load the model again", "l", "primary"),
)


class Recovery:
    """Asks whether the model is to be loaded again, and does it."""

    def __init__(
        self, client: EngineClient, loader: ModelLoader, replies: ReplyRunner, ui: Ui
    ) -> None:
        self._client = client
        self._loader = loader
        self._replies = replies
        self._ui = ui
        replies.said.listen(self._said)
        loader.ended.listen(self._load_ended)

    def look(self) -> None:
        """Offer to load the model again if its process has ended since the last look, and no reply or load was to tell of it."""
        if self._loader.ready and not self._client.busy and (lost := self._client.lost):
            self._loader.lose()
            self._offer(self._loader.wanted, lost)

    def _said(self, said: Said) -> None:
        event = said.event
        if isinstance(event, Failed) and event.cause is FailureCause.ENGINE:
            self._offer(self._loader.wanted, event.message)

    def _load_ended(self, ended: LoadEnded) -> None:
        event = ended.event
        if isinstance(event, Failed) and event.cause is FailureCause.ENGINE:
            self._offer(ended.request, event.message)

    def _offer(self, request: LoadRequest | None, why: str) -> None:
        if request is not None and not self._replies.is_leaving:
            self._ui.start(self._ask(request, why))

    async def _ask(self, request: LoadRequest, why: str) -> None:
        answer = await self._ui.ask("The engine has stopped", why, _ANSWERS, interrupts=True)
        if answer == _LOAD and not self._loader.loading:
            self._loader.load(request)
        elif answer != _LOAD:
            # A load that failed has cost the model that was there before.
            self._loader.restore()
