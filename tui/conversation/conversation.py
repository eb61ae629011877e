"""A chat: a tree of turns, the active path through it, and every operation on it.

A `Conversation` never changes: each operation returns a new one that shares its turns with the old. Editing and
regenerating add a sibling, so no operation destroys what was said; whatever takes a turn off the tree can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import Any, Final, TypeVar

from tui.conversation.content import content_fields, content_text
from tui.conversation.history import History, Patch
from tui.conversation.parts import Part
from tui.conversation.turn import (
    ASSISTANT,
    SYSTEM,
    USER,
    Generation,
    Message,
    Status,
    Turn,
    message_of,
    new_id,
    now,
    part_fields,
)
from tui.dataclass import dataclass

ROOT: Final = ""
"""Represents "no parent" where a parent's ID is a key."""

SEND: Final = "Send"
"""The label of the operation that adds a message."""

_MESSAGE_KEYS: Final = ("role", "content", "reasoning_content")
_FIELDS: Final = ("title", "system_prompt", "unseen", "summary")

_SUMMARY_HEAD: Final = "Summary of the earlier part of this conversation:"

_Value = TypeVar("_Value")


class UnknownTurnError(LookupError):
    """An operation referred to a turn that isn't in the chat."""


@dataclass(frozen=True)
class Conversation:
    """One chat.

    Attributes:
        id: opaque and permanent; the name of the file.
        title: shown in lists; empty until there is a first user turn.
        system_prompt: sent before the first turn; empty for none (a chat template may have a default of its own).
        turns: every turn by its id, in the order in which they were added.
        selected: for a parent (`ROOT` for none) the child that the active path goes through; without an entry it is
            the newest child.
        history: undo and redo.
        extra: keys of the file that this version does not know, those of a section under its name; written back as they were.
    """

    id: str = field(default_factory=new_id)
    title: str = ""
    system_prompt: str = ""
    created_at: float = field(default_factory=now)
    updated_at: float = field(default_factory=now)
    turns: Mapping[str, Turn] = field(default_factory=dict)
    selected: Mapping[str, str] = field(default_factory=dict)
    history: History = field(default_factory=History)
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The most recent model settings of the chat: `model_id`, `quantization` and `config` (generation parameters)."""
    unseen: tuple[str, ...] = ()
    """IDs of turns that are no longer sent to the model because the chat exceeds its context."""
    summary: str = ""
    """The summary sent to the model instead of them; empty for none."""
    extra: Mapping[str, Any] = field(default_factory=dict)

    # -- reading

    @cached_property
    def _children(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[Turn]] = {}
        for turn in self.turns.values():
            found.setdefault(turn.parent or ROOT, []).append(turn)
        # By time, not by order in the mapping, where a turn restored by undo comes last.
        for turns in found.values():
            turns.sort(key=lambda turn: (turn.created_at, turn.id))
        return {parent: tuple(turn.id for turn in turns) for parent, turns in found.items()}

    @cached_property
    def path(self) -> tuple[Turn, ...]:
        """The active path: the turns from the first to the leaf, each one's parent before it."""
        path: list[Turn] = []
        at = ROOT
        while (child := self._shown(at)) is not None:
            path.append(self.turns[child])
            at = child
        return tuple(path)

    @property
    def leaf(self) -> Turn | None:
        """The last turn of the active path."""
        return self.path[-1] if self.path else None

    def turn(self, turn_id: str) -> Turn:
        """Return a turn by its id.

        Raises:
            UnknownTurnError: there is none.
        """
        try:
            return self.turns[turn_id]
        except KeyError:
            raise UnknownTurnError(f"this chat has no turn {turn_id!r}") from None

    def children(self, turn_id: str | None) -> tuple[Turn, ...]:
        """Return the children of a turn (None: the chat's first turns), oldest variant first."""
        return tuple(self.turns[child] for child in self._children.get(turn_id or ROOT, ()))

    def variants(self, turn_id: str) -> tuple[Turn, ...]:
        """Return a turn and its siblings, the oldest first."""
        return self.children(self.turn(turn_id).parent)

    def place(self, turn_id: str) -> tuple[int, int]:
        """Return a turn's 1-based position among its variants, and the number of variants."""
        siblings = self._children[self.turn(turn_id).parent or ROOT]
        return (siblings.index(turn_id) + 1, len(siblings)) if len(siblings) > 1 else (1, 1)

    def ancestors(self, turn_id: str) -> tuple[Turn, ...]:
        """Return the path from the chat's first turn to `turn_id` (last), whether it is active or not."""
        way = [self.turn(turn_id)]
        while way[-1].parent is not None:
            way.append(self.turn(way[-1].parent))
        return tuple(reversed(way))

    def descendants(self, turn_id: str) -> Iterator[Turn]:
        """Yield the turns below `turn_id`, parents before their children."""
        pending = list(self._children.get(self.turn(turn_id).id, ()))
        while pending:
            at = pending.pop()
            yield self.turns[at]
            pending.extend(self._children.get(at, ()))

    def messages(self, upto: str | None = None) -> tuple[Message, ...]:
        """Return the messages for the chat template: the system prompt, then the active path.

        Args:
            upto: the last turn to include; None for all. It need not be on the active path.

        Turns excluded from the context are omitted; a summary of them is added to the system prompt.
        """
        turns = self.sent_turns(upto)
        system = self.system_prompt
        if self.summary:
            system = f"{system}\n\n{_SUMMARY_HEAD}\n{self.summary}".lstrip()
        messages = [Message(SYSTEM, system)] if system else []
        messages += map(message_of, turns)
        return tuple(messages)

    def sent_turns(self, upto: str | None = None) -> tuple[Turn, ...]:
        """Return the turns of the active path, or of the way to `upto`, that the model is sent.

        Turns excluded from the context and empty replies are omitted.
        """
        hidden = frozenset(self.unseen)
        turns = self.path if upto is None else self.ancestors(upto)
        return tuple(
            turn
            for turn in turns
            if turn.id not in hidden and not (turn.role == ASSISTANT and turn.is_empty)
        )

    def history_messages(self) -> tuple[Message, ...]:
        """Return the whole active path as messages, those that the model no longer sees included."""
        messages = [Message(SYSTEM, self.system_prompt)] if self.system_prompt else []
        messages += [
            message_of(turn) for turn in self.path if not (turn.role == ASSISTANT and turn.is_empty)
        ]
        return tuple(messages)

    @property
    def can_undo(self) -> bool:
        """Whether there is an operation to undo."""
        return bool(self.history.undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is an operation to redo."""
        return bool(self.history.redo)

    # -- operations that can be undone

    def add(self, turn: Turn, *, label: str) -> Conversation:
        """Return the chat with `turn` added below its parent and the active path led through it.

        Raises:
            UnknownTurnError: the parent is not in this chat.
        """
        if turn.parent is not None:
            self.turn(turn.parent)
        if siblings := self.children(turn.parent):
            after = round(siblings[-1].created_at + 0.001, 3)
            turn = replace(turn, created_at=max(turn.created_at, after))
        names_chat = turn.role == USER and not self.title
        changed = self._do(
            Patch(
                label,
                turns={turn.id: turn},
                selected=self._lead_to(turn.parent, turn.id),
                fields={"title": title_from(turn.gist)} if names_chat else {},
            )
        )
        above = turn.parent or ROOT
        below = (*self._children.get(above, ()), turn.id)
        changed._seed({**self._children, above: below})  # noqa: SLF001 - the same class
        if self._is_at_end(turn.parent):
            vars(changed)["path"] = (*self.path, turn)
        return changed

    def add_user(self, text: str, *parts: Part) -> Conversation:
        """Return the chat with a user turn at the end of the active path.

        Args:
            text: what was typed.
            parts: what goes with it: files, images.
        """
        turn = Turn(new_id(), self.leaf.id if self.leaf else None, USER, text, now())
        if parts:
            turn = turn.with_parts((*turn.parts, *parts) if text.strip() else parts)
        return self.add(turn, label=SEND)

    def begin_reply(
        self, parent: str | None, generation: Generation, *, text: str = "", label: str = "Reply"
    ) -> Conversation:
        """Return the chat with an assistant turn below `parent` that is still to be written.

        Args:
            text: the text that the reply starts with; the engine continues from it.
        """
        turn = Turn(
            new_id(), parent, ASSISTANT, text, now(), status=Status.STREAMING, generation=generation
        )
        return self.add(turn, label=label)

    def begin_continue(self, turn_id: str) -> Conversation:
        """Return the chat with a finished reply reopened for continuation; undo restores its shorter text."""
        turn = replace(self.turn(turn_id), status=Status.STREAMING, error="")
        return self._do(
            Patch("Continue", turns={turn_id: turn}, selected=self._lead_to(turn.parent, turn_id))
        )

    def edit(self, turn_id: str, text: str, *, parts: Sequence[Part] | None = None) -> Conversation:
        """Return the chat with a changed copy of a turn as its sibling, on the active path.

        An edited reply keeps what made its original, so that one can see where the text came from. What followed the
        original stays with the original. Parts of it that are no text stay where they are; the new text stands where the
        first text part stood, or first where there was none.

        Args:
            turn_id: the turn.
            text: the new text.
            parts: the parts to keep besides; None for all.
        """
        old = self.turn(turn_id)
        if parts is not None:
            old = old.with_parts(parts)
        status = Status.COMPLETE if old.status is not Status.STREAMING else Status.STOPPED
        turn = replace(
            old, id=new_id(), text=text, created_at=now(), origin=old.id, status=status, error=""
        )
        return self.add(turn, label="Edit")

    def delete(self, turn_id: str, *, following: bool) -> Conversation:
        """Return the chat without a turn.

        Args:
            following: whether to delete all its descendants too; otherwise its children move up to its parent.
        """
        gone = self.turn(turn_id)
        parent = gone.parent or ROOT
        children = self._children.get(turn_id, ())
        turns: dict[str, Turn | None] = {turn_id: None}
        if following:
            turns |= {turn.id: None for turn in self.descendants(turn_id)}
        else:
            turns |= {child: replace(self.turns[child], parent=gone.parent) for child in children}
        shown = self._shown(parent)
        if shown == turn_id:
            siblings = self._children[parent]
            place = siblings.index(turn_id)
            rest = siblings[:place] + siblings[place + 1 :]
            neighbor = rest[min(place, len(rest) - 1)] if rest else None
            shown = self._shown(turn_id) if children and not following else neighbor
        selected: dict[str, str | None] = {
            key: None for key, turn in turns.items() if turn is None and key in self.selected
        }
        # If the turn isn't visible, the selections that hide it go into the patch, so that undo keeps them.
        selected |= {key: self._shown(key) for key in self._hiding(gone.parent)}
        selected[parent] = shown
        label = "Delete from here" if following else "Delete"
        return self._do(Patch(label, turns=turns, selected=selected))

    def set_system_prompt(self, text: str) -> Conversation:
        """Return the chat with another system prompt."""
        if text == self.system_prompt:
            return self
        return self._do(Patch("System prompt", fields={"system_prompt": text}))

    def taken_over(self, patch: Patch) -> Conversation:
        """Return the chat with an external change applied as its newest operation; `updated_at` stays the same."""
        return self._do(patch)._with(updated_at=self.updated_at)  # noqa: SLF001 - the same class

    def leave_out(self, turn_ids: Iterable[str], summary: str = "") -> Conversation:
        """Return the chat with these turns excluded from the context; they remain visible.

        Args:
            summary: the summary of all excluded turns to send to the model; empty to keep the current one.
        """
        unseen = tuple(dict.fromkeys((*self.unseen, *turn_ids)))
        fields = {"unseen": unseen, "summary": summary or self.summary}
        return self._do(Patch("Exclude from the context", fields=fields))

    def see_all(self) -> Conversation:
        """Return the chat with every turn included in the context again, and no summary."""
        if not self.unseen and not self.summary:
            return self
        return self._do(Patch("Include in the context", fields={"unseen": (), "summary": ""}))

    def withdraw_reply(self, turn_id: str) -> Conversation:
        """Return the chat without the reply, or the continuation of one, that was begun last on a turn and said nothing.

        It leaves no trace in the history; what was done since stays.
        """
        undo = self.history.undo
        place = max(i for i, patch in enumerate(undo) if turn_id in patch.turns)
        changed, _ = self._apply(undo[place])
        history = History((*undo[:place], *undo[place + 1 :]), self.history.redo)
        return changed._with(history=history)  # noqa: SLF001 - the same class

    def rename(self, title: str) -> Conversation:
        """Return the chat with another title."""
        if title == self.title:
            return self
        return self._do(Patch("Rename", fields={"title": title}))

    def undo(self) -> Conversation:
        """Return the chat before its newest operation, or the same chat if there is none."""
        if not self.history.undo:
            return self
        changed, inverse = self._travel(self.history.undo[-1])
        history = History(self.history.undo[:-1], (*self.history.redo, inverse))
        return changed._with(history=history)  # noqa: SLF001 - the same class

    def withdraw(self) -> Conversation:
        """Return the chat before its newest operation, which can't be redone: its words have gone elsewhere."""
        undone = self.undo()
        if undone is self:
            return self
        return undone._with(history=History(undone.history.undo, self.history.redo))  # noqa: SLF001 - the same class

    def redo(self) -> Conversation:
        """Return the chat with the last undone operation redone, or the same chat if there is none."""
        if not self.history.redo:
            return self
        changed, inverse = self._travel(self.history.redo[-1])
        history = History((*self.history.undo, inverse), self.history.redo[:-1])
        return changed._with(history=history)  # noqa: SLF001 - the same class

    # -- changes that are no operation of the user's

    def select(self, turn_id: str) -> Conversation:
        """Return the chat with the active path through a turn, continuing below it as it was last selected."""
        way = self.ancestors(turn_id)
        selected = dict(self.selected)
        for turn in way:
            selected[turn.parent or ROOT] = turn.id
        return self if selected == self.selected else self._with(selected=selected)

    def page(self, turn_id: str, step: int) -> Conversation:
        """Return the chat on the variant `step` places from `turn_id`; it stays put at the first and the last."""
        variants = self.variants(turn_id)
        place = [turn.id for turn in variants].index(turn_id)
        return self.select(variants[max(0, min(len(variants) - 1, place + step))].id)

    def update(self, turn_id: str, **changes: Any) -> Conversation:
        """Return the chat with fields of a turn replaced; used while a reply is being written.

        A reply that is being written also grows where the history holds it, so that undo brings back all its words.

        Args:
            turn_id: the turn.
            changes: fields of `Turn`; `parts` bring their text and reasoning with them.

        Raises:
            UnknownTurnError: there is no such turn.
        """
        old = self.turn(turn_id)
        if "parts" in changes:
            changes |= part_fields(changes["parts"])
        history = self.history
        if old.status is Status.STREAMING:
            history = history.written(turn_id, changes)
        turns = {**self.turns, turn_id: replace(old, **changes)}
        changed = replace(self, turns=turns, history=history, updated_at=now())
        if changes.keys().isdisjoint(("id", "parent", "created_at")):
            changed._seed(self._children)  # noqa: SLF001 - the same class
            if self._is_at_end(turn_id):
                vars(changed)["path"] = (*self.path[:-1], turns[turn_id])
        return changed

    def finish(
        self,
        turn_id: str,
        status: Status,
        *,
        text: str,
        reasoning: str = "",
        error: str = "",
        generation: Generation | None = None,
    ) -> Conversation:
        """Return the chat with a reply ended; its text is kept whatever the status."""
        changes: dict[str, Any] = {
            "status": status,
            "text": text,
            "reasoning": reasoning,
            "error": error,
        }
        if generation is not None:
            changes["generation"] = generation
        return self.update(turn_id, **changes)

    def with_settings(self, settings: Mapping[str, Any]) -> Conversation:
        """Return the chat with its current model and parameters recorded."""
        return self if settings == self.settings else self._with(settings=dict(settings))

    def fork(self, turn_id: str) -> Conversation:
        """Return a new chat that contains only the path to a turn; the turns keep their IDs.

        A reply that is still being written is marked as stopped.
        """
        way = [
            replace(turn, status=Status.STOPPED) if turn.status is Status.STREAMING else turn
            for turn in self.ancestors(turn_id)
        ]
        title = f"{self.title} (fork)" if self.title else ""
        return Conversation(
            title=title,
            system_prompt=self.system_prompt,
            turns={turn.id: turn for turn in way},
            settings=self.settings,
            unseen=self.unseen,
            summary=self.summary,
        )

    def recovered(self) -> Conversation:
        """Return the chat with replies left unfinished by a dead process marked as interrupted."""
        cut = {
            turn.id: replace(turn, status=Status.INTERRUPTED)
            for turn in self.turns.values()
            if turn.status is Status.STREAMING
        }
        history = self.history
        for turn_id in history.unfinished():
            history = history.written(turn_id, {"status": Status.INTERRUPTED})
        if not cut and history is self.history:
            return self
        return replace(self, turns={**self.turns, **cut}, history=history)

    # -- inside

    def _with(self, **changes: Any) -> Conversation:
        """Return the chat with fields replaced; what it had worked out of its tree is carried over where it still holds."""
        changed = replace(self, **changes)
        if changed.turns is self.turns:
            changed._seed(self._children)  # noqa: SLF001 - the same class
            if changed.selected is self.selected and "path" in vars(self):
                vars(changed)["path"] = self.path
        return changed

    def _seed(self, children: Mapping[str, tuple[str, ...]]) -> None:
        """Give a chat that was just made its index, where the one that it was made of tells it without another pass.

        In a chat of thousands of turns, sending a message and ending a reply would take tens of milliseconds otherwise.
        """
        vars(self)["_children"] = children

    def _is_at_end(self, turn_id: str | None) -> bool:
        """Whether the active path ends with a turn (None: is empty)."""
        return (self.path[-1].id if self.path else None) == turn_id

    def _shown(self, parent: str) -> str | None:
        """The child of `parent` that the active path would go through; None when there is none."""
        children = self._children.get(parent)
        if not children:
            return None
        chosen = self.selected.get(parent)
        return chosen if chosen in children else children[-1]

    def _lead_to(self, parent: str | None, turn_id: str) -> dict[str, str | None]:
        """The choices that lead the active path to `turn_id` below `parent`; those already made are left out."""
        return {**self._hiding(parent), parent or ROOT: turn_id}

    def _hiding(self, turn_id: str | None) -> dict[str, str]:
        """The choices still to be made for `turn_id` to be on the active path; none when it is."""
        choices: dict[str, str] = {}
        if self._is_at_end(turn_id):
            return choices
        for turn in self.ancestors(turn_id) if turn_id is not None else ():
            above = turn.parent or ROOT
            if self._shown(above) != turn.id:
                choices[above] = turn.id
        return choices

    def _do(self, patch: Patch) -> Conversation:
        passed: list[Patch] = []
        at = self
        undone: list[Patch] = []
        # What was undone stays in reach of undo if it holds words that are nowhere else. Otherwise, undo would only do it again.
        redone = self.history.redo if any(map(self._lacks, self.history.redo)) else ()
        for redo in reversed(redone):
            undone.append(replace(redo, label=f"Undo ({redo.label})"))
            at, inverse = at._apply(redo)
            passed.append(inverse)
        changed, inverse = self._apply(patch)
        history = self.history.pushed(inverse, (*passed, *reversed(undone)))
        return changed._with(history=history)  # noqa: SLF001 - the same class

    def _lacks(self, patch: Patch) -> bool:
        """Whether a patch would bring words that the chat doesn't have."""

        def said(turn: Turn | None) -> object:
            return None if turn is None else (turn.text, turn.reasoning, turn.parts)

        turns = (turn for turn in patch.turns.values() if turn is not None)
        fields = (patch.fields.get(key, "") for key in ("system_prompt", "summary"))
        mine = (self.system_prompt, self.summary)
        return any(said(self.turns.get(turn.id)) != said(turn) for turn in turns) or any(
            text and text != has for text, has in zip(fields, mine, strict=True)
        )

    def _travel(self, patch: Patch) -> tuple[Conversation, Patch]:
        """Apply a patch of the history, and lead the active path to where it changed something.

        The user may have gone to another branch since; a change made out of sight would look like none.
        """
        changed, inverse = self._apply(patch)
        touched = (turns.get(key) for key in patch.turns for turns in (self.turns, changed.turns))
        places = {turn.parent for turn in touched if turn is not None} - patch.turns.keys()
        lead: dict[str, str | None] = {
            key: child
            for place in places
            if place in changed.turns
            for key, child in changed._hiding(place).items()  # noqa: SLF001 - the same class
            if key not in patch.selected
        }
        led, back = changed._apply(Patch(patch.label, selected=lead))  # noqa: SLF001 - the same class
        return led, replace(inverse, selected={**back.selected, **inverse.selected})

    def _apply(self, patch: Patch) -> tuple[Conversation, Patch]:
        """Return the chat with `patch` in it, and the patch that takes it back."""
        inverse = Patch(
            patch.label,
            turns={key: self.turns.get(key) for key in patch.turns},
            selected={key: self.selected.get(key) for key in patch.selected},
            fields={key: getattr(self, key) for key in patch.fields if key in _FIELDS},
        )
        fields = {key: value for key, value in patch.fields.items() if key in _FIELDS}
        # A chat with another title says what it said before, so it keeps its place among the others.
        is_title = fields.keys() == {"title"} and not (patch.turns or patch.selected)
        changed = self._with(
            turns=_merged(self.turns, patch.turns) if patch.turns else self.turns,
            selected=_merged(self.selected, patch.selected) if patch.selected else self.selected,
            updated_at=self.updated_at if is_title else now(),
            **fields,
        )
        return changed, inverse


def _merged(old: Mapping[str, _Value], new: Mapping[str, _Value | None]) -> dict[str, _Value]:
    merged = dict(old)
    for key, value in new.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def title_from(text: str, limit: int = 60) -> str:
    """Return a title made of a text's first words, at most `limit` characters."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    in_word = line[limit - 1] != " "
    return (cut.rsplit(" ", 1)[0] if in_word and " " in cut[limit // 2 :] else cut) + "…"


def from_messages(
    messages: Iterable[Mapping[str, Any]], *, make_id: Callable[[], str] = new_id, **fields: Any
) -> Conversation:
    """Return a chat of one branch from `{"role", "content", "reasoning_content"?}` entries.

    A content may be a list of parts. A leading system entry becomes the system prompt; what else an entry holds becomes its turn's `extra`.
    """
    turns: dict[str, Turn] = {}
    parent: str | None = None
    system_prompt = ""
    for message in messages:
        role, content = str(message.get("role", USER)), message.get("content") or ""
        if role == SYSTEM and not turns and not system_prompt:
            system_prompt = content_text(content)
            continue
        reasoning = str(message.get("reasoning_content") or "")
        said = content_fields(content if isinstance(content, list) else str(content), reasoning)
        extra = {key: value for key, value in message.items() if key not in _MESSAGE_KEYS}
        turn = Turn(make_id(), parent, role, created_at=now(), extra=extra, **said)
        turns[turn.id] = turn
        parent = turn.id
    first = next((turn.gist for turn in turns.values() if turn.role == USER), "")
    fields.setdefault("title", title_from(first))
    return Conversation(turns=turns, system_prompt=system_prompt, **fields)
