"""Talking: a message goes to disk and then to the engine, and what the engine says becomes a turn."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from textual import on, work
from textual.timer import Timer
from textual.widgets import TextArea

from tui.chat import requests
from tui.chat.outbox import Outgoing
from tui.chat.requests import ReplySettings
from tui.commands import is_command
from tui.conversation import Conversation, Generation, ReplyStats, Status
from tui.engine.base import (
    Event,
    Failed,
    FailureCause,
    GenerateRequest,
    LoadRequest,
    Overflow,
    PromptDescribed,
    PromptReady,
    ReasoningDelta,
    ReasoningFound,
    TextDelta,
)
from tui.engine.worker import JobId
from tui.parameters import Value
from tui.screens.chat.drafting import Drafting
from tui.screens.chat.models import Pending
from tui.screens.live_reply import LiveReply
from tui.screens.presenting import reasoning_caption
from tui.settings.history import Attachment
from tui.widgets.attachment_bar import AttachmentBar, Chip
from tui.widgets.composer import Composer
from tui.widgets.waiting_message import WaitingMessage

MEASURED_TOKENS: Final = 16
"""A reply shorter than this says nothing about the speed."""
_log = logging.getLogger(__name__)
_MOST_NOTICES: Final = 3
STOP_AGAIN_S: Final = 2.0
"""A load is stopped when Escape is pressed twice within this."""
COUNT_S: Final = 0.25
HOLD_S: Final = 2.0
"""How long loading waits for the screen at most."""
"""The tokens of a draft are counted when the typing has paused this long."""


class Talk(Drafting):
    """Sends messages and follows replies."""

    _count_timer: Timer | None = None
    _prepared: GenerateRequest | None = None
    """What was computed ahead last; None when that was for another model."""
    _stop_asked = float("-inf")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._noted: set[tuple[str, str, str]] = set()

    def on_mount(self) -> None:
        """Begin to load the model behind the first frame."""
        # Imports would hold up what is still to be put on the screen.
        self.worker.hold()
        self.sidebar.when_filled(self.worker.release)
        self.set_timer(HOLD_S, self.worker.release)
        self.call_after_refresh(self._start)

    def _tell_notices(self, notices: Sequence[str]) -> None:
        """Say what was wrong at the start in one message; the log has all of it."""
        for notice in notices:
            _log.warning("%s", notice)
        shown = list(notices[:_MOST_NOTICES])
        if more := len(notices) - len(shown):
            shown.append(
                f"… and {more} more: `chat-tui config` says what is wrong with the configuration, the log has all."
            )
        self.tell("\n".join(shown), severity="warning")

    def _start(self) -> None:
        if self.notices:
            self._tell_notices(self.notices)
        if self.opened is not None:
            self.tell_opened(self.opened)
        if self.request is not None:
            self.load_model(self.request)
        else:
            self.action_model_choose(message="Welcome. Choose a model to talk with.")
        self.read_memory()

    # -- what the engine says

    def take_event(self, job: JobId, event: Event) -> bool:
        """Follow one event; return whether it was anybody's here."""
        if self.reply is None or job != self.reply.job:
            return super().take_event(job, event)
        self._reply_event(self.reply, event)
        return True

    def _reply_event(self, reply: LiveReply, event: Event) -> None:
        reply.take(event)
        if isinstance(event, PromptReady):
            self._tell_once(event.notes)
        elif isinstance(event, TextDelta):
            self.transcript.stream(reply.turn_id, text=event.text)
            if reply.reasoning_ended:
                caption = reasoning_caption(reply.stats)
                self.transcript.caption_reasoning(reply.turn_id, caption)
        elif isinstance(event, ReasoningDelta):
            self.transcript.stream(reply.turn_id, reasoning=event.text)
        elif isinstance(event, ReasoningFound):
            self.transcript.retell(reply.turn_id, text=reply.text, reasoning=reply.reasoning)
        if reply.ended:
            if isinstance(event, Failed) and not event.keeps_model:
                self.model.info = None
                self.show_model()
            self._end_reply(reply)
            if isinstance(event, Failed) and event.cause is FailureCause.MEMORY:
                self.memory_ran_out(reply, event)

    def _tell_once(self, notes: Sequence[str]) -> None:
        """Say what was done with this chat for the model's sake, each thing at the first reply for which it was done."""
        info = self.model.info
        model = info.model if info is not None else ""
        new = {note: (self.conversation.id, model, note) for note in notes}
        told = [note for note, key in new.items() if key not in self._noted]
        self._noted.update(new.values())
        if told:
            self.tell("\n".join(told))

    def memory_ran_out(self, reply: LiveReply, failed: Failed) -> None:
        """Offer ways out after a reply for which memory did not suffice; what was said of it is kept."""
        request = self.model.wanted
        if request is not None and not self.quitting:
            self.offer_ways_out(request, failed, lambda: self.shorten_and_ask(reply))

    def shorten_and_ask(self, reply: LiveReply) -> None:
        """Make a reply once more; floors above leave out a part of the chat first."""
        if reply.again is not None:
            reply.again()

    def drained(self) -> None:
        """Put on disk what the reply said since the last time."""
        if self.reply is None or self.temporary:
            return
        if (unsaved := self.reply.take_unsaved()) is not None:
            self.sessions.checkpoint(self.conversation.id, self.reply.turn_id, *unsaved)

    def _end_reply(self, reply: LiveReply) -> None:
        self.reply = None
        self.context_tokens = None
        if reply.overflow is not None:
            self.conversation = self.conversation.withdraw_reply(reply.turn_id)
            self.show_conversation()
            self.save()
            self.context_is_full(reply, reply.overflow)
            return
        if reply.adds_nothing:
            # The turn stays as it was, with the name of the model that wrote it.
            self.conversation = self.conversation.withdraw_reply(reply.turn_id)
            self.tell(f"{reply.generation.name} had nothing to add.")
        else:
            self.conversation = self._finished(reply)
        self.session_stats.append(reply.generation.stats)
        self.show_turn(reply.turn_id)
        self.save()
        self._note_speed(reply.generation)
        self.show_drafting()
        self.show_status()
        self.refresh_bindings()
        self.load_back()
        if not self.quitting:
            self._send_waiting(reply.status or Status.STOPPED)
            self.draft_changed()

    def _finished(self, reply: LiveReply) -> Conversation:
        return self.conversation.finish(
            reply.turn_id,
            reply.status or Status.STOPPED,
            text=reply.text,
            reasoning=reply.reasoning,
            error=reply.error or reply.stopped_because * (reply.status is Status.STOPPED),
            generation=reply.generation,
        )

    def _note_speed(self, made: Generation) -> None:
        """Keep how fast the model was under this quantization, for the next choice of one."""
        stats, measurements = made.stats, self.measurements
        if made.model and stats.new_tokens >= MEASURED_TOKENS:
            speed = stats.tokens_per_s
            self.note_measured(
                lambda: measurements.note_speed(made.model, made.quantization, speed)
            )

    def context_is_full(self, reply: LiveReply, overflow: Overflow) -> None:  # noqa: ARG002 - for floors above
        """Say that the chat no longer fits and that nothing was said."""
        self.tell(reply.error, title="The context is full", severity="warning")
        self.load_back()

    # -- a message that waits

    @property
    def must_wait(self) -> bool:
        """Whether a message can't be sent before something else has ended."""
        return self.reply is not None or self.pending is not None or self.side.blocks

    @property
    def has_model(self) -> bool:
        """Whether there is a model to send to, or will be soon."""
        return self.model.ready or self.model.loading

    def send_or_wait(self, outgoing: Outgoing) -> None:
        """Send a message, or have it wait for what has to end first."""
        if self.must_wait:
            self.outbox.wait(outgoing)
            self._show_waiting()
        else:
            self.send(outgoing.message)

    def _show_waiting(self) -> None:
        waiting = self.outbox.waiting
        self.composer.has_waiting = waiting is not None
        self.waiting.show(waiting.label if waiting is not None else "")

    @on(Composer.WaitingWanted)
    @on(WaitingMessage.Clicked)
    def take_back_waiting(self) -> None:
        """Put the message that waits, if any, back into the composer, with what goes with it."""
        outgoing = self.outbox.take()
        self._show_waiting()
        if outgoing is not None:
            self.take_back(outgoing)
            self.set_focus(self.composer)

    def take_back(self, outgoing: Outgoing) -> None:
        """Put a message that could not be sent back into the composer as it was typed, in front of what was written since."""
        if outgoing.typed:
            self.composer.take_back(outgoing.typed)
        if outgoing.attachments:
            self.set_attachments((*outgoing.attachments, *self.attachments))

    def set_attachments(self, attachments: tuple[Attachment, ...]) -> None:
        """Have other texts go with the message."""
        self.attachments = attachments
        self.composer.has_attachments = bool(attachments)
        chips = [Chip(one.name, one.text.count("\n") + 1) for one in attachments]
        self.query_one("#attachments", AttachmentBar).show(chips)
        self.draft_changed()

    def _send_waiting(self, status: Status) -> None:
        """Send the message that waits after a reply that ended well; otherwise give it back."""
        may_go = status in (Status.COMPLETE, Status.TRUNCATED) and self.has_model
        outgoing = self.outbox.take() if may_go else None
        if outgoing is None:
            self.take_back_waiting()
            return
        self._show_waiting()
        self.send(outgoing.message)

    # -- counting what is written

    @property
    def _has_draft(self) -> bool:
        """Whether something is being written, found out without putting it together, which each key would pay for."""
        return bool(self.composer.text.strip()) or self.composer.has_attachments

    def draft_message(self) -> str:
        """Return what would be sent if Enter were pressed now: a message with what goes with it, and nothing of a command."""
        text = self.composer.text
        return "" if is_command(text) else Outgoing(text, self.attachments).message

    @on(TextArea.Changed, "#composer")
    def draft_changed(self) -> None:
        """Count the draft anew when there is a moment."""
        if self._count_timer is not None:
            self._count_timer.stop()
        if not self._has_draft:
            self.draft_context = None
        self._count_timer = self.set_timer(COUNT_S, self._count_draft)

    @work(exclusive=True, group="count")
    async def _count_draft(self) -> None:
        """Count the tokens of what is being written, while the engine has nothing else to do."""
        # A reply whose end has not been shown yet still stands empty in the chat, with nothing left for the engine to do.
        if not self.model.ready or self.worker.busy or self.reply is not None:
            return
        draft = self.draft_message()
        if not draft.strip():
            self.draft_context = None
        else:
            request = requests.for_next(self.conversation, self.reply_settings(), draft)
            described = await self.side.describe(request)
            if isinstance(described, PromptDescribed) and self._has_draft:
                self.draft_context = described.tokens
        if self.context_tokens is None and self.conversation.path and self.reply is None:
            await self._count_chat()
        if self.model.ready and self.reply is None:
            self._prepare_next()

    async def _count_chat(self) -> None:
        request = requests.for_count(self.conversation, self.reply_settings())
        described = await self.side.describe(request)
        is_of_now = self.reply is None and self.conversation.messages() == request.messages
        if isinstance(described, PromptDescribed) and is_of_now:
            self.context_tokens = described.tokens

    def _prepare_next(self) -> None:
        """Have all that comes before the next message computed ahead, while the user reads and types."""
        request = requests.for_next(self.conversation, self.reply_settings())
        if request != self._prepared:
            self._prepared = request
            self.worker.prepare(request)

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat's active path, title and settings, and count what it takes when there is time."""
        super().show_conversation(follow=follow)
        self.draft_changed()

    def show_model(self) -> None:
        """Show the model, and count what the chat takes for it."""
        super().show_model()
        if self.model.ready:
            self.context_tokens = None
            self._prepared = None
            self.draft_changed()

    # -- talking

    def send(self, text: str) -> None:
        """Add a user turn at the end of the chat and have it answered."""
        self.will_change()
        self.conversation = self.conversation.add_user(text)
        turn_id = self.conversation.path[-1].id
        self.show_growth()
        self.answer(turn_id)

    def answer(self, turn_id: str) -> None:
        """Have a user turn answered, as soon as there is a model."""
        if self.model.ready:
            self.begin_reply(turn_id)
            return
        self.save()
        if self.model.loading:
            self.tell(f"The reply begins when {self.model.name} is loaded.")
            self.begin_when_loaded(Pending(self.conversation.id, lambda: self.begin_reply(turn_id)))

    def will_change(self) -> None:
        """Prepare for a change of the chat: one that is read-only goes on as a copy."""
        if self.read_only:
            self.fork_whole(
                "What you write goes into a copy; the chat that was opened stays as it is."
            )
        self.conversation = self.conversation.set_system_prompt(self.system_prompt)

    def keep_prompt(self) -> None:
        """Put into the chat what was typed as its system prompt, before something else takes the prompt's place."""
        changed = self.conversation.set_system_prompt(self.system_prompt)
        if changed is not self.conversation and changed.turns and not self.read_only:
            self.conversation = changed
            self.save()

    def may_reply(self) -> bool:
        """Return whether a reply can begin now, and say what to do when not."""
        if self.reply is not None or self.pending is not None:
            self.tell("A reply is on its way already. Esc stops it.", severity="warning")
        elif self.model.loading:
            self.tell("The model is still loading. Try again when it is there.", severity="warning")
        elif not self.model.ready:
            self.tell("There is no model to answer now. F4 chooses one.", severity="warning")
        else:
            return True
        return False

    def begin_reply(
        self,
        parent: str | None,
        *,
        parameters: Mapping[str, Value] | None = None,
        start_text: str = "",
        label: str = "Reply",
        as_before: ReplyStats | None = None,
    ) -> None:
        """Begin a reply to a turn: first on disk, then to the engine. Says so when that is not possible now.

        Args:
            parent: the turn that is answered; a reply that stands below it already becomes a variant.
            parameters: for this reply only; None for those of the sidebar.
            start_text: words that the reply begins with.
            label: what undo calls it.
            as_before: what the reply cost that is to come out again the same; it is computed in the same pieces.
        """
        if parent is not None and parent not in self.conversation.turns:
            self.tell("The turn that was to be answered is gone.", severity="warning")
            return
        info = self.model.info
        if not self.may_reply() or info is None:
            return
        self.will_change()
        used = dict(self.parameters if parameters is None else parameters)
        generation = Generation(info.model, info.name, info.quantization, used, start_text)
        sent = () if parent is None else self.conversation.sent_turns(upto=parent)
        self.conversation = self.conversation.begin_reply(
            parent, generation, text=start_text, label=label
        )
        turn_id = self.conversation.path[-1].id
        # What an engine is given ends with the reply's first words when there are any.
        upto = turn_id if start_text else parent
        reply = LiveReply(
            turn_id,
            generation,
            start_text,
            context_tokens_at_most=info.context_tokens,
            sent=tuple(turn.id for turn in sent),
            again=lambda: self.begin_reply(
                parent,
                parameters=used,
                start_text=start_text,
                label=label,
                as_before=as_before,
            ),
        )
        request = requests.for_reply(
            self.conversation,
            upto,
            self.reply_settings(used),
            continues=bool(start_text),
            as_before=as_before,
        )
        self._begin(reply, request)

    def continue_reply(self, turn_id: str) -> None:
        """Write on at the end of a reply that was stopped or cut off."""
        info = self.model.info
        if turn_id not in self.conversation.turns or not self.may_reply() or info is None:
            return
        self.will_change()
        sent = self.conversation.sent_turns(upto=turn_id)
        self.conversation = self.conversation.begin_continue(turn_id)
        turn = self.conversation.turn(turn_id)
        used = dict(self.parameters)
        generation = replace(
            turn.generation or Generation(),
            model=info.model,
            name=info.name,
            quantization=info.quantization,
            parameters=used,
            continued=True,
        )
        reply = LiveReply(
            turn.id,
            generation,
            turn.text,
            turn.reasoning,
            context_tokens_at_most=info.context_tokens,
            sent=tuple(one.id for one in sent),
            again=lambda: self.continue_reply(turn_id),
        )
        request = requests.for_reply(
            self.conversation, turn_id, self.reply_settings(used), continues=True
        )
        self._begin(reply, request)

    def reply_settings(self, parameters: Mapping[str, Value] | None = None) -> ReplySettings:
        """Return what replies are made with now, or with other parameters."""
        used = self.parameters if parameters is None else parameters
        return ReplySettings(dict(used), dict(self.template), self.speculation, self.system_prompt)

    def _begin(self, reply: LiveReply, request: GenerateRequest) -> None:
        self.conversation = self.conversation.with_settings(self.chat_settings())
        self.reply = reply
        self.show_growth()
        self._ask(reply, request, self.save())

    # Without a description Textual makes one of all that is passed, the whole chat included.
    @work(group="ask", description="ask the engine")
    async def _ask(
        self, reply: LiveReply, request: GenerateRequest, saved: Awaitable[bool]
    ) -> None:
        await saved
        if self.reply is not reply or self.quitting:
            return
        if reply.stop_wanted:
            reply.status = Status.STOPPED
            self._end_reply(reply)
            return
        reply.asked(self.worker.generate(request))
        self.engine_asked()

    # -- stopping

    def load_model(self, request: LoadRequest) -> None:
        """Load a model behind the screen; a reply under way is stopped first."""
        self.stop_reply("a model was loaded in the middle of it.")
        super().load_model(request)

    def action_model_unload(self) -> None:
        """Free the model's memory."""
        self.stop_reply("the model was unloaded.")
        super().action_model_unload()

    def stop_reply(self, because: str = "") -> None:
        """Stop the reply under way, if there is one.

        Args:
            because: what the turn says of it, as a sentence; empty when the user stopped the reply itself. What stopped it
                first is said.
        """
        if self.reply is None:
            return
        if not self.reply.stop_wanted:
            self.reply.stop_wanted = True
            self.reply.stopped_because = because
        if self.reply.job is not None:
            self.worker.cancel(self.reply.job)

    def keep_reply(self, status: Status = Status.INTERRUPTED) -> None:
        """End the reply under way here and now with what was said so far, as when the app is left."""
        reply = self.reply
        if reply is None:
            return
        self.stop_reply()
        for job, event in self.worker.drain():
            if job == reply.job and not reply.ended:
                reply.take(event)
        if not reply.ended:
            reply.status = status
        self._end_reply(reply)

    def action_reply_stop(self) -> None:
        """Close what is open over the chat; else stop the reply, or what the model writes beside the chat, or an import, or
        loading.
        """
        if self.close_open():
            return
        if self.reply is not None:
            self.stop_reply()
        elif not (self.side.stop() or self.stop_import()) and self.model.loading:
            self._stop_loading()

    def _stop_loading(self) -> None:
        """Stop loading at the second press: a load can take minutes, and Escape is pressed for many reasons."""
        if self.focused not in (self.composer, self.transcript):
            self.set_focus(self.composer)
        elif time.monotonic() - self._stop_asked < STOP_AGAIN_S:
            self._stop_asked = float("-inf")
            self.model.cancel()
        else:
            self._stop_asked = time.monotonic()
            self.tell("Press Esc again to stop loading.")
