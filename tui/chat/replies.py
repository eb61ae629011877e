"""Replies, each from its order to its end: loaded for if need be, put on the disk, streamed, tried again with less of the chat."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from tui.chat import requests
from tui.chat.context_room import ContextRoom
from tui.chat.live_reply import LiveReply
from tui.chat.loader import ModelLoader
from tui.chat.measuring import Measuring
from tui.chat.session import Change, ChatSession, Operation
from tui.chat.settings import ChatSettings
from tui.chat.signal import Signal
from tui.chat.ui import Ui
from tui.conversation import Conversation, Generation, ReplyStats, Status
from tui.dataclass import dataclass
from tui.engine.base import (
    Event,
    Failed,
    FailureCause,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    ModelReady,
    PromptReady,
)
from tui.engine.client import EngineClient
from tui.parameters import Value
from tui.sessions.writer import SessionWriter


@dataclass(frozen=True, slots=True)
class ReplyOrder:
    """A reply that is wanted.

    Attributes:
        chat_id: the chat that it belongs to; in another one it does not begin.
        parent: the turn that is answered; a reply that stands below it already becomes a variant.
        continues: the reply that is to be continued, in place of a new one; empty for none.
        parameters: for this reply only; None for those in force.
        start_text: words that the reply begins with.
        label: what undo calls it.
        as_before: what the reply cost that is to come out again the same; it is computed in the same pieces.
        model: another model than the loaded one, for this reply only.
    """

    chat_id: str
    parent: str | None = None
    continues: str = ""
    parameters: Mapping[str, Value] | None = None
    start_text: str = ""
    label: str = "Reply"
    as_before: ReplyStats | None = None
    model: LoadRequest | None = None

    @property
    def upto(self) -> str | None:
        """The turn that has to be there, and that what is sent ends with."""
        return self.continues or self.parent


@dataclass(frozen=True, slots=True)
class Said:
    """One event of the reply under way, which has taken it already."""

    reply: LiveReply
    event: Event


class Rescue(Protocol):
    """Offers ways out when memory ran out."""

    async def offer_ways_out(self, request: LoadRequest, failed: Failed, *, in_reply: bool) -> bool:
        """Offer them; return whether a part of the chat is to be left out and the reply made again."""


class ReplyRunner:
    """Makes replies, one at a time."""

    def __init__(
        self,
        client: EngineClient,
        writer: SessionWriter,
        session: ChatSession,
        settings: ChatSettings,
        loader: ModelLoader,
        room: ContextRoom,
        measuring: Measuring,
        rescue: Rescue,
        ui: Ui,
    ) -> None:
        self._client = client
        self._writer = writer
        self._session = session
        self._settings = settings
        self._loader = loader
        self._room = room
        self._measuring = measuring
        self._rescue = rescue
        self._ui = ui
        self.live: LiveReply | None = None
        """The reply that is being written."""
        self._last_speeds: tuple[str, tuple[float, ...]] = ("", ())
        self.stats: list[ReplyStats] = []
        """What each reply since the start cost."""
        self.is_leaving = False
        """Whether the app is being left, so that nothing new is to begin."""
        self.changed: Signal[None] = Signal()
        """A reply begins, or waits for a model, or does so no longer."""
        self.said: Signal[Said] = Signal()
        self.ended: Signal[LiveReply] = Signal()
        """A reply has ended and nothing more comes of it."""
        self.given_up: Signal[None] = Signal()
        """A reply that was wanted is not made."""
        self._waiting: ReplyOrder | None = None
        self._noted: set[tuple[str, str, str]] = set()
        loader.begun.listen(self._load_begins)

    @property
    def waits_for_model(self) -> bool:
        """Whether a reply begins when a model is loaded."""
        return self._waiting is not None

    @property
    def is_due(self) -> bool:
        """Whether a reply is being written or waits for its model."""
        return self.live is not None or self._waiting is not None

    # -- beginning

    def send(self, add: Operation) -> None:
        """Add a user turn at the end of the chat and have it answered.

        Args:
            add: adds the turn.
        """
        self._session.change(add, Change.GROWN, follow=True, saves=False)
        self.answer(self._session.conversation.path[-1].id)

    def answer(self, turn_id: str) -> None:
        """Have a user turn answered, as soon as there is a model."""
        order = ReplyOrder(self._session.conversation.id, turn_id)
        if self._loader.ready:
            self.begin(order)
            return
        self._session.save()
        if self._loader.loading:
            self._ui.tell(f"The reply starts once {self._loader.name} is loaded.")
            self._wait(order, None)
        else:
            self.may_begin()

    def begin(self, order: ReplyOrder) -> None:
        """Begin a reply, with another model after that is loaded. Says so when a reply is not available right now."""
        if order.model is not None:
            self._begin_with(order, order.model)
            return
        order = self._fixed(order)
        if (reply := self._begun(order)) is not None:
            self._ui.start(self._run(order, reply))
        elif not self.is_due:
            self.given_up.emit(None)

    def _fixed(self, order: ReplyOrder) -> ReplyOrder:
        """Return an order that another try follows too, whatever is set meanwhile."""
        used = self._settings.parameters if order.parameters is None else order.parameters
        return replace(order, parameters=dict(used))

    def _begin_with(self, order: ReplyOrder, model: LoadRequest) -> None:
        if self.is_due or self._loader.loading:
            self._ui.tell(
                f"A reply is being generated or a model is loading. {self._ui.way('reply.stop')} to stop it first.",
                severity="warning",
            )
            return
        self._waiting = order
        self._wait(order, self._loader.load_for_reply(model))

    def _wait(self, order: ReplyOrder, load: asyncio.Task[Event] | None) -> None:
        self._waiting = order
        self.changed.emit(None)
        self._ui.start(self._when_loaded(order, load))

    async def _when_loaded(self, order: ReplyOrder, load: asyncio.Task[Event] | None) -> None:
        """Begin a reply when the load has ended that it waits for, or any load where that is None."""
        if load is not None:
            is_there = isinstance(await asyncio.shield(load), ModelReady)
        else:
            is_there = await self._loader.settled()
        if self._waiting is not order:
            return
        if not is_there:
            self.drop_waiting("the model was not loaded")
            return
        self._waiting = None
        self.changed.emit(None)
        self.begin(replace(order, model=None))

    def drop_waiting(self, why: str) -> None:
        """Give up the reply that waits for a model, and say so."""
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        self._ui.tell(
            f"No reply was generated because {why}. Your message is saved. "
            f"{self._ui.way('turn.regenerate')} to generate a reply."
        )
        self._loader.go_back()
        self.changed.emit(None)
        self.given_up.emit(None)

    def _load_begins(self, request: LoadRequest | None) -> None:
        if request is None:
            self.stop("the model was unloaded.")
            return
        self.stop("another model was loaded.")
        waiting = self._waiting
        if waiting is not None and waiting.model is not None and waiting.model is not request:
            self.drop_waiting("another model was chosen")

    def may_begin(self) -> bool:
        """Return whether a reply can begin now, and say what to do when not."""
        if self.is_due:
            self._ui.tell(
                f"A reply is already being generated. {self._ui.way('reply.stop')} to stop it.",
                severity="warning",
            )
        elif self._loader.loading:
            self._ui.tell(
                "The model is still loading. Try again once it is ready.", severity="warning"
            )
        elif not self._loader.ready:
            self._ui.tell(
                f"No model is loaded. {self._ui.way('model.choose')} to choose one.",
                severity="warning",
            )
        else:
            return True
        return False

    def _begun(self, order: ReplyOrder) -> LiveReply | None:
        """Give a reply its place in the chat; None, having said why, where none can begin."""
        chat, info = self._session.conversation, self._loader.info
        if self.is_leaving or not self._session.is_open(order.chat_id):
            return None
        if order.upto is not None and order.upto not in chat.turns:
            self._ui.tell("The message to reply to no longer exists.", severity="warning")
            return None
        if not self.may_begin() or info is None:
            return None
        if (order.continues or order.start_text) and not info.capabilities.continues:
            self._ui.tell(
                f"{info.name} can't continue a reply or start one with text that you provide. "
                f"{self._ui.way('turn.regenerate')} for a new reply.",
                severity="warning",
            )
            return None
        sent = () if order.upto is None else chat.sent_turns(upto=order.upto)
        generation = self._generation(order, info)

        def begin(chat: Conversation) -> Conversation:
            if order.continues:
                chat = chat.begin_continue(order.continues)
            else:
                chat = chat.begin_reply(
                    order.parent, generation, text=order.start_text, label=order.label
                )
            return chat.with_settings(self._settings.for_file(chat, info))

        self._session.change(begin, Change.GROWN, follow=True, saves=False)
        changed = self._session.conversation
        turn = changed.turn(order.continues) if order.continues else changed.path[-1]
        self.live = LiveReply(
            turn.id,
            generation,
            turn.text,
            turn.reasoning,
            context_tokens_at_most=info.context_tokens,
            sent=tuple(one.id for one in sent),
        )
        self.changed.emit(None)
        return self.live

    def _generation(self, order: ReplyOrder, info: ModelInfo) -> Generation:
        used = dict(order.parameters or {})
        if not order.continues:
            return Generation(info.model, info.name, info.quantization, used, order.start_text)
        before = self._session.conversation.turn(order.continues).generation or Generation()
        return replace(
            before,
            model=info.model,
            name=info.name,
            quantization=info.quantization,
            parameters=used,
            continued=True,
        )

    def _request(self, order: ReplyOrder, reply: LiveReply) -> GenerateRequest:
        # What an engine is given ends with the reply's first words when there are any.
        has_words = bool(order.continues or order.start_text)
        return requests.for_reply(
            self._session.conversation,
            reply.turn_id if has_words else order.parent,
            self._settings.snapshot(order.parameters),
            continues=has_words,
            as_before=order.as_before,
        )

    # -- its life

    async def _run(self, order: ReplyOrder, reply: LiveReply) -> None:
        current: LiveReply | None = reply
        while current is not None:
            end = await self._stream(current, self._request(order, current))
            current = await self._next_try(order, current, end)

    async def _stream(self, reply: LiveReply, request: GenerateRequest) -> Event | None:
        """Have a reply written; return the event that ended it, None where it was left before."""
        # First on the disk, then to the engine.
        await self._session.save()
        if reply is not self.live:
            return None
        if reply.stop_wanted or self.is_leaving:
            reply.status = Status.STOPPED if reply.stop_wanted else Status.INTERRUPTED
            self._end(reply)
            return None
        job = self._client.generate(request)
        reply.asked(job)
        async for event in job:
            if reply is not self.live:
                return None
            self._take(reply, event)
            if reply.ended:
                return event
        return None

    def _take(self, reply: LiveReply, event: Event) -> None:
        reply.take(event)
        if isinstance(event, PromptReady):
            self._tell_once(event.notes)
        self.said.emit(Said(reply, event))
        if not self._session.temporary and (unsaved := reply.take_unsaved()) is not None:
            self._writer.checkpoint(self._session.conversation.id, reply.turn_id, *unsaved)
        if reply.ended:
            if isinstance(event, Failed) and not event.keeps_model:
                self._loader.lose()
            self._end(reply, may_go_on=_may_go_on(event))

    async def _next_try(
        self, order: ReplyOrder, reply: LiveReply, end: Event | None
    ) -> LiveReply | None:
        """Return the same reply begun once more, after room was made for it; None where it has ended for good."""
        if not isinstance(end, Failed) or not _may_go_on(end):
            return None
        if await self._room_was_made(order, reply, end) and (again := self._begun(order)):
            return again
        self._go_back()
        self.ended.emit(reply)
        return None

    async def _room_was_made(self, order: ReplyOrder, reply: LiveReply, end: Failed) -> bool:
        if reply.overflow is not None:
            return await self._room.make(reply, reply.overflow)
        wanted = self._loader.wanted
        if wanted is None or self.is_leaving:
            return False
        is_wanted = await self._rescue.offer_ways_out(wanted, end, in_reply=True)
        # The question may have been answered after another chat was opened.
        is_here = self._session.is_open(order.chat_id)
        return is_wanted and is_here and self._room.leave_out_half(reply)

    def _tell_once(self, notes: Sequence[str]) -> None:
        """Say what was done with this chat for the model's sake, each thing at the first reply for which it was done."""
        model, chat_id = self._loader.model, self._session.conversation.id
        new = {note: (chat_id, model, note) for note in notes}
        told = [note for note, key in new.items() if key not in self._noted]
        self._noted.update(new.values())
        if told:
            self._ui.tell("\n".join(told))

    # -- its end

    def _end(self, reply: LiveReply, *, may_go_on: bool = False) -> None:
        """Take a reply that has ended into the chat.

        Args:
            reply: the reply.
            may_go_on: whether it is still to be decided if it is made once more, with the same model.
        """
        self.live = None
        turn_id = reply.turn_id
        self._last_speeds = (turn_id, reply.speeds)
        if reply.overflow is not None:
            # Nothing was said; what comes of it is decided next.
            self._session.amend(lambda chat: chat.withdraw_reply(turn_id), Change.TURNS)
            return
        if reply.adds_nothing:
            # The turn stays as it was, with the name of the model that wrote it.
            self._session.amend(lambda chat: chat.withdraw_reply(turn_id), Change.TURN, turn_id)
            self._ui.tell(f"{reply.generation.name} had nothing to add.")
        else:
            self._session.amend(lambda chat: _finished(chat, reply), Change.TURN, turn_id)
        self.stats.append(reply.generation.stats)
        self._measuring.note_reply(reply.generation)
        if may_go_on:
            self.changed.emit(None)
        else:
            self._go_back()
            self.ended.emit(reply)

    def _go_back(self) -> None:
        if not self.is_leaving:
            self._loader.go_back()

    def speeds_of(self, turn_id: str) -> tuple[float, ...]:
        """Return how fast the newest reply was written, in tokens per second, one figure for each `SAMPLE_S`; of others it is not known."""
        return self._last_speeds[1] if self._last_speeds[0] == turn_id else ()

    def stop(self, because: str = "") -> None:
        """Stop the reply under way, if there is one.

        Args:
            because: what the turn says of it, as a sentence; empty when the user stopped the reply itself. What stopped it
                first is said.
        """
        reply = self.live
        if reply is None:
            return
        if not reply.stop_wanted:
            reply.stop_wanted = True
            reply.stopped_because = because
        if reply.job is not None:
            reply.job.cancel()

    def end_now(self, because: str = "") -> None:
        """End the reply under way here and now with what was said so far, as when the app is left; see `stop`."""
        reply = self.live
        if reply is None:
            return
        self.stop(because)
        self._client.pump()
        for event in reply.job.said_so_far() if reply.job is not None else ():
            if not reply.ended:
                reply.take(event)
        if not reply.ended:
            reply.cut(Status.STOPPED)
        self._end(reply)

    def leave_chat(self) -> None:
        """End what is under way, since another chat is about to be opened; what was said stays in this one."""
        self.end_now()
        self.drop_waiting("another chat was opened")
        # What is left out or summarized for a reply by another model ends with the chat, too.
        self._go_back()


def _may_go_on(end: Event) -> bool:
    """Return whether something can be done about the failure of a reply, so that it is made once more."""
    return isinstance(end, Failed) and (
        end.overflow is not None or end.cause is FailureCause.MEMORY
    )


def _finished(chat: Conversation, reply: LiveReply) -> Conversation:
    status = reply.status or Status.STOPPED
    return chat.finish(
        reply.turn_id,
        status,
        text=reply.text,
        reasoning=reply.reasoning,
        error=reply.error or reply.stopped_because * (status is Status.STOPPED),
        generation=reply.generation,
    )
