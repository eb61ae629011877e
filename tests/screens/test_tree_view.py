from __future__ import annotations

from collections import Counter

import pytest
from rich.cells import cell_len

from tests.screens.conftest import ROOMY, Desk, ready, shown
from tests.screens.host import Host, screen_text, until
from tui.conversation import Conversation, Generation, Status, Turn
from tui.screens.branch_map import branch_from, map_rows
from tui.screens.tree_view import TreeView, preview
from tui.screens.turn_tree import TurnTree
from tui.widgets.long_text import LongText


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


def drawn(chat: Conversation, folded: frozenset[str] = frozenset()) -> list[str]:
    """The map as text: lines, and the words of each turn."""
    rows = []
    for row in map_rows(chat, folded):
        said = "" if row.turn_id is None else chat.turns[row.turn_id].text.split(" [")[0]
        sign = "" if row.turn_id is None else "o"
        lanes = "".join(lane.text for lane in row.lanes)
        rows.append(f"{lanes}{sign}{row.beside} {said}".rstrip())
    return rows


def test_variants_hang_on_one_line_in_order_and_the_active_path_goes_straight_down(chat):
    assert drawn(chat) == [
        "o─╮ question",
        "│ ├─o   first answer",
        "│ ╰─o   second answer",
        "│   o   go on",
        "│   o   I go on",
        "o   third answer",
    ]


def test_a_variant_after_the_active_one_stands_after_it(chat):
    chat = chat.page(by_text(chat, "third answer").id, -1)
    chat = chat.page(by_text(chat, "second answer").id, -1)
    assert [row.turn_id for row in map_rows(chat) if row.is_active] == [
        turn.id for turn in chat.path
    ]
    assert drawn(chat) == [
        "o─╮ question",
        "o │ first answer",
        "  ├─o   second answer",
        "  │ o   go on",
        "  │ o   I go on",
        "  ╰─o   third answer",
    ]


def test_lines_that_would_cross_have_a_row_of_their_own(chat):
    first = by_text(chat, "first answer").id
    chat = chat.page(by_text(chat, "third answer").id, -1)
    chat = chat.page(by_text(chat, "second answer").id, -1).add_user("this")
    chat = chat.edit(by_text(chat, "this").id, "or that")
    assert drawn(chat)[1:] == [
        "o │ first answer",
        "│ ├─o   second answer",
        "│ │ o   go on",
        "│ │ o   I go on",
        "│ ╰─o   third answer",
        "├─╮",
        "│ ╰─o   this",
        "o   or that",
    ]
    assert chat.turn(first).text == "first answer"


def test_first_messages_hang_together_though_nothing_stands_above_them():
    chat = Conversation().add_user("one")
    chat = chat.edit(chat.path[0].id, "two")
    chat = chat.edit(chat.path[0].id, "three")
    chat = chat.page(chat.path[0].id, -1).add_user("more")
    assert drawn(chat) == [
        "╭─╮",
        "│ ├─o   one",
        "o │ two",
        "│ ╰─o   three",
        "o   more",
    ]


def test_what_is_folded_is_left_out(chat):
    folded = frozenset([chat.path[0].id])
    assert drawn(chat, folded) == ["o─▸ question", "o   third answer"]


def test_what_stands_after_the_active_variant_is_folded_too(chat):
    chat = chat.page(by_text(chat, "third answer").id, -1)
    chat = chat.page(by_text(chat, "second answer").id, -1)
    folded = frozenset([chat.path[0].id])
    assert drawn(chat, folded) == ["o─▸ question", "o   first answer"]


def test_a_line_that_has_its_lane_back_needs_no_row_of_its_own(chat):
    chat = chat.page(by_text(chat, "third answer").id, -1)
    chat = chat.page(by_text(chat, "second answer").id, -1).add_user("this")
    chat = chat.edit(by_text(chat, "this").id, "or that")
    question, first = chat.path[0].id, by_text(chat, "first answer").id
    assert drawn(chat, frozenset([question])) == [
        "o─▸ question",
        "o─╮ first answer",
        "│ ╰─o   this",
        "o   or that",
    ]
    assert drawn(chat, frozenset([first]))[1] == "o │ first answer"
    assert drawn(chat, frozenset([question, first])) == [
        "o─▸ question",
        "o─▸ first answer",
        "o   or that",
    ]


def test_every_turn_has_one_row(chat):
    assert Counter(row.turn_id for row in map_rows(chat)) == Counter(list(chat.turns))


def test_a_branch_goes_on_along_the_active_path_or_what_was_said_last(chat):
    def said(turn_id: str, most: int) -> list[str]:
        return [turn.text.split(" [")[0] for turn in branch_from(chat, turn_id, most)]

    assert said(chat.path[0].id, 9) == ["question", "third answer"]
    assert said(by_text(chat, "second").id, 2) == ["second answer", "go on"]


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
    assert {len(row.lanes) for row in map_rows(chain(5000, leaves=False))} == {0}


def test_a_branch_at_every_turn_is_not_deep_either():
    rows = map_rows(chain(3000, leaves=True))
    assert len({row.turn_id for row in rows} - {None}) == 6000
    assert max(len(row.lanes) for row in rows) <= 4


async def test_enter_returns_the_turn_under_the_cursor(chat):
    app = Host(TreeView(chat, by_text(chat, "go on").id))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_turn is not None)
        await pilot.pause()
        await pilot.press("down", "enter")
        await pilot.pause()
        assert app.result == by_text(chat, "I go on").id


async def test_the_cursor_begins_at_the_end_of_the_active_path(chat):
    app = Host(TreeView(chat))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_turn is not None)
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
        assert "├─●   first answer" in first
        assert "stopped · 1/3" in first
        assert "some-model" not in screen_text(pilot)
        assert any("❯─╮ question" in row for row in rows)
        third = next(row for row in rows if "third answer" in row)
        assert "●   third answer [b]x[/b] ␛[2J" in third
        assert "failed · 3/3" in third


async def test_models_are_named_where_there_is_more_than_one(chat):
    chat = chat.add_user("and you?")
    chat = chat.begin_reply(chat.leaf.id, Generation(model="org/other"))
    app = Host(TreeView(chat))
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.pause()
        assert "1/3 · some-model" in screen_text(pilot)
        assert "other" in screen_text(pilot)


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
        await until(pilot, lambda: tree.cursor_turn is not None)
        await pilot.press("n")
        assert tree.cursor_turn == by_text(chat, "second answer").id
        await pilot.press("n")
        assert tree.cursor_turn == by_text(chat, "third answer").id
        await pilot.press("N")
        assert tree.cursor_turn == by_text(chat, "second answer").id


async def test_a_branch_is_folded_and_unfolded(chat):
    app = Host(TreeView(chat, by_text(chat, "question").id))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_turn is not None)
        await pilot.press("left")
        await pilot.pause()
        assert "I go on" not in screen_text(pilot)
        await pilot.press("right")
        await pilot.pause()
        assert "I go on" in screen_text(pilot)


async def test_an_empty_chat_has_no_tree_and_says_so(desk: Desk):
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await pilot.press("f6")
        await until(pilot, lambda: "This chat has no turns yet." in shown(pilot))
        assert pilot.app.screen is screen


async def test_thousands_of_turns_are_drawn_row_by_row():
    app = Host(TreeView(chain(5000, leaves=False)))
    async with app.run_test(size=(80, 24)) as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_turn is not None)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert app.result == "t0"


async def test_folding_thousands_of_variants_asks_the_chat_for_none_of_them(monkeypatch):
    turns = {"q": Turn("q", None, "user", "question", 0.0)}
    turns |= {f"a{n}": Turn(f"a{n}", "q", "assistant", f"answer {n}", n + 1.0) for n in range(5000)}
    chat = Conversation(turns=turns)
    app = Host(TreeView(chat, "q"))
    async with app.run_test(size=(80, 24)) as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_turn is not None)
        asked: list[str | None] = []
        children = Conversation.children

        def counted(self: Conversation, turn_id: str | None) -> tuple[Turn, ...]:
            asked.append(turn_id)
            return children(self, turn_id)

        monkeypatch.setattr(Conversation, "children", counted)
        drawn_rows: list[int] = []
        render_line = TurnTree.render_line

        def drew(self: TurnTree, y: int):
            drawn_rows.append(y)
            return render_line(self, y)

        monkeypatch.setattr(TurnTree, "render_line", drew)
        for sign in ("─▸", "─╮"):
            tree.action_fold()
            await until(pilot, lambda sign=sign: sign in screen_text(pilot))
        # The preview of the branch under the cursor asks for what follows each of its turns.
        assert len(asked) < 50
        assert len(drawn_rows) < 500
        await pilot.press("n")
        assert tree.cursor_turn == "a0"
        assert len(asked) < 50


async def test_facts_of_wide_characters_are_not_cut():
    chat = Conversation().add_user("你好" * 60)
    for name in ("org/模型" + "型" * 20, "org/other"):
        chat = chat.begin_reply(chat.path[0].id, Generation(model=name))
        chat = chat.finish(chat.path[-1].id, Status.STOPPED, text="世界" * 60)
    app = Host(TreeView(chat))
    async with app.run_test(size=(119, 24)) as pilot:
        await pilot.pause()
        tree = app.dialog.query_one(TurnTree)
        rows = [tree.render_line(y).text for y in range(3)]
        assert {cell_len(row) for row in rows} == {tree.scrollable_content_region.width}
        assert "…  stopped · 1/2 · 模型型型型型型型型型型… · " in rows[1]
        # What is known of a turn ends where it ends on all others.
        assert rows[1].endswith(rows[2][-5:])


async def test_the_cursor_passes_rows_of_lines_alone():
    chat = Conversation().add_user("one")
    chat = chat.edit(chat.path[0].id, "two")
    app = Host(TreeView(chat))
    async with app.run_test() as pilot:
        tree = app.dialog.query_one(TurnTree)
        await until(pilot, lambda: tree.cursor_turn is not None)
        await pilot.press("home", "up")
        assert tree.cursor_turn == by_text(chat, "one").id


async def test_what_the_branch_under_the_cursor_says_is_shown_where_there_is_room(chat):
    app = Host(TreeView(chat, by_text(chat, "second answer").id))
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.pause()
        assert "● Assistant" in screen_text(pilot)
        assert "❯ You" in screen_text(pilot)
        await pilot.press("down", "down", "down")
        await pilot.pause()
        assert "❯ You" not in screen_text(pilot)
    app = Host(TreeView(chat))
    async with app.run_test(size=(119, 30)) as pilot:
        await pilot.pause()
        assert not app.dialog.query_one(LongText).display


def test_a_preview_is_shortened(chat):
    long = Conversation().add_user("x" * 5000)
    assert len(preview(long, long.path[0].id)) < 2100
    assert preview(long, long.path[0].id).endswith("x…")


@pytest.mark.parametrize("size", [(44, 12), (80, 24), (120, 40)])
async def test_the_dialog_is_as_tall_as_the_map_needs_and_the_screen_allows(chat, size):
    for long, made in ((False, chat), (True, chain(200, leaves=False))):
        app = Host(TreeView(made))
        async with app.run_test(size=size) as pilot:
            tree, frame = app.dialog.query_one(TurnTree), app.dialog.query_one("#dialog")
            await until(pilot, lambda tree=tree: tree.cursor_turn is not None)
            await until(pilot, lambda: "Esc Close" in screen_text(pilot))
            height = frame.region.height
            assert height <= size[1]
            assert height > 0.8 * size[1] if long else height < max(0.7 * size[1], 14)


async def test_the_title_tells_all_turns_from_those_of_the_current_branch(chat):
    app = Host(TreeView(chat))
    async with app.run_test(size=(120, 40)) as pilot:
        here = len(chat.path)
        await until(pilot, lambda: f"{len(chat.turns)} turns in " in shown(pilot))
        assert f"branches, {here} in the current one" in shown(pilot)
