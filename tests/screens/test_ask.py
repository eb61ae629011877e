from __future__ import annotations

import pytest

from tests.screens.host import OPEN, Host, screen_text, type_text, until
from tui.chat.ui import Answer
from tui.screens.ask import Ask, AskText

ANSWERS = [Answer("keep", "Keep", "k"), Answer("delete", "Delete", "d", "error")]


@pytest.mark.parametrize(
    ("keys", "result"),
    [
        (["k"], "keep"),
        # No letter destroys anything.
        (["d"], OPEN),
        (["enter"], "keep"),
        (["right", "enter"], "delete"),
        (["tab", "enter"], "delete"),
        (["escape"], None),
        (["x"], OPEN),
    ],
)
async def test_a_question_is_answered_by_key(keys, result):
    app = Host(Ask("Delete?", "It is gone then.", ANSWERS))
    async with app.run_test() as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.result is result or app.result == result


async def test_a_question_is_answered_with_the_mouse():
    app = Host(Ask("Delete?", "", ANSWERS))
    async with app.run_test() as pilot:
        await pilot.click("#answer-delete")
        await pilot.pause()
        assert app.result == "delete"


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_four_answers_are_all_in_sight_on_any_screen(size):
    labels = ["Drop the oldest turns", "Keep first and last", "Summarize", "Stop and ask me again"]
    app = Host(
        Ask("Full", "It no longer fits.", [Answer(f"a{i}", s) for i, s in enumerate(labels)])
    )
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        text = screen_text(pilot)
        assert all(label in text for label in labels)


@pytest.mark.parametrize("size", [(44, 12), (80, 24), (120, 40)])
@pytest.mark.parametrize("lines", [1, 30])
async def test_answers_are_in_sight_however_long_the_question_is(size, lines):
    labels = ["Leave it as it is", "Leave out the oldest", "Keep first and last", "Summarize"]
    answers = [Answer(f"a{i}", s) for i, s in enumerate(labels)]
    app = Host(Ask("Full", "\n".join(f"line {n}" for n in range(lines)), answers))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "Esc Leave it as it is" in screen_text(pilot))
        await until(pilot, lambda: all(label in screen_text(pilot) for label in labels))
        text = screen_text(pilot)
        assert "Full" in text
        assert "line 0" in text
        assert app.dialog.focused.id == "answer-a0"
        if lines > 1:
            await pilot.press("shift+tab", "end")
            await until(pilot, lambda: "line 29" in screen_text(pilot))
            await pilot.press("tab", "enter")
            await until(pilot, lambda: app.result == "a0")


@pytest.mark.parametrize("marked", [None, 1])
async def test_escape_says_what_it_amounts_to(marked):
    answers = [Answer("go", "Go on", "g"), Answer("stay", "Stay here", "s", is_escape=marked == 1)]
    app = Host(Ask("Leave?", "", answers))
    async with app.run_test(size=(80, 24)) as pilot:
        said = "Esc Stay here" if marked else "Esc Go on"
        await until(pilot, lambda: said in screen_text(pilot))


async def test_tab_completes_a_path(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    (tmp_path / "models.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    app = Host(AskText("Add a folder", is_path=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await type_text(pilot, "mo")
        await pilot.press("tab")
        await until(pilot, lambda: "models/" in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "models/")


async def test_what_is_asked_is_shown_as_it_is_and_never_as_markup():
    app = Host(Ask("[b]Bold[/b]?", "\x1b[31mred[/nothing]", ANSWERS))
    async with app.run_test() as pilot:
        text = screen_text(pilot)
        assert "[b]Bold[/b]?" in text
        assert "␛[31mred[/nothing]" in text


async def test_a_text_is_changed_and_returned():
    app = Host(AskText("Rename", "Sky"))
    async with app.run_test() as pilot:
        await pilot.press("end")
        await type_text(pilot, " blue")
        await pilot.press("enter")
        await pilot.pause()
        assert app.result == "Sky blue"


async def test_a_text_that_is_refused_stays_with_the_reason_until_it_is_changed():
    app = Host(AskText("Rename", check=lambda text: None if text else "Type [a] title."))
    async with app.run_test() as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert app.result is OPEN
        assert "Type [a] title." in screen_text(pilot)
        await pilot.press("x")
        await pilot.pause()
        assert "Type [a] title." not in screen_text(pilot)
        await pilot.press("enter")
        await pilot.pause()
        assert app.result == "x"


async def test_escape_returns_no_text():
    app = Host(AskText("Rename", "Sky"))
    async with app.run_test() as pilot:
        await pilot.press("escape")
        await pilot.pause()
        assert app.result is None


async def test_a_text_of_several_lines_takes_enter_as_its_end():
    app = Host(AskText("Prompt", "one", multiline=True))
    async with app.run_test() as pilot:
        await pilot.press("ctrl+j")
        await type_text(pilot, "two")
        await pilot.press("enter")
        await pilot.pause()
        assert app.result == "one\ntwo"


async def test_the_keys_can_be_clicked():
    app = Host(AskText("Rename", "Sky"))
    async with app.run_test() as pilot:
        await pilot.click("KeyHints", offset=(1, 0))
        await pilot.pause()
        assert app.result == "Sky"
