"""What becomes of a chat that no longer fits the model's context: the user's choice, always visible, never silent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from textual import on, work

from tui.chat import requests
from tui.conversation import USER, Turn
from tui.conversation.context import OverflowPolicy, left_out
from tui.engine.base import Overflow
from tui.screens.ask import Answer, Ask
from tui.screens.chat.turns import Turns
from tui.screens.live_reply import LiveReply
from tui.widgets.sidebar import Sidebar

_PART_SHARE: Final = 0.6
"""What is summarised at once takes at most this share of the context."""
_ANSWERS: Final = (
    Answer("cancel", "Leave it as it is", "escape"),
    Answer(OverflowPolicy.DROP_OLDEST, "Leave out the oldest", "o"),
    Answer(OverflowPolicy.KEEP_ENDS, "Keep first and last", "k"),
    Answer(OverflowPolicy.SUMMARISE, "Summarise the oldest", "s"),
)


class FullContext(Turns):
    """Leaves turns out of what the model is sent, by the policy in force, and brings them back."""

    @on(Sidebar.OverflowPolicyChanged)
    def _policy_changed(self, event: Sidebar.OverflowPolicyChanged) -> None:
        self.overflow_policy = event.policy
        self.remember()

    def context_is_full(self, reply: LiveReply, overflow: Overflow) -> None:
        """Make room by the policy in force, asking first where that is what the user wants, and have it answered again."""
        again = reply.again
        if again is None:
            super().context_is_full(reply, overflow)
        elif self.overflow_policy is OverflowPolicy.ASK and any(
            self.conversation.turns[turn_id].role == USER for turn_id in reply.sent[:-1]
        ):
            self._ask_policy(reply, overflow, again)
        else:
            self._make_room(self.overflow_policy, reply, overflow, again)

    @work(exclusive=True, group="overflow", description="ask what to leave out")
    async def _ask_policy(
        self, reply: LiveReply, overflow: Overflow, again: Callable[[], None]
    ) -> None:
        text = (
            f"The chat takes {overflow.prompt_tokens:,} tokens and the model {overflow.context_tokens:,} at most, its "
            "reply included. Turns that are left out stay in the chat, dimmed; undo brings them back."
        )
        answer = await self.app.push_screen_wait(Ask("The context is full", text, _ANSWERS))
        if answer in (None, "cancel"):
            self.tell(
                "Nothing was left out. Delete turns, or choose a model with a longer context."
            )
            self._give_up()
        else:
            self._make_room(OverflowPolicy(answer), reply, overflow, again)

    def _give_up(self) -> None:
        self.load_back()
        self.take_back_waiting()

    def _make_room(
        self,
        policy: OverflowPolicy,
        reply: LiveReply,
        overflow: Overflow,
        again: Callable[[], None],
    ) -> None:
        costs = overflow.message_tokens[-len(reply.sent) :] if reply.sent else ()
        if reply.start_text and reply.sent and reply.turn_id not in reply.sent:
            # The reply's own first words stand last in what was sent.
            costs = overflow.message_tokens[-len(reply.sent) - 1 : -1]
        known = [
            (self.conversation.turns[turn_id], cost)
            for turn_id, cost in zip(reply.sent, costs, strict=False)
            if turn_id in self.conversation.turns
        ]
        overhead = overflow.prompt_tokens - sum(cost for _, cost in known)
        gone = left_out(
            [turn.role for turn, _ in known],
            [cost for _, cost in known],
            overhead,
            overflow.context_tokens,
            policy,
        )
        if not gone:
            self.tell(
                "The last message alone is too long for this model. Shorten it, or choose a model with a longer context.",
                title="The context is full",
                severity="error",
            )
            self._give_up()
        elif policy is OverflowPolicy.SUMMARISE:
            self._summarise([known[place] for place in gone], overflow.context_tokens, again)
        else:
            self._leave_out([known[place][0] for place in gone], "", again)

    def _leave_out(self, turns: list[Turn], summary: str, again: Callable[[], None]) -> None:
        self.will_change()
        self.conversation = self.conversation.leave_out([turn.id for turn in turns], summary)
        count = len(turns)
        self.tell(
            f"{count} turn{'' if count == 1 else 's'} left out of what the model is sent; they are dimmed.",
            title="The context is full",
            severity="warning",
        )
        self.show_conversation()
        again()

    @work(group="summary", description="summarise the oldest turns")
    async def _summarise(
        self, turns: list[tuple[Turn, int]], context_tokens: int, again: Callable[[], None]
    ) -> None:
        """Have the turns summarised, in as many parts as the context needs, each with the summary of those before."""
        parts = _parts(turns, int(context_tokens * _PART_SHARE))
        gone = [turn for turn, _ in turns]
        self.tell("The oldest turns are being summarised. Esc stops it.")
        summary = self.conversation.summary
        for number, part in enumerate(parts, 1):
            place = f" part {number}/{len(parts)}" if len(parts) > 1 else ""
            request = requests.for_summary(part, summary, self.reply_settings())
            written = await self.side.write(request, blocks=True, label=f"summarising{place}")
            summary = written.text.strip()
            if not written.is_whole or not summary:
                self.tell("No summary was made, and nothing was left out.", severity="error")
                self._give_up()
                return
        self._leave_out(gone, summary, again)

    def shorten_and_ask(self, reply: LiveReply) -> None:
        """Leave the older half of what was sent out of the context, and have the last message answered again."""
        known = [
            self.conversation.turns[one] for one in reply.sent if one in self.conversation.turns
        ]
        half = known[: len(known) // 2]
        if not half or reply.again is None:
            self.tell("There is nothing to leave out: the last message alone is too long.")
            return
        self._leave_out(half, "", reply.again)

    def action_chat_see_all(self) -> None:
        """Send the model every turn again."""
        if not self.conversation.unseen:
            self.tell("The model is sent every turn already.")
            return
        self.will_change()
        self.conversation = self.conversation.see_all()
        self.show_conversation()
        self.save()


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
