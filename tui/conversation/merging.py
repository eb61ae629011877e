"""Merges changes that another program made to a file's `chat_history` into the chat.

The tree holds everything and is what is read; `chat_history` is a copy of its active path that other programs can read, and
so can write. What they added becomes turns, what they changed becomes variants, and nothing that the tree holds is given
up: taking it over is one step of the undo history. It reads no file, and reports what it can't take over.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tui.conversation.content import (
    content_fields,
    content_text,
    decode_content,
    history_content,
    history_words,
    is_flat,
    is_words,
)
from tui.conversation.conversation import ROOT, Conversation, title_from
from tui.conversation.history import Patch
from tui.conversation.messages import REASONING_KEYS, plain_message
from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Message, Status, Turn
from tui.dataclass import dataclass

LABEL: Final = "Changes by another program"

TURN_KEYS: Final = frozenset(
    [
        "id",
        "parent",
        "role",
        "content",
        "created_at",
        "reasoning_content",
        "status",
        "error",
        "origin",
        "generation",
    ]
)
"""The keys of a turn that have a meaning here."""
_ENTRY_KEYS: Final = TURN_KEYS.union(REASONING_KEYS)
_FOREIGN_KEYS: Final = TURN_KEYS.difference(["role", "content", "reasoning_content"])
"""Keys that an entry of `chat_history` never has here, so that their meaning there is not known."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A chat with the changes that another program made to its `chat_history`.

    Attributes:
        conversation: the chat.
        note: a sentence about what was changed; empty when nothing was.
        is_whole: whether the chat now contains everything in the entries.
    """

    conversation: Conversation
    note: str = ""
    is_whole: bool = True


def merged(chat: Conversation, entries: Sequence[Any]) -> Merged:
    """Return a chat with the changes that its file's `chat_history` shows.

    Args:
        chat: what the file's tree says.
        entries: the file's `chat_history`.
    """
    if entries == [history_entry(message) for message in chat.history_messages()]:
        return Merged(chat)
    readable = [entry for entry in entries if isinstance(entry, Mapping)]
    walk = _Walk(chat, Counter(map(_words, readable)))
    for entry in readable:
        walk.follow(entry)
    return walk.end()


def history_entry(message: Message) -> dict[str, Any]:
    """Return a message as an entry of `chat_history`."""
    return {"role": message.role, "content": history_content(message)}


def is_whole(entry: Mapping[str, Any]) -> bool:
    """Return whether everything in an entry can be stored in a turn."""
    content = entry.get("content")
    reasonings = [entry[key] for key in REASONING_KEYS if entry.get(key)]
    return (
        (content is None or isinstance(content, str) or _is_flat_list(content))
        and isinstance(entry.get("role"), str)
        and not entry.keys() & _FOREIGN_KEYS
        and all(one == reasonings[0] and _is_text(one) for one in reasonings)
    )


def is_whole_prompt(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry that becomes the system prompt contains nothing else."""
    return not entry.keys() - {"role", "content"} and holds_text_only(entry.get("content", ""))


def _is_flat_list(content: Any) -> bool:
    return isinstance(content, list) and is_flat(content)


def holds_text_only(content: Any) -> bool:
    """Return whether a message's content is a text, or a list of texts."""
    return all(map(_is_text, content if isinstance(content, list) else [content]))


def _is_text(part: Any) -> bool:
    if isinstance(part, Mapping):
        is_plain = part.keys() == {"type", "text"} and part["type"] == "text"
        return is_plain and isinstance(part["text"], str)
    return isinstance(part, str)


def entry_extra(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the unknown keys of an entry, which are only preserved."""
    return {str(key): value for key, value in entry.items() if key not in _ENTRY_KEYS}


class _Walk:
    """Follows the entries of `chat_history` down the tree, and notes what has to be put into it."""

    def __init__(self, chat: Conversation, to_come: Counter[tuple[str, str]]) -> None:
        """Begin above the first turn.

        Args:
            chat: the chat.
            to_come: how many entries there are with the same role and text.
        """
        self._chat = chat
        self._to_come = to_come
        self._shown = {turn.id for turn in chat.path}
        self._at: Turn | None = None
        self._turns: dict[str, Turn] = {}
        self._selected: dict[str, str] = {}
        self._prompt: str | None = None
        self._is_first = True
        self._is_whole = True
        self._added = self._changed = 0
        self._spoken = [turn for turn in chat.path if not _is_silent(turn)]
        self._places = {turn.id: place for place, turn in enumerate(self._spoken)}
        self._next = 0
        """The place on the active path behind the last turn that an entry stands for."""
        self._left = set(self._places)
        """Turns of the active path that no entry stands for so far."""
        self._by_words: dict[tuple[str, str], deque[Turn]] = {}
        for turn in chat.path:
            self._by_words.setdefault((turn.role, history_words(turn)), deque()).append(turn)

    def follow(self, entry: Mapping[str, Any]) -> None:
        """Go on to the turn that an entry stands for, and make it where there is none."""
        self._is_whole &= is_whole(entry)
        self._to_come[_words(entry)] -= 1
        is_first, self._is_first = self._is_first, False
        if is_first and entry.get("role") == SYSTEM and self._takes_prompt(entry):
            return
        found = next((turn for turn in self._followers() if _says(turn, entry)), None)
        if found is None:
            self._make(entry)
        else:
            self._go_to(found, entry)

    def _takes_prompt(self, entry: Mapping[str, Any]) -> bool:
        """Take a leading system entry as the system prompt, unless it stands for a turn."""
        text, prompt = content_text(entry.get("content")), self._chat.system_prompt
        self._is_whole &= is_whole_prompt(entry)
        if text == prompt and prompt:
            return True
        if any(_says(turn, entry) for turn in self._followers()):
            return False
        self._prompt = text
        return True

    def _followers(self) -> Iterator[Turn]:
        """Yield the turns that can stand for the next entry, the one that is shown first; silent replies stand for none."""
        if self._at is not None and self._at.id not in self._chat.turns:
            return
        pending = [self._at.id if self._at else None]
        while pending:
            children = self._chat.children(pending.pop())
            for turn in sorted(children, key=lambda one: one.id not in self._shown):
                if _is_silent(turn):
                    pending.append(turn.id)
                else:
                    yield turn

    def _go_to(self, turn: Turn, entry: Mapping[str, Any]) -> None:
        at: Turn | None = turn
        above = self._at.id if self._at else None
        while at is not None and at.id != above and turn.id not in self._shown:
            self._selected[at.parent or ROOT] = at.id
            at = self._chat.turns[at.parent] if at.parent else None
        extra = entry_extra(entry)
        self._is_whole &= all(turn.extra.get(key, value) == value for key, value in extra.items())
        if not extra.keys() <= turn.extra.keys():
            self._turns[turn.id] = replace(turn, extra={**extra, **turn.extra})
        self._pass(turn)
        self._at = turn

    def _pass(self, turn: Turn) -> None:
        """Note that an entry stands for a turn."""
        self._left.discard(turn.id)
        self._next = self._places.get(turn.id, self._next - 1) + 1

    def _make(self, entry: Mapping[str, Any]) -> None:
        message = plain_message(entry)
        role, content = message["role"], message["content"]
        text, reasoning = content_text(content), message["reasoning_content"]
        changed = self._changed_turn(role)
        parent = self._parent(role)
        moved = self._moved(entry, role, text, reasoning)
        said = _retold(changed, content) if changed else {}
        said = said or content_fields(content, reasoning)
        turn = moved or Turn("", None, role, created_at=0.0, **said)
        if moved is not None:
            self._pass(moved)
        elif changed is not None:
            turn = replace(turn, origin=changed.id)
            self._changed += 1
            self._pass(changed)
        else:
            self._added += 1
        made = replace(
            turn,
            id=self._new_id(parent, role, text),
            parent=parent,
            created_at=self._time(parent),
            extra={**turn.extra, **entry_extra(entry)},
        )
        self._turns[made.id] = made
        self._selected[parent or ROOT] = made.id
        self._at = made

    def _changed_turn(self, role: str) -> Turn | None:
        """Return the turn that a new one replaces; None where it was put between others."""
        turn = self._spoken[self._next] if self._next < len(self._spoken) else None
        if turn is None or turn.role != role or turn.id not in self._left:
            return None
        return None if self._to_come[turn.role, history_words(turn)] > 0 else turn

    def _parent(self, role: str) -> str | None:
        """Return what a new turn follows: a message also follows the silent replies at the end of the chat."""
        leaf = self._chat.leaf
        is_on_path = self._at is None or self._at.id in self._shown
        if role == USER and is_on_path and not self._left and leaf and _is_silent(leaf):
            return leaf.id
        return self._at.id if self._at else None

    def _moved(self, entry: Mapping[str, Any], role: str, text: str, reasoning: str) -> Turn | None:
        """Return the turn of the active path that says the same, and so was moved, with all that is known of it."""
        same = self._by_words.get((role, text))
        while same:
            turn = same.popleft()
            is_same = reasoning in ("", turn.reasoning) and _has_parts_of(turn, entry)
            if turn.id in self._left and is_same:
                if turn.status is Status.STREAMING:
                    return replace(turn, status=Status.INTERRUPTED)
                return turn
        return None

    def _new_id(self, parent: str | None, role: str, text: str) -> str:
        """Return an id that is the same whenever the same file is read: a search leads to it."""
        import hashlib

        chat = self._chat
        parts = [chat.id, str(chat.updated_at), str(len(self._turns)), parent or "", role, text]
        while True:
            data = "\0".join(parts).encode("utf-8", "surrogatepass")
            found = hashlib.sha256(data).hexdigest()[:32]
            if found not in chat.turns and found not in self._turns:
                return found
            parts.append("")

    def _time(self, parent: str | None) -> float:
        siblings = (
            self._chat.children(parent) if parent is None or parent in self._chat.turns else ()
        )
        after = round(siblings[-1].created_at + 0.001, 3) if siblings else 0.0
        return max(self._chat.updated_at, after)

    # -- what comes of it

    def end(self) -> Merged:
        """Return the chat with all that was noted."""
        fields: dict[str, Any] = {} if self._prompt is None else {"system_prompt": self._prompt}
        said = next((turn.gist for turn in self._turns.values() if turn.role == USER), "")
        if said and not self._chat.title:
            fields["title"] = title_from(said)
        patch = Patch(LABEL, turns=self._turns, selected=self._selected, fields=fields)
        chat = self._chat
        if patch.turns or patch.selected or patch.fields:
            chat = chat.taken_over(patch)
        return Merged(chat, self._note(patch), self._is_whole)

    def _note(self, patch: Patch) -> str:
        parts = []
        if self._added:
            parts.append(f"{_turns(self._added)} added")
        if self._changed:
            parts.append(f"{_turns(self._changed)} changed (the old text is kept as a variant)")
        if self._prompt is not None:
            parts.append("the system prompt was changed")
        if self._left:
            parts.append(f"{_turns(len(self._left))} removed from it (still kept in the chat)")
        if not parts and not patch.turns and not patch.selected:
            return ""
        what = ", ".join(parts) or "turns were moved"
        undo = " Undo takes that back." if patch.turns or patch.selected or patch.fields else ""
        return f"Another program changed chat_history in this chat's file: {what}.{undo}"


def _words(entry: Mapping[str, Any]) -> tuple[str, str]:
    role = entry.get("role")
    return role if isinstance(role, str) else "", content_text(entry.get("content"))


def _turns(count: int) -> str:
    return "1 turn was" if count == 1 else f"{count} turns were"


def _is_silent(turn: Turn) -> bool:
    """Whether a turn has no entry in `chat_history`."""
    return turn.role == ASSISTANT and turn.is_empty


def _says(turn: Turn, entry: Mapping[str, Any]) -> bool:
    """Whether an entry says what a turn says; one that says nothing of reasoning leaves that open."""
    if not _has_parts_of(turn, entry):
        return False
    words = history_words(turn)
    reasoning = next(filter(None, (content_text(entry.get(key)) for key in REASONING_KEYS)), "")
    if (entry.get("role"), content_text(entry.get("content"))) == (turn.role, words):
        return reasoning in ("", turn.reasoning)
    message = plain_message(entry)
    said = (message["role"], message["content"], message["reasoning_content"])
    return said == (turn.role, words, turn.reasoning)


def _retold(turn: Turn, content: str | list[Any]) -> dict[str, Any]:
    """Return the fields of a turn of which another program changed the text in front of its files; none where it is otherwise."""
    files = history_words(turn).removeprefix(turn.text)
    if not (turn.text and files and isinstance(content, str) and content.endswith(files)):
        return {}
    told = replace(turn, text=content.removesuffix(files))
    return {"text": told.text, "reasoning": told.reasoning, "parts": told.parts}


def _has_parts_of(turn: Turn, entry: Mapping[str, Any]) -> bool:
    """Whether an entry has the parts of a turn that are no words; one that has none leaves that open."""
    content = entry.get("content")
    if not isinstance(content, list):
        return True
    given = [part for part in decode_content(content) if not is_words(part)]
    return not given or given == [part for part in turn.parts if not is_words(part)]
