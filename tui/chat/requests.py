"""The only place that makes a `GenerateRequest`: for replies, titles, summaries, counts, and what is computed ahead.

Each is made from copies, so that nothing that is changed on the screen changes under the engine's hands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final

from tui.conversation import ASSISTANT, SYSTEM, USER, Conversation, Message, ReplyStats, Turn
from tui.dataclass import dataclass
from tui.engine.base import GenerateRequest, Speculation
from tui.json_types import Json
from tui.parameters import Value

TITLE_TOKENS: Final = 600
"""Enough also for what a model thinks first; it is stopped after the first line."""
SUMMARY_TOKENS: Final = 1000
"""Enough for 200 words, and for what a model thinks before them."""
_ASK_FOR_TITLE: Final = "Give this conversation a title of at most six words. Answer with the title alone, without quotes."
_ASK_FOR_SUMMARY: Final = (
    "Summarize the conversation so far in at most 200 words, for someone who will continue it. Keep names, numbers, "
    "decisions and open questions. Answer with the summary alone."
)


@dataclass(frozen=True, slots=True)
class ReplySettings:
    """What replies are made with at one moment.

    Attributes:
        parameters: the generation parameters that are set.
        template: what is chosen of the chat template's switches.
        speculation: how tokens are drafted.
        system_prompt: takes the place of the chat's own in what is sent.
        schema: the JSON Schema that replies have to fit; None for any text.
    """

    parameters: Mapping[str, Value] = field(default_factory=dict)
    template: Mapping[str, Json] = field(default_factory=dict)
    speculation: Speculation = Speculation.AUTO
    system_prompt: str = ""
    schema: Json = None


def for_reply(
    chat: Conversation,
    upto: str | None,
    settings: ReplySettings,
    *,
    continues: bool = False,
    as_before: ReplyStats | None = None,
) -> GenerateRequest:
    """Return what asks for a reply.

    Args:
        chat: with its system prompt in it.
        upto: the turn that what is sent ends with; None for the whole path.
        settings: what the reply is made with.
        continues: whether that turn is the reply's own beginning.
        as_before: what the reply cost that is to come out again the same; it is computed in the same pieces.
    """
    request = GenerateRequest(
        chat.messages(upto=upto) if upto else chat.messages(),
        dict(settings.parameters),
        continue_last=continues,
        template=dict(settings.template),
        speculation=settings.speculation,
        schema=settings.schema,
    )
    if as_before is None:
        return request
    drafted = request.speculation if as_before.drafted_tokens else Speculation.OFF
    return replace(request, cached_at_most=as_before.cached_tokens, speculation=drafted)


def for_title(chat: Conversation, settings: ReplySettings) -> GenerateRequest:
    """Return what has the model find a title."""
    return GenerateRequest(
        (*chat.messages(), Message(USER, _ASK_FOR_TITLE)),
        {"temperature": 0.0, "max_new_tokens": TITLE_TOKENS},
        template=dict(settings.template),
    )


def for_summary(turns: Sequence[Turn], so_far: str, settings: ReplySettings) -> GenerateRequest:
    """Return what has the model summarize turns, after a summary of what was before them; empty for none."""
    before = [Message(SYSTEM, so_far)] if so_far else []
    messages = [Message(turn.role, turn.content) for turn in turns]
    return GenerateRequest(
        (*before, *messages, Message(USER, _ASK_FOR_SUMMARY)),
        {"temperature": 0.0, "max_new_tokens": SUMMARY_TOKENS},
        template=dict(settings.template),
    )


def for_next(chat: Conversation, settings: ReplySettings, draft: str = "") -> GenerateRequest:
    """Return what is sent with the next message as far as it is known: to count it, or to have it computed ahead.

    Args:
        chat: as it is.
        settings: their system prompt is sent in place of the chat's own.
        draft: the message as it is written now; empty to end with what is there.
    """
    messages = chat.set_system_prompt(settings.system_prompt).messages()
    more = (Message(USER, draft),) if draft else ()
    return GenerateRequest((*messages, *more), template=dict(settings.template))


def for_draft(settings: ReplySettings, draft: str) -> GenerateRequest:
    """Return what counts a message that nothing was said before."""
    system = (Message(SYSTEM, settings.system_prompt),) if settings.system_prompt else ()
    return GenerateRequest((*system, Message(USER, draft)), template=dict(settings.template))


def for_count(chat: Conversation, settings: ReplySettings) -> GenerateRequest:
    """Return what counts the chat as it is."""
    return GenerateRequest(chat.messages(), template=dict(settings.template))


def for_prompt_of(
    chat: Conversation, turn: Turn, settings: ReplySettings
) -> GenerateRequest | None:
    """Return what makes the prompt of a turn: the one that a reply was made from, or up to a user's turn; None where it is the first."""
    upto = turn.id if turn.role == USER else turn.parent
    if upto is None:
        return None
    first_words = turn.generation.start_text if turn.generation is not None else ""
    more = (Message(ASSISTANT, first_words),) if first_words else ()
    return GenerateRequest(
        (*chat.messages(upto=upto), *more),
        continue_last=bool(first_words),
        template=dict(settings.template),
    )
