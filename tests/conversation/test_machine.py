"""Any sequence of operations keeps the invariants of a chat, and equals a plain model that keeps whole states."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tui.conversation import (
    ASSISTANT,
    USER,
    Conversation,
    Generation,
    Status,
    codec,
    conversation,
)
from tui.conversation.conversation import ROOT
from tui.conversation.history import HISTORY_LIMIT

TEXTS = st.text(max_size=8)
PLACES = st.integers(min_value=0, max_value=1000)


@dataclass(frozen=True)
class Row:
    parent: str
    role: str
    text: str
    status: Status
    created_at: float


@dataclass(frozen=True)
class State:
    """A whole chat, written down plainly: every turn, and for each parent the child that is shown."""

    rows: dict[str, Row]
    shown: dict[str, str]
    title: str = ""
    system_prompt: str = ""
    view: int = 0
    """How often the user had gone to another branch by hand when this state was left."""

    def below(self, parent: str) -> list[str]:
        found = [key for key, row in self.rows.items() if row.parent == parent]
        return sorted(found, key=lambda key: (self.rows[key].created_at, key))

    def leading_to(self, turn_id: str) -> dict[str, str]:
        shown = dict(self.shown)
        while turn_id != ROOT:
            parent = self.rows[turn_id].parent
            shown[parent] = turn_id
            turn_id = parent
        return shown

    def with_turn(self, turn_id: str, row: Row) -> State:
        grown = replace(self, rows={**self.rows, turn_id: row})
        title = self.title
        if not title and row.role == USER:
            title = " ".join(row.text.split())
        return replace(grown, shown=grown.leading_to(turn_id), title=title)

    def without(self, turn_id: str, *, following: bool) -> State:
        parent, children = self.rows[turn_id].parent, self.below(turn_id)
        siblings = self.below(parent)
        place = siblings.index(turn_id)
        gone = {turn_id}
        rows = dict(self.rows)
        if following:
            pending = list(children)
            while pending:
                at = pending.pop()
                gone.add(at)
                pending += self.below(at)
        else:
            rows |= {child: replace(rows[child], parent=parent) for child in children}
        rows = {key: row for key, row in rows.items() if key not in gone}
        shown = {key: child for key, child in self.shown.items() if key not in gone}
        if shown[parent] == turn_id:
            rest = [key for key in siblings if key != turn_id]
            if children and not following:
                shown[parent] = self.shown[turn_id]
            elif rest:
                shown[parent] = rest[min(place, len(rest) - 1)]
            else:
                del shown[parent]
        return replace(self, rows=rows, shown=shown)


def state_of(chat: Conversation, view: int = 0) -> State:
    """Write a chat down through its public face."""
    rows = {
        key: Row(turn.parent or ROOT, turn.role, turn.text, turn.status, turn.created_at)
        for key, turn in chat.turns.items()
    }
    shown = {}
    for parent in {row.parent for row in rows.values()}:
        children = [turn.id for turn in chat.children(parent or None)]
        chosen = chat.selected.get(parent)
        shown[parent] = chosen if chosen in children else children[-1]
    return State(rows, shown, chat.title, chat.system_prompt, view)


class ChatMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        # The same ids and times in every run; the clock often stands still.
        self.count = itertools.count(1)
        ids = (f"t{number * 7919 % 9973}" for number in self.count)
        times = (1000 + number // 9 / 1000 for number in self.count)
        self.patches = [
            mock.patch.object(conversation, "new_id", side_effect=ids),
            mock.patch.object(conversation, "now", side_effect=times),
        ]
        for patch in self.patches:
            patch.start()

    @initialize()
    def start(self):
        self.chat = Conversation()
        self.past: list[State] = []
        self.now = State({}, {})
        self.future: list[State] = []
        self.view = 0
        self.said: set[str] = set()

    # -- helpers

    def pick(self, place: int) -> str:
        keys = sorted(self.chat.turns, key=lambda key: (self.chat.turns[key].created_at, key))
        return keys[place % len(keys)]

    def did(self, chat: Conversation, state: State) -> None:
        """Note an operation that undo takes back; undo then passes through what had been undone if that holds other words."""
        passed = [self.now]
        if any(map(self.has_other_words, self.future)):
            passed += [*reversed(self.future), *self.future[1:], self.now]
        passed = [replace(one, view=self.view) for one in passed]
        self.past = [*self.past, *passed][-HISTORY_LIMIT:]
        self.future = []
        self.chat, self.now = chat, state

    def has_other_words(self, state: State) -> bool:
        mine = self.now
        if state.system_prompt not in ("", mine.system_prompt):
            return True
        return any(
            key not in mine.rows or row.text != mine.rows[key].text
            for key, row in state.rows.items()
        )

    def added(self, chat: Conversation, parent: str, role: str, text: str, status: Status) -> None:
        (new,) = set(chat.turns) - set(self.chat.turns)
        row = Row(parent, role, text, status, chat.turn(new).created_at)
        assert all(self.now.rows[key].created_at < row.created_at for key in self.now.below(parent))
        self.said.add(new)
        self.did(chat, self.now.with_turn(new, row))

    def arrived(self) -> None:
        """After undo or redo: what is shown is as it was, unless the user went elsewhere by hand meanwhile."""
        if self.now.view != self.view:
            shown = state_of(self.chat).shown
            self.now = replace(self.now, shown=shown, view=self.view)

    # -- operations

    @rule(text=TEXTS)
    def add_user(self, text):
        parent = self.chat.leaf.id if self.chat.leaf else ROOT
        self.added(self.chat.add_user(text), parent, USER, text, Status.COMPLETE)

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES, text=TEXTS)
    def begin_reply(self, place, text):
        parent = self.pick(place)
        chat = self.chat.begin_reply(parent, Generation(), text=text)
        self.added(chat, parent, ASSISTANT, text, Status.STREAMING)

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES, text=TEXTS)
    def edit(self, place, text):
        old = self.pick(place)
        row = self.now.rows[old]
        status = Status.STOPPED if row.status is Status.STREAMING else Status.COMPLETE
        self.added(self.chat.edit(old, text), row.parent, row.role, text, status)

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES)
    def begin_continue(self, place):
        turn_id = self.pick(place)
        rows = dict(self.now.rows)
        rows[turn_id] = replace(rows[turn_id], status=Status.STREAMING)
        state = replace(self.now, rows=rows, shown=self.now.leading_to(turn_id))
        self.did(self.chat.begin_continue(turn_id), state)

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES, following=st.booleans())
    def delete(self, place, following):
        turn_id = self.pick(place)
        state = self.now.without(turn_id, following=following)
        self.did(self.chat.delete(turn_id, following=following), state)

    @rule(text=TEXTS)
    def set_system_prompt(self, text):
        if text != self.now.system_prompt:
            state = replace(self.now, system_prompt=text)
            self.did(self.chat.set_system_prompt(text), state)

    @rule(text=TEXTS)
    def rename(self, text):
        if text != self.now.title:
            self.did(self.chat.rename(text), replace(self.now, title=text))

    # -- changes that are no operations

    @rule(
        place=PLACES,
        text=TEXTS,
        status=st.sampled_from([Status.COMPLETE, Status.STOPPED, Status.FAILED]),
    )
    def finish(self, place, text, status):
        open_turns = [k for k, row in self.now.rows.items() if row.status is Status.STREAMING]
        if not open_turns:
            return
        turn_id = sorted(open_turns)[place % len(open_turns)]
        self.chat = self.chat.finish(turn_id, status, text=text)

        def ended(state: State) -> State:
            row = state.rows.get(turn_id)
            if row is None or row.status is not Status.STREAMING:
                return state
            return replace(
                state, rows={**state.rows, turn_id: replace(row, text=text, status=status)}
            )

        self.past = [ended(state) for state in self.past]
        self.future = [ended(state) for state in self.future]
        self.now = ended(self.now)

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES)
    def select(self, place):
        turn_id = self.pick(place)
        self.view += 1
        self.chat = self.chat.select(turn_id)
        self.now = replace(self.now, shown=self.now.leading_to(turn_id), view=self.view)
        assert turn_id in [turn.id for turn in self.chat.path]

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES, step=st.integers(-2, 2))
    def page(self, place, step):
        turn_id = self.pick(place)
        siblings = self.now.below(self.now.rows[turn_id].parent)
        at = max(0, min(len(siblings) - 1, siblings.index(turn_id) + step))
        self.view += 1
        self.chat = self.chat.page(turn_id, step)
        self.now = replace(self.now, shown=self.now.leading_to(siblings[at]), view=self.view)

    # -- history and file

    @rule()
    def undo(self):
        assert self.chat.can_undo == bool(self.past)
        self.chat = self.chat.undo()
        if self.past:
            self.future.append(replace(self.now, view=self.view))
            self.now = self.past.pop()
            self.arrived()

    @rule()
    def redo(self):
        assert self.chat.can_redo == bool(self.future)
        self.chat = self.chat.redo()
        if self.future:
            self.past.append(replace(self.now, view=self.view))
            self.now = self.future.pop()
            self.arrived()

    @rule()
    def save_and_load(self):
        decoded = codec.loads(codec.dumps(self.chat))
        assert decoded.problems == ()
        assert codec.encode(decoded.conversation) == codec.encode(self.chat)
        self.chat = decoded.conversation

    @precondition(lambda self: self.chat.turns)
    @rule(place=PLACES)
    def fork(self, place):
        turn_id = self.pick(place)
        forked = self.chat.fork(turn_id)
        assert [turn.id for turn in forked.path] == [t.id for t in self.chat.ancestors(turn_id)]
        assert len(forked.turns) == len(forked.path)
        assert forked.id != self.chat.id

    # -- what always holds

    @invariant()
    def it_equals_the_plain_model(self):
        seen = state_of(self.chat)
        assert seen.rows == self.now.rows
        assert seen.shown == self.now.shown
        assert seen.title == self.now.title
        assert seen.system_prompt == self.now.system_prompt

    @invariant()
    def there_is_one_path_and_no_orphan_and_no_cycle(self):
        path = self.chat.path
        assert [turn.parent for turn in path] == [None, *(turn.id for turn in path)][: len(path)]
        assert bool(path) == bool(self.chat.turns)
        if path:
            assert not self.chat.children(path[-1].id)
        reached = {turn.id for turn in self.chat.children(None)}
        for turn in self.chat.children(None):
            reached |= {below.id for below in self.chat.descendants(turn.id)}
        assert reached == set(self.chat.turns)
        assert all(key == turn.id for key, turn in self.chat.turns.items())

    @invariant()
    def all_that_was_said_can_be_reached(self):
        if len(self.past) >= HISTORY_LIMIT:
            return
        states = [*self.past, self.now, *self.future]
        assert self.said <= {key for state in states for key in state.rows}

    def teardown(self):
        try:
            if hasattr(self, "chat"):
                self.undoing_all_gives_back_the_start_and_redoing_all_the_end()
        finally:
            for patch in self.patches:
                patch.stop()

    def undoing_all_gives_back_the_start_and_redoing_all_the_end(self):
        end, back, reached = self.chat, self.chat, set(self.chat.turns)
        complete = len(self.past) < HISTORY_LIMIT
        while back.can_redo:
            back = back.redo()
            reached |= set(back.turns)
        back = end
        steps = 0
        while back.can_undo:
            back = back.undo()
            steps += 1
            reached |= set(back.turns)
        if complete:
            assert state_of(back) == State({}, {})
            assert reached >= self.said
        for _ in range(steps):
            back = back.redo()
        assert codec.encode(back)["tree"]["selected"] == codec.encode(end)["tree"]["selected"]
        assert (dict(back.turns), back.title) == (dict(end.turns), end.title)
        labels = [patch.label for patch in end.history.undo]
        assert [patch.label for patch in back.history.undo] == labels
        assert [patch.turns for patch in back.history.undo] == [
            patch.turns for patch in end.history.undo
        ]


TestChatMachine = ChatMachine.TestCase
TestChatMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
