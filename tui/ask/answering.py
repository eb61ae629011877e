"""Has a question answered: the model loaded, the replies made one after another, each printed as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from tui.ask.forms import Printer, Reply
from tui.ask.notes import Notes
from tui.ask.stdout import Stdout
from tui.chat.core import Core
from tui.chat.live_reply import LiveReply
from tui.chat.outbox import Outgoing
from tui.chat.replies import ReplyOrder, Said
from tui.conversation import Status
from tui.engine.base import Failed, FailureCause, LoadRequest, ReasoningDelta, ReasoningFound

LOOK_S: Final = 0.02
"""How often the engine is asked what it has said."""
_HINTS: Final = {
    FailureCause.CODE: "If you trust its authors, load the model in chat-tui once and agree. If the code is in the model's own repository, --trust-remote-code works too.",
    FailureCause.ENGINE: "Run the command again.",
    FailureCause.UNENCRYPTED: "To use it anyway, connect to it in chat-tui once and agree.",
}


class AskError(Exception):
    """There is no reply, or none that is whole; what there is to say of it has been said."""


class Answering:
    """Makes the replies to one question."""

    def __init__(
        self, core: Core, notes: Notes, printer: Printer, out: Stdout, *, shows_reasoning: bool
    ) -> None:
        """Make it.

        Args:
            core: the chat.
            notes: is told what is being done.
            printer: prints the replies.
            out: where they go.
            shows_reasoning: whether the model's reasoning goes to stderr.
        """
        self._core = core
        self._notes = notes
        self._printer = printer
        self._out = out
        self._shows_reasoning = shows_reasoning
        self._failed: Failed | None = None
        """What ended the last reply, if it failed."""
        core.replies.said.listen(self._said)

    async def follow(self) -> None:
        """Hand on what the engine says, and say what is being done; ends only when it is cancelled."""
        client, loader, replies = self._core.client, self._core.loader, self._core.replies
        while True:
            client.pump()
            progress = loader.progress or (replies.live.progress if replies.live else None)
            if progress is not None:
                self._notes.show(progress)
            self._out.look()
            await asyncio.sleep(LOOK_S)

    async def load(self, request: LoadRequest) -> None:
        """Load the model.

        Raises:
            AskError: it can't be loaded.
        """
        event = await self._core.loader.load(request)
        self._notes.clear()
        if isinstance(event, Failed):
            hint = _HINTS.get(event.cause, event.hint)
            self._notes.fail(f"{event.message} {hint}".strip())
        if self._core.loader.info is None or isinstance(event, Failed):
            raise AskError
        for note in self._core.loader.info.notes:
            self._notes.remark(note)

    async def first(self, outgoing: Outgoing) -> Reply:
        """Send the question and return the reply to it.

        Raises:
            AskError: none was made.
        """
        return await self._made(lambda: self._core.sender.send(outgoing))

    async def another(self, seed_step: int) -> Reply:
        """Have the question answered once more, as a variant of the first reply.

        Args:
            seed_step: is added to a seed that is set, or all variants would be the same.

        Raises:
            AskError: the model can't be loaded again, or no reply was made.
        """
        chat = self._core.session.conversation
        parameters = dict(self._core.settings.parameters)
        seed = parameters.get("seed")
        if isinstance(seed, int):
            parameters["seed"] = seed + seed_step
        loader = self._core.loader
        if loader.info is None and loader.wanted is not None:
            # It was lost in the reply before.
            await self.load(loader.wanted)
        order = ReplyOrder(chat.id, chat.path[-1].parent, parameters=parameters)
        return await self._made(lambda: self._core.replies.begin(order))

    async def _made(self, begin: Callable[[], object]) -> Reply:
        self._failed = None
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[LiveReply | None] = loop.create_future()

        def end(reply: LiveReply | None) -> None:
            if not ended.done():
                ended.set_result(reply)

        replies = self._core.replies
        replies.ended.listen(end)
        replies.given_up.listen(end)
        try:
            begin()
            live = await ended
        finally:
            replies.ended.forget(end)
            replies.given_up.forget(end)
        self._notes.clear()
        if live is None:
            raise AskError
        await self._core.session.settled()
        chat = self._core.session.conversation
        is_saved = not (self._core.session.temporary or self._core.session.is_unsaved)
        return Reply(
            live.text, live.reasoning, live.status or Status.STOPPED, self._error(live), live.generation,
            chat.id if is_saved else "", is_explained=live.overflow is not None,
        )  # fmt: skip

    def _error(self, reply: LiveReply) -> str:
        """Return what went wrong, and what to do about it in a shell."""
        failed = self._failed
        if failed is None or failed.cause not in _HINTS:
            return reply.error
        return f"{failed.message} {_HINTS[failed.cause]}"

    def _said(self, said: Said) -> None:
        event = said.event
        if isinstance(event, Failed):
            self._failed = event
        if isinstance(event, ReasoningDelta | ReasoningFound) and self._shows_reasoning:
            self._notes.reasoning(event.text)
        self._printer.take(event)
