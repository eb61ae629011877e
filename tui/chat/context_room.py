"""What becomes of a chat that no longer fits the model's context: the user's choice, always visible, never silent."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Final

from tui.chat import requests
from tui.chat.live_reply import LiveReply
from tui.chat.session import ChatSession
from tui.chat.settings import ChatSettings
from tui.chat.side_work import SideWork
from tui.chat.ui import Answer, Ui
from tui.conversation import USER, Turn
from tui.conversation.context import OverflowPolicy, left_out
from tui.engine.base import Overflow

_PART_SHARE: Final = 0.6
"""What is summarized at once takes at most this share of the context."""
_LEAST_REPLY_TOKENS: Final = 16
"""Room for a reply without which another try is pointless; an eighth of a context smaller than that."""
_TITLE: Final = "The context is full"
TOO_LONG: Final = "The message is too long"
"""The title of what is said of a message that fits no context, before and after it was sent."""
SHORTEN: Final = "Shorten it or attach less"
_CANCEL: Final = "cancel"
_CANCEL_ANSWER: Final = Answer(_CANCEL, "Leave it as it is", "l")
_ANSWERS: Final = (
    Answer(OverflowPolicy.DROP_OLDEST, "Leave out the oldest", "o"),
    Answer(OverflowPolicy.KEEP_ENDS, "Keep first and last", "k"),
    Answer(OverflowPolicy.SUMMARIZE, "Summarize the oldest", "s"),
)


def too_long(what: str, tokens: int, context_tokens: int, way_out: str) -> str:
    """Return the sentences that say that something alone does not fit, and what would help.

    Args:
        what: as the beginning of a sentence.
        tokens: what it takes.
        context_tokens: what the model takes at most, its reply included.
        way_out: what to do about it, as the beginning of a sentence.
    """
    return (
        f"{what} has {tokens:,} tokens, but the model's context is limited to {context_tokens:,}, including the reply. "
        f"{way_out}, or load a model with a longer context."
    )


class ContextRoom:
    """Leaves turns out of what the model is sent, by the policy in force, and brings them back."""

    def __init__(
        self, session: ChatSession, settings: ChatSettings, side: SideWork, ui: Ui
    ) -> None:
        self._session = session
        self._settings = settings
        self._side = side
        self._ui = ui

    async def make(self, reply: LiveReply, overflow: Overflow) -> bool:
        """Make room for a reply that did not fit; return whether it is worth another try.

        Only what makes enough room is offered; where nothing does, what would help is said.
        """
        known = self._known(reply, overflow)
        ways: dict[OverflowPolicy, tuple[int, ...]] = {
            policy: gone
            for policy in OverflowPolicy
            if policy is not OverflowPolicy.ASK and (gone := _way(policy, known, overflow))
        }
        if not ways:
            reply.is_hopeless = True
            title, text = _what_would_help(known, overflow)
            self._ui.tell(text, title=title, severity="error")
            return False
        policy = self._settings.overflow
        if policy not in ways:
            chosen = await self._ask(ways, overflow)
            if chosen is None:
                return False
            policy = chosen
        turns = [known[place] for place in ways[policy]]
        if policy is OverflowPolicy.SUMMARIZE:
            return await self._summarize(turns, overflow.context_tokens)
        self._leave_out([turn for turn, _ in turns])
        return True

    async def _ask(
        self, ways: Container[OverflowPolicy], overflow: Overflow
    ) -> OverflowPolicy | None:
        text = (
            f"The chat has {overflow.prompt_tokens:,} tokens, but the model's context is limited to {overflow.context_tokens:,}, "
            "including the reply. Turns that are left out stay in the chat, dimmed. Undo brings them back."
        )
        offered = [answer for answer in _ANSWERS if OverflowPolicy(answer.id) in ways]
        answer = await self._ui.ask(_TITLE, text, [_CANCEL_ANSWER, *offered], interrupts=True)
        if answer in (None, _CANCEL):
            self._ui.tell(
                "Nothing was left out. Delete turns, or load a model with a longer context."
            )
            return None
        return OverflowPolicy(answer)

    def _known(self, reply: LiveReply, overflow: Overflow) -> list[tuple[Turn, int]]:
        """Return the turns that were sent and are still there, each with the tokens that it took."""
        turns = self._session.conversation.turns
        costs = overflow.message_tokens[-len(reply.sent) :] if reply.sent else ()
        if reply.start_text and reply.sent and reply.turn_id not in reply.sent:
            # The reply's own first words stand last in what was sent.
            costs = overflow.message_tokens[-len(reply.sent) - 1 : -1]
        return [
            (turns[turn_id], cost)
            for turn_id, cost in zip(reply.sent, costs, strict=False)
            if turn_id in turns
        ]

    def _leave_out(self, turns: list[Turn], summary: str = "") -> None:
        ids = [turn.id for turn in turns]
        count = len(turns)
        self._ui.tell(
            f"{count} turn{' is' if count == 1 else 's are'} no longer sent to the model. What is left out is dimmed.",
            title=_TITLE,
            severity="warning",
        )
        self._session.change(lambda chat: chat.leave_out(ids, summary), follow=True, saves=False)

    async def _summarize(self, turns: list[tuple[Turn, int]], context_tokens: int) -> bool:
        """Have the turns summarized, in as many parts as the context needs, each with the summary of those before."""
        parts = _parts(turns, int(context_tokens * _PART_SHARE))
        self._ui.tell(f"Summarizing the oldest turns. {self._ui.way('reply.stop')} to stop.")
        summary = self._session.conversation.summary
        for number, part in enumerate(parts, 1):
            place = f" part {number}/{len(parts)}" if len(parts) > 1 else ""
            request = requests.for_summary(part, summary, self._settings.snapshot())
            written = await self._side.write(request, blocks=True, label=f"summarizing{place}")
            summary = written.text.strip()
            if not written.is_whole or not summary:
                why = written.failure or "No summary was generated."
                self._ui.tell(f"{why} Nothing was left out.", severity="error")
                return False
        self._leave_out([turn for turn, _ in turns], summary)
        return True

    def leave_out_half(self, reply: LiveReply) -> bool:
        """Leave the older half of what was sent for a reply out of the context; return whether there was anything to leave out."""
        turns = self._session.conversation.turns
        known = [turns[turn_id] for turn_id in reply.sent if turn_id in turns]
        half = known[: len(known) // 2]
        if half:
            self._leave_out(half)
        else:
            self._ui.tell(
                "There is nothing to leave out: the last message alone is too long. Shorten it."
            )
        return bool(half)

    def see_all(self) -> None:
        """Send the model every turn again."""
        if self._session.conversation.unseen:
            self._session.change(lambda chat: chat.see_all(), follow=True)
        else:
            self._ui.tell("Every turn is sent to the model already.")


def _parts(turns: list[tuple[Turn, int]], budget: int) -> list[list[Turn]]:
    """Cut turns with their costs into runs that each cost at most `budget`, or are one turn."""
    parts: list[list[Turn]] = []
    used = budget
    for turn, cost in turns:
        if not parts or used + cost > budget:
            parts.append([])
            used = 0
        parts[-1].append(turn)
        used += cost
    return parts


def _way(
    policy: OverflowPolicy, known: Sequence[tuple[Turn, int]], overflow: Overflow
) -> tuple[int, ...]:
    """Return the places of the turns that a policy leaves out; none where that would not make enough room."""
    costs = [cost for _, cost in known]
    context = overflow.context_tokens
    overhead = overflow.prompt_tokens - sum(costs)
    gone = left_out([turn.role for turn, _ in known], costs, overhead, context, policy)
    rest = overflow.prompt_tokens - sum(costs[place] for place in gone)
    fits = rest + _least_reply(context) <= context
    if policy is OverflowPolicy.SUMMARIZE and any(costs[place] >= context for place in gone):
        # A turn is summarized whole.
        return ()
    return gone if fits else ()


def _least_reply(context_tokens: int) -> int:
    return min(_LEAST_REPLY_TOKENS, context_tokens // 8)


def _what_would_help(known: Sequence[tuple[Turn, int]], overflow: Overflow) -> tuple[str, str]:
    """Return the title and the text of what to say where leaving turns out does not help."""
    context = overflow.context_tokens
    overhead = overflow.prompt_tokens - sum(cost for _, cost in known)
    if overhead + _least_reply(context) > context:
        return _TITLE, too_long("The system prompt alone", overhead, context, "Shorten it")
    last = max((at for at, (turn, _) in enumerate(known) if turn.role == USER), default=0)
    alone = overhead + sum(cost for _, cost in known[last:])
    return TOO_LONG, too_long("Your message alone", alone, context, SHORTEN)
