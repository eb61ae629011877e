"""Choose which turns to omit when a chat no longer fits the model's context. Pure functions: costs and a budget in, indices out."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from tui.conversation.turn import USER

KEPT_SHARE: Final = 0.7
"""Leaving out goes down to this share of the context in one go, so that the KV cache's prefix holds for many turns after."""


class OverflowPolicy(StrEnum):
    """What to do when a chat no longer fits the context."""

    ASK = "ask"
    """Stop and let the user choose."""
    DROP_OLDEST = "drop-oldest"
    """Omit the oldest turns."""
    KEEP_ENDS = "keep-ends"
    """Keep the first exchange and the newest turns; omit the turns in between."""
    SUMMARIZE = "summarize"
    """Omit the oldest turns and send the model a summary of them that it wrote."""


def left_out(
    roles: Sequence[str],
    costs: Sequence[int],
    overhead_tokens: int,
    context_tokens: int,
    policy: OverflowPolicy,
) -> tuple[int, ...]:
    """Return which turns to omit so that the rest takes at most `KEPT_SHARE` of the context.

    Args:
        roles: of the turns that are sent now, oldest first.
        costs: tokens that each takes.
        overhead_tokens: what the prompt takes beside them: system prompt, template.
        context_tokens: what the model takes at most.
        policy: which ones go first; `ASK` leaves out as `DROP_OLDEST` does.

    Returns:
        Indices in ascending order. What stays begins with a user turn where that is possible, and the last user turn with
        what follows it always stays: if that alone is too long, the rest goes and the chat still does not fit.
    """
    budget = int(context_tokens * KEPT_SHARE) - overhead_tokens
    last_user = max((i for i, role in enumerate(roles) if role == USER), default=len(roles) - 1)
    first = 0
    if policy is OverflowPolicy.KEEP_ENDS:
        users = [i for i, role in enumerate(roles) if role == USER]
        first = min(users[1] if len(users) > 1 else last_user, last_user)
    total = sum(costs)
    end = first
    while end < last_user and (total > budget or roles[end] != USER):
        total -= costs[end]
        end += 1
    return tuple(range(first, end))
