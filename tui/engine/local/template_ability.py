"""Determines what a chat template supports by rendering a few very short chats when its model is loaded.

Each of them holds words that no template has of its own. A template takes a chat when it does not refuse it, all the words are in what it
makes of it, and each stands where a turn of its role stands elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Message
from tui.dataclass import dataclass
from tui.engine.local.chat_shape import DEVELOPER, LEAD, PARTS, TEXT, TOOL, Ability, Form, entries
from tui.json_types import Json

_SAID: Final = "zqsaid"
_REPLIED: Final = "zqreplied"
_ASKED: Final = "zqasked"
_TRIED: Final = "zqtried"
_ANY: Final = "zqspeaker"
"""A role that nobody has heard of."""
_USER: Final = Message(USER, _SAID)
_REPLY: Final = Message(ASSISTANT, _REPLIED)
_AGAIN: Final = Message(USER, _ASKED)


@dataclass(frozen=True, slots=True)
class Trial:
    """A chat to be rendered.

    Attributes:
        messages: as templates know them.
        begins_reply: whether the start of a reply is to be written.
        fills_gaps: whether it is given something empty for what it asks for and a chat does not have.
    """

    messages: list[dict[str, Json]]
    begins_reply: bool = True
    fills_gaps: bool = False


Rendered = Sequence[tuple[str | None, str]]
"""What became of trials: the text, or None and why the template refused it."""


def find(render: Callable[[Sequence[Trial]], Rendered]) -> Ability:
    """Return what a template supports.

    Args:
        render: renders trials.
    """
    made, reason = _made(render, Ability())
    if reason:
        # It rejects a chat for some reason, often a missing list of tools.
        filled, still = _made(render, Ability(fills_gaps=True))
        if made is None or not still:
            made = filled or made
    if made is not None:
        return made.ability()
    return Ability(problem=reason or "it omits your messages")


def _made(
    render: Callable[[Sequence[Trial]], Rendered], start: Ability
) -> tuple[_Made | None, str]:
    """Return what a template makes of the trials in the form that it takes; None for none. Why it refuses a plain chat comes with it.

    Args:
        render: renders trials.
        start: what else it is given.
    """
    made = _Made(start, render)
    if made.has_all:
        return made, ""
    reasons = []
    for lead in ("", LEAD):
        forms, reason = _forms(render, replace(start, lead=lead))
        if forms is not None:
            made = _Made(replace(start, forms=forms, lead=lead), render)
            return made, made.refusal
        reasons.append(reason)
    return None, reasons[0]


def _forms(
    render: Callable[[Sequence[Trial]], Rendered], start: Ability
) -> tuple[dict[str, Form] | None, str]:
    """Return how a template wants what each role says; None and why when it leaves out the user's words in every form.

    Args:
        render: renders trials.
        start: what else it is given.
    """
    forms: dict[str, Form] = {}
    tries: list[tuple[str, list[Message], str]] = [
        (USER, [_USER], _SAID),
        (ASSISTANT, [_USER, _REPLY, _AGAIN], _REPLIED),
        (SYSTEM, [Message(SYSTEM, _TRIED), _USER], _TRIED),
    ]
    for role, chat, word in tries:
        choices: tuple[Form, ...] = (TEXT, PARTS)
        abilities = [replace(start, forms={USER: TEXT, **forms, role: form}) for form in choices]
        rendered = render([_trial(chat, ability) for ability in abilities])
        fits = [
            form
            for form, (text, _) in zip(choices, rendered, strict=True)
            if text is not None and _has(text, word) and not _is_written_out(text, word)
        ]
        if fits:
            forms[role] = fits[0]
        elif role == USER:
            return None, next((why for _, why in rendered if why), "")
    return {ASSISTANT: forms[USER], **forms}, ""


class _Made:
    """What a template made of the trials in one form."""

    def __init__(self, ability: Ability, render: Callable[[Sequence[Trial]], Rendered]) -> None:
        self._start, self._forms = ability, ability.forms
        chats = _chats()
        trials = [_trial(chat, ability) for chat in chats.values()]
        closed = [[_USER], [_USER, _REPLY]]
        trials += [_trial(chat, ability, begins_reply=False) for chat in closed]
        rendered = render(trials)
        texts = [text for text, _ in rendered]
        taken = zip(chats, rendered, strict=False)
        self.refusal = next(why for name, (_, why) in taken if name == "base")
        """Why it refuses a plain chat; empty when it doesn't."""
        self._texts = dict(zip(chats, texts, strict=False))
        self._closed = texts[len(chats) :]
        self._base = self._texts["base"] or ""

    @property
    def has_all(self) -> bool:
        """Whether it wrote what users, assistants and the system prompt say."""
        return self._has_all("base", (_SAID, _REPLIED, _ASKED)) and self._has_all(
            f"{SYSTEM} first", (_TRIED,)
        )

    def ability(self) -> Ability:
        """Return what the template takes."""
        forms: dict[str, Form] = {USER: self._forms[USER], ASSISTANT: self._forms[ASSISTANT]}
        if SYSTEM in self._forms and self._knows(f"{SYSTEM} first", ASSISTANT, "first"):
            forms[SYSTEM] = self._forms[SYSTEM]
        if self._knows_inside(TOOL):
            forms[TOOL] = forms[USER]
        if self._knows_inside(DEVELOPER) and self._knows(f"{DEVELOPER} first", ASSISTANT, "first"):
            forms[DEVELOPER] = forms[USER]
        takes_alone = SYSTEM not in forms or self._begins("system alone")
        return replace(
            self._start,
            forms=forms,
            any_role=self._knows_inside(_ANY),
            later_system=SYSTEM in forms and self._knows(f"{SYSTEM} later", ASSISTANT, "later"),
            repeats=self._repeats(),
            greeting=self._greets(),
            no_user=takes_alone and self._begins("nothing") and self._begins("reply alone"),
            empty=self._has_all("empty", (_REPLIED, _ASKED)),
            answer_start=self._answer_start(),
            start=self._unwritten_start().rstrip(" "),
            hears_last=SYSTEM not in forms and not self._has_all("base", (_SAID,)),
        )

    def _text(self, name: str) -> str:
        return self._texts.get(name) or ""

    def _has_all(self, name: str, words: Sequence[str]) -> bool:
        return all(_has(self._text(name), word) for word in words)

    def _knows(self, name: str, other: str, place: str) -> bool:
        """Return whether a role is written in one place, and not just as another's."""
        text = self._text(name)
        return _has(text, _TRIED) and text != self._text(f"{other} {place}")

    def _knows_inside(self, role: str) -> bool:
        inside = "inside"
        return self._knows(f"{role} {inside}", ASSISTANT, inside) and self._knows(
            f"{role} {inside}", USER, inside
        )

    def _repeats(self) -> frozenset[str]:
        to_reply = _between(self._base, _SAID, _REPLIED)
        to_user = _between(self._base, _REPLIED, _ASKED)
        found = set()
        if _between(self._text("two of the user's"), _SAID, _ASKED) not in (None, to_reply):
            found.add(USER)
        if _between(self._text("two replies"), _REPLIED, _TRIED) not in (None, to_user):
            found.add(ASSISTANT)
        return frozenset(found)

    def _greets(self) -> bool:
        between = _between(self._text("greeting"), _REPLIED, _ASKED)
        return between is not None and between == _between(self._base, _REPLIED, _ASKED)

    def _begins(self, name: str) -> bool:
        """Return whether a chat ends with the same start of a reply as one in which the user has spoken."""
        text = self._texts[name]
        start = self._reply_start()
        return bool(start) and text is not None and text.endswith(start)

    def _reply_start(self) -> str:
        alone, closed = self._text("alone"), self._closed[0] or ""
        return alone[len(closed) :] if closed and alone.startswith(closed) else ""

    def _answer_start(self) -> str:
        """Return what stands between the start of a reply and an answer that was not thought about."""
        between, start = _between(self._closed[1] or "", _SAID, _REPLIED) or "", self._reply_start()
        if not start:
            start, between = self._unwritten_start().rstrip(" "), self._unwritten_start()
        return between.partition(start)[2] if start else ""

    def _unwritten_start(self) -> str:
        """Return what stands before a reply, and not at the end of a prompt that should begin one; empty when it has no words."""
        alone, whole = self._text("alone"), self._closed[1] or ""
        if not alone or alone != self._closed[0] or not whole.startswith(alone):
            return ""
        start = whole[len(alone) :].lower().partition(_REPLIED)[0]
        return whole[len(alone) :][: len(start)] if any(map(str.isalnum, start)) else ""


def _trial(chat: Sequence[Message], ability: Ability, *, begins_reply: bool = True) -> Trial:
    has_lead = bool(chat) and chat[0].role in (SYSTEM, DEVELOPER)
    lead = [Message(SYSTEM, ability.lead)] if ability.lead and not has_lead else []
    return Trial(entries([*lead, *chat], ability), begins_reply, ability.fills_gaps)


def _chats() -> dict[str, list[Message]]:
    tried = {
        role: Message(role, _TRIED) for role in (USER, ASSISTANT, SYSTEM, TOOL, DEVELOPER, _ANY)
    }
    chats = {
        "alone": [_USER],
        "base": [_USER, _REPLY, _AGAIN],
        "greeting": [_REPLY, _AGAIN],
        "two of the user's": [_USER, _AGAIN],
        "two replies": [_USER, _REPLY, tried[ASSISTANT], _AGAIN],
        "nothing": [],
        "system alone": [tried[SYSTEM]],
        "reply alone": [_REPLY],
        "empty": [Message(USER, ""), _REPLY, _AGAIN],
    }
    for role in (ASSISTANT, SYSTEM, DEVELOPER):
        chats[f"{role} first"] = [tried[role], _USER]
    for role in (ASSISTANT, SYSTEM):
        chats[f"{role} later"] = [_USER, _REPLY, tried[role], _AGAIN]
    for role in (ASSISTANT, USER, TOOL, DEVELOPER, _ANY):
        chats[f"{role} inside"] = [_USER, tried[role], _REPLY, _AGAIN]
    return chats


def _has(text: str, word: str) -> bool:
    return word in text.lower()


def _is_written_out(text: str, word: str) -> bool:
    """Return whether a list of parts was written as a list."""
    at = text.lower().find(word)
    return "'text'" in text[:at] or '"text"' in text[:at]


def _between(text: str, one: str, other: str) -> str | None:
    """Return what stands between two words; None when they don't stand in this order."""
    lowered = text.lower()
    start = lowered.find(one)
    end = lowered.find(other, start + len(one)) if start >= 0 else -1
    return text[start + len(one) : end] if end >= 0 else None
