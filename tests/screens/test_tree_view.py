from __future__ import annotations

from collections import Counter

import pytest

from tests.screens.host import Host, screen_text, until
from tui.conversation import Conversation, Generation, Status, Turn
from tui.screens.tree_view import TreeView, TurnTree, places


def reply(chat: Conversation, text: str, status: Status = Status.COMPLETE, parent: str = ""):
    generation = Generation(model="org/some-model")
    chat = chat.begin_reply(parent or chat.path[-1].id, generation)
    return chat.finish(chat.path[-1].id, status, text=text)


@pytest.fixture
def chat():
    """A question with three answers; the second was gone on from, the third is the active one."""
    made = reply(Conversation().add_user("question"), "first answer", Status.STOPPED)
    question = made.path[0].id
    made = reply(made, "second answer", parent=question)
    made = reply(made.add_user("go on"), "I go on")
    return reply(made, "third answer [b]x[/b] \x1b[2J", Status.FAILED, parent=question)


def by_text(chat: Conversation, text: str) -> Turn:
    return next(turn for turn in chat.turns.values() if turn.text.startswith(text))


def depths(chat: Conversation) -> dict[str, int]:
    found: dict[str | None, int] = {None: 0}
    for place in places(chat):
        assert place.turn_id not in found
        found[place.turn_id] = found[place.host] + 1
    del found[None]
    return found


def test_the_active_path_stays_on_one_level_and_other_variants_are_indented(chat):
    levels = {chat.turns[turn_id].text.split(" [")[0]: at for turn_id, at in depths(chat).items()}
    assert levels == {
        "question": 1,
        "first answer": 2,
        "second answer": 2,
        "go on": 3,
        "I go on": 3,
        "third answer": 1,
    }


def test_every_turn_has_one_place(chat):
    assert Counter(place.turn_id for place in places(chat)) == Counter(list(chat.turns))


def chain(count: int, *, leaves: bool) -> Conversation:
    """A chat of `count` turns in a row; with `leaves`, each of them has a newer variant that the active path goes to."""
    turns = {}
    parent = None
    for number in range(count):
        turn = Turn(f"t{number}", parent, "user", f"turn {number}", float(number))
        turns[turn.id] = turn
        if leaves:
            turns[f"l{number}"] = Turn(f"l{number}", parent, "user", "leaf", number + 0.5)
        parent = turn.id
    return Conversation(turns=turns)


def test_a_long_chat_is_not_deep():
    assert set(depths(chain(5000, leaves=False)).values()) == {1}


def test_a_branch_at_every_turn_is_not_deep_either():
    levels = depths(chain(3000, leaves=True))
    assert len(levels) == 6000
    assert max(levels.values()) <= 3


async def test_enter_returns_the_turn_under_the_cursor(chat):
    app = Host(TreeView(chat, by_text(chat, "go on").id))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_node is not None)
        await pilot.pause()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.result == by_text(chat, "I go on").id


async def test_the_cursor_begins_at_the_end_of_the_active_path(chat):
    app = Host(TreeView(chat))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_node is not None)
        await pilot.press("enter")
        await pilot.pause()
        assert app.result == chat.path[-1].id


async def test_a_click_jumps(chat):
    app = Host(TreeView(chat))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click(TurnTree, offset=(14, 2))
        await pilot.pause()
        assert app.result == by_text(chat, "second answer").id


async def test_rows_name_role_variant_status_and_model_on_one_line_each(chat):
    app = Host(TreeView(chat))
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.pause()
        rows = {row.strip("│ ").strip() for row in screen_text(pilot).splitlines()}
        first = next(row for row in rows if "first answer" in row)
        assert "● first answer" in first
        assert "stopped · 1/3 · some-model" in first
        assert any("❯ question" in row for row in rows)
        third = next(row for row in rows if "third answer" in row)
        assert "● third answer [b]x[/b] ␛[2J" in third
        assert "failed · 3/3" in third


async def test_rows_fit_on_a_narrow_screen(chat):
    app = Host(TreeView(chat))
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        tree = app.dialog.query_one(TurnTree)
        assert tree.virtual_size.width <= tree.size.width


async def test_n_goes_from_variant_to_variant_and_back(chat):
    app = Host(TreeView(chat, by_text(chat, "first answer").id))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_node is not None)
        await pilot.press("n")
        assert tree.cursor_node.data == by_text(chat, "second answer").id
        await pilot.press("n")
        assert tree.cursor_node.data == by_text(chat, "third answer").id
        await pilot.press("N")
        assert tree.cursor_node.data == by_text(chat, "second answer").id


async def test_a_branch_is_folded_and_unfolded(chat):
    app = Host(TreeView(chat, by_text(chat, "second answer").id))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_node is not None)
        await pilot.press("left")
        await pilot.pause()
        assert "I go on" not in screen_text(pilot)
        await pilot.press("right")
        await pilot.pause()
        assert "I go on" in screen_text(pilot)


async def test_an_empty_chat_says_so():
    app = Host(TreeView(Conversation()))
    async with app.run_test() as pilot:
        assert "Nothing has been said" in screen_text(pilot)
        await pilot.press("enter", "n", "left", "escape")
        await pilot.pause()
        assert app.result is None


async def test_thousands_of_turns_are_drawn_row_by_row():
    app = Host(TreeView(chain(5000, leaves=False)))
    async with app.run_test(size=(80, 24)) as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_node is not None)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert app.result == "t0"


def test_the_active_first_turn_stands_right_before_what_follows_it():
    chat = Conversation().add_user("one")
    first = chat.path[0].id
    chat = chat.edit(first, "two")
    second = chat.path[0].id
    chat = chat.edit(first, "three")
    third = chat.path[0].id
    chat = chat.page(third, -1).add_user("more")
    assert [place.turn_id for place in places(chat)] == [first, third, second, chat.path[1].id]
