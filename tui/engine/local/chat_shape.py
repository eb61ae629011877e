"""Turns a chat of any shape into one that a chat template takes: folds and merges turns, puts one in front, leaves some out.

Whatever is done is said in a note. What a template takes is found out in `template_ability`; nothing is rendered here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Final, Literal

from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Message
from tui.dataclass import dataclass
from tui.json_types import Json

TOOL: Final = "tool"
DEVELOPER: Final = "developer"
OPENER: Final = "Please begin."
"""What is sent for the user where a template wants the user to speak first."""
LEAD: Final = "You are a helpful assistant."
"""The system prompt that is sent where a template wants one and the chat has none."""
_RESULTS: Final = frozenset((TOOL, "function", "ipython", "observation", "environment"))
"""Roles that stand for what a tool said."""
_TRIED: Final = (USER, ASSISTANT, SYSTEM, TOOL, DEVELOPER)
"""Roles of which it is known whether a template takes them."""
_LONGEST_ROLE: Final = 40
_CLOSING: Final = "</think>"
"""What templates look for in a reply, to cut what stands before it."""

Form = Literal["text", "parts"]
"""How a template wants what was said: as a text, or as a list of parts with their types."""
TEXT: Final = "text"
PARTS: Final = "parts"


@dataclass(frozen=True, slots=True)
class Ability:
    """What a chat template supports.

    Attributes:
        forms: how it wants what each role says; roles that are not in it are not taken.
        any_role: whether it writes further roles by their names, whatever they are.
        later_system: whether a system turn may stand in the middle.
        repeats: the roles of which two turns in a row may stand.
        greeting: whether the assistant may speak first.
        no_user: whether it begins a reply although the user has said nothing.
        empty: whether a turn of the user's may be empty.
        answer_start: what it writes between the start of a reply and an answer without reasoning, as a channel's name or a space.
        start: what begins a reply where the template does not write that at the end of a prompt; empty where it does.
        hears_last: whether it writes the user's last words alone, so that a system prompt without a role has to join those.
        lead: the system prompt that a chat without one is given; empty where none is needed.
        fills_gaps: whether it is given something empty for what it asks for and a chat does not have, as tools.
        problem: why no prompt can be made with it, as far as is known; empty when nothing is known to be wrong.
    """

    forms: Mapping[str, Form] = field(
        default_factory=lambda: {USER: TEXT, ASSISTANT: TEXT, SYSTEM: TEXT}
    )
    any_role: bool = False
    later_system: bool = False
    repeats: frozenset[str] = frozenset()
    greeting: bool = False
    no_user: bool = False
    empty: bool = False
    answer_start: str = ""
    start: str = ""
    hears_last: bool = False
    lead: str = ""
    fills_gaps: bool = False
    problem: str = ""

    def form(self, role: str) -> Form:
        """Return how it wants what a role says."""
        return self.forms.get(role, self.forms[USER])

    def takes(self, role: str) -> bool:
        """Return whether it has a role."""
        return role in self.forms or (self.any_role and role not in _TRIED)

    def strict(self) -> Ability:
        """Return what is left when nothing is taken for granted but the system prompt, and users and assistants by turns."""
        forms = {
            role: form for role, form in self.forms.items() if role in (USER, ASSISTANT, SYSTEM)
        }
        return Ability(
            forms,
            answer_start=self.answer_start,
            start=self.start,
            hears_last=self.hears_last,
            lead=self.lead,
            fills_gaps=self.fills_gaps,
        )

    def without_system(self) -> Ability:
        """Return the same without a system role."""
        forms = {role: form for role, form in self.forms.items() if role != SYSTEM}
        return replace(self, forms=forms, lead="")

    def in_parts(self) -> Ability:
        """Return the same with all that is said as parts."""
        return replace(self, forms=dict.fromkeys(self.forms, PARTS))


@dataclass(frozen=True, slots=True)
class Shaped:
    """A chat in the shape that a template takes.

    Attributes:
        messages: what the template is given.
        sent: the messages of the chat that are in it.
        notes: what was done that the user should know, as sentences.
    """

    messages: tuple[Message, ...]
    sent: tuple[Message, ...]
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Turn:
    message: Message
    folded: bool = False
    """Whether it stands in a role that was not its own."""
    further: list[Message] = field(default_factory=list)
    """What joins it; all at once, since to add each by itself takes the square of their length."""


def shaped(chat: Sequence[Message], ability: Ability, *, continues: bool = False) -> Shaped:
    """Return a chat in the shape that a template takes.

    Args:
        chat: oldest first.
        ability: what the template takes.
        continues: the last message is the assistant's, and is to be written on.
    """
    notes: dict[str, None] = {}
    sent = [
        message
        for number, message in enumerate(chat)
        if (continues and number == len(chat) - 1) or _is_sent(message, ability, notes)
    ]
    turns = _starts_joined([_placed(message, ability, notes) for message in sent])
    start = turns[:1] if turns and turns[0].message.role == SYSTEM else []
    rest = [_later(turn, ability, notes) for turn in turns[len(start) :]]
    if ability.lead and not start:
        notes[
            f"This model's chat template requires a system prompt: “{ability.lead}” is sent because the chat has none."
        ] = None
        start = [_Turn(Message(SYSTEM, ability.lead))]
    if not ability.takes(SYSTEM):
        folded = [_Turn(Message(USER, turn.message.content), folded=True) for turn in start]
        users = [number for number, turn in enumerate(rest) if turn.message.role == USER]
        place = users[-1] if users and ability.hears_last else 0
        start, rest = [], [*rest[:place], *folded, *rest[place:]]
    if _lacks_user(rest, ability, continues=continues):
        notes[
            f"This model's chat template requires a message from you first: “{OPENER}” is sent before the first reply."
        ] = None
        rest = [_Turn(Message(USER, OPENER)), *rest]
    # What is written on inside its reasoning has no text yet that could be joined to another's.
    last = [rest.pop()] if continues and not rest[-1].message.content else []
    whole = (*start, *_merged(rest, ability, notes), *last)
    return Shaped(tuple(turn.message for turn in whole), tuple(sent), tuple(notes))


def entries(chat: Sequence[Message], ability: Ability) -> list[dict[str, Json]]:
    """Return a chat as templates know it; the reasoning has two names there."""
    made: list[dict[str, Json]] = []
    for message in chat:
        said: Json = message.content
        if ability.form(message.role) == PARTS:
            said = [{"type": "text", "text": message.content}]
        entry = {"role": message.role, "content": said}
        if message.role == ASSISTANT and message.reasoning:
            thought = message.reasoning
            entry = {"thinking": thought, **entry, "reasoning_content": thought}
        elif message.role == ASSISTANT and _CLOSING in message.content:
            # Templates that are told of no reasoning look for it in the text, and cut that.
            entry["reasoning_content"] = ""
        made.append(entry)
    return made


def _is_sent(message: Message, ability: Ability, notes: dict[str, None]) -> bool:
    if message.content.strip():
        return True
    if message.role == ASSISTANT:
        if message.reasoning:
            notes["Replies that contain only reasoning are not sent."] = None
        return False
    if message.role == USER and ability.empty:
        return True
    if message.role != SYSTEM:
        notes["Turns without text are not sent."] = None
    return False


def _placed(message: Message, ability: Ability, notes: dict[str, None]) -> _Turn:
    """Return a turn in a role that a template has."""
    role = message.role
    if role in (USER, ASSISTANT, SYSTEM) or ability.takes(role):
        return _Turn(message)
    if role == DEVELOPER:
        notes[_not_taken(role, "they are sent as system turns")] = None
        return _Turn(replace(message, role=SYSTEM))
    if role in _RESULTS and ability.takes(TOOL):
        return _Turn(replace(message, role=TOOL))
    notes[_not_taken(role, "they are sent as text in your messages")] = None
    label = "Tool result" if role in _RESULTS else role[:_LONGEST_ROLE].strip().capitalize()
    return _Turn(Message(USER, f"{label or 'Note'}:\n{message.content}"), folded=True)


def _not_taken(role: str, instead: str) -> str:
    return f"This model's chat template has no {role[:_LONGEST_ROLE]} turns: {instead}."


def _starts_joined(turns: list[_Turn]) -> list[_Turn]:
    """Return turns of which the system turns at the start are one."""
    size = next(
        (number for number, turn in enumerate(turns) if turn.message.role != SYSTEM), len(turns)
    )
    if size < 2:
        return turns
    joined = "\n\n".join(turn.message.content for turn in turns[:size])
    return [_Turn(Message(SYSTEM, joined)), *turns[size:]]


def _later(turn: _Turn, ability: Ability, notes: dict[str, None]) -> _Turn:
    if turn.message.role != SYSTEM or (ability.later_system and ability.takes(SYSTEM)):
        return turn
    notes[
        "This model's chat template doesn't support system turns in the middle of a chat: they are sent as text in your messages."
    ] = None
    return _Turn(Message(USER, turn.message.content), folded=True)


def _lacks_user(turns: list[_Turn], ability: Ability, *, continues: bool) -> bool:
    """Return whether a turn of the user's has to stand in front."""
    head = turns[:-1] if continues else turns
    if not any(turn.message.role == USER for turn in head) and not ability.no_user:
        return True
    return bool(head) and head[0].message.role == ASSISTANT and not ability.greeting


def _merged(turns: list[_Turn], ability: Ability, notes: dict[str, None]) -> list[_Turn]:
    """Return turns of which no two in a row are of one role, where that is not taken; folded ones join the user's own."""
    merged: list[_Turn] = []
    for turn in turns:
        before = merged[-1] if merged else None
        role = turn.message.role
        if before is None or before.message.role != role or role not in (USER, ASSISTANT):
            merged.append(turn)
            continue
        is_folded = before.folded or turn.folded
        if role in ability.repeats and not is_folded:
            merged.append(turn)
            continue
        if not is_folded:
            notes[
                "This model's chat template doesn't support consecutive turns with the same role: they are sent as one."
            ] = None
        before.further.append(turn.message)
        before.folded = before.folded and turn.folded
    return [_Turn(_joined([turn.message, *turn.further]), turn.folded) for turn in merged]


def _joined(messages: Sequence[Message]) -> Message:
    """Return messages as one: the last of them, with what all of them say, and what was thought last."""
    if len(messages) == 1:
        return messages[0]
    reasoning = next((one.reasoning for one in reversed(messages) if one.reasoning), "")
    content = "\n\n".join(one.content for one in messages if one.content)
    parts = tuple(part for one in messages for part in one.parts)
    return replace(messages[-1], content=content, reasoning=reasoning, parts=parts)
