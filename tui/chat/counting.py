"""Counts what the chat and the message that is being written take, and has the next prompt computed ahead, when there is time for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tui.chat import requests
from tui.chat.context_room import SHORTEN, TOO_LONG, too_long
from tui.chat.loader import ModelLoader
from tui.chat.replies import ReplyRunner
from tui.chat.session import ChatSession
from tui.chat.settings import ChatSettings
from tui.chat.side_work import SideWork
from tui.chat.signal import Signal
from tui.chat.ui import Ui
from tui.engine.base import GenerateRequest, PromptDescribed
from tui.engine.client import EngineClient

COUNT_S: Final = 0.25
"""Counting begins when nothing has changed for this long."""


class Counting:
    """Knows how many tokens the next prompt would take."""

    def __init__(
        self,
        client: EngineClient,
        session: ChatSession,
        settings: ChatSettings,
        loader: ModelLoader,
        replies: ReplyRunner,
        side: SideWork,
        ui: Ui,
        draft: Callable[[], str],
    ) -> None:
        """Make it; it begins with `touch`.

        Args:
            client: has prompts computed ahead.
            session, settings, loader, replies, side: the chat and what is under way in it.
            ui: starts what goes on beside.
            draft: returns the message as it is written now; empty for none.
        """
        self._client = client
        self._session = session
        self._settings = settings
        self._loader = loader
        self._replies = replies
        self._side = side
        self._ui = ui
        self._draft = draft
        self.changed: Signal[None] = Signal()
        self.chat_tokens: int | None = None
        """What the chat takes as it is; None when only the newest reply's figures are known."""
        self.draft_tokens: int | None = None
        """What the prompt would take if the draft were sent; None when that is not known."""
        self._has_warned = False
        """Whether it was said that the draft alone does not fit."""
        self._refused: tuple[GenerateRequest, str] | None = None
        """The last draft that does not fit however much is left out, and what was said of it."""
        self._prepared: GenerateRequest | None = None
        """What was computed ahead last; None when that was for another model."""
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0

    def forget(self) -> None:
        """Know nothing any more of the chat as it was, and count it anew."""
        self.chat_tokens = None
        self.touch()

    def forget_model(self) -> None:
        """Know nothing any more that another model has counted or computed, and count anew."""
        self._prepared, self._has_warned, self._refused = None, False, None
        self.forget()

    def touch(self) -> None:
        """Count anew when there is a moment: the draft, the chat or the model is another."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(COUNT_S, self._begin)

    def refuses(self, message: str) -> bool:
        """Return whether a message is known to fit no context, and say so."""
        if self._refused is None:
            return False
        request, text = self._refused
        if request != requests.for_draft(self._settings.snapshot(), message):
            return False
        self._ui.tell(text, title=TOO_LONG, severity="error")
        return True

    def drop_draft(self) -> None:
        """Note that nothing is being written."""
        self.draft_tokens = None

    def close(self) -> None:
        """Begin nothing more."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._turn += 1
        self._ui.start(self._count(self._turn))

    @property
    def _is_idle(self) -> bool:
        return self._loader.ready and self._replies.live is None

    @property
    def _may_send(self) -> bool:
        """Whether what is being written stays in the app; a server hears of nothing before it is sent."""
        info = self._loader.info
        return info is not None and info.capabilities.is_private

    async def _count(self, turn: int) -> None:
        """Count while the engine has nothing else to do, unless something else is to be counted meanwhile."""
        if not self._is_idle or not self._may_send:
            return
        if self._client.busy:
            self.touch()
            return
        draft = self._draft()
        if not draft.strip():
            self.draft_tokens, self._has_warned = None, False
        else:
            request = requests.for_next(
                self._session.conversation, self._settings.snapshot(), draft
            )
            described = await self._side.describe(request)
            if isinstance(described, PromptDescribed) and turn == self._turn and self._draft():
                self.draft_tokens = described.tokens
                await self._warn(draft)
        if self.chat_tokens is None and self._session.conversation.path and self._is_idle:
            await self._count_chat()
        self.changed.emit(None)
        if self._is_idle and turn == self._turn:
            self._prepare_next()

    async def _warn(self, draft: str) -> None:
        """Say it where a draft does not fit however much of the chat is left out, once until one fits again."""
        info = self._loader.info
        context = info.context_tokens if info is not None else 0
        if not context or (self.draft_tokens or 0) < context:
            self._has_warned, self._refused = False, None
            return
        alone = requests.for_draft(self._settings.snapshot(), draft)
        described = await self._side.describe(alone)
        is_of_now = self._loader.info is info and self._draft() == draft
        if isinstance(described, PromptDescribed) and is_of_now and described.tokens >= context:
            text = too_long("Your message alone", described.tokens, context, SHORTEN)
            self._refused = (alone, text)
            if not self._has_warned:
                self._ui.tell(text, title=TOO_LONG, severity="error")
            self._has_warned = True

    async def _count_chat(self) -> None:
        request = requests.for_count(self._session.conversation, self._settings.snapshot())
        described = await self._side.describe(request)
        is_of_now = (
            self._replies.live is None and self._session.conversation.messages() == request.messages
        )
        if isinstance(described, PromptDescribed) and is_of_now:
            self.chat_tokens = described.tokens

    def _prepare_next(self) -> None:
        """Have all that comes before the next message computed ahead, while the user reads and types."""
        request = requests.for_next(self._session.conversation, self._settings.snapshot())
        if request != self._prepared:
            self._prepared = request
            self._client.prepare(request)
