"""Reading along: following, the badge, searching, links."""

from __future__ import annotations

import threading

import pytest

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.conversation import Conversation
from tui.engine.base import LoadRequest, ReasoningDelta, TextDelta
from tui.screens.ask import Ask
from tui.screens.chat import Start, reading
from tui.screens.chat.reading import can_be_opened
from tui.settings.state import AppState
from tui.widgets.transcript import Transcript

SIZE = (80, 24)
LONG = "\n\n".join(f"paragraph number {count}" for count in range(40))


async def test_scrolling_up_stops_following_and_a_badge_tells_of_new_text(desk: Desk):
    hold = threading.Event()
    engine = ScriptedEngine([LONG, [LONG + " ", "the end"]], hold=hold)
    hold.set()
    async with desk.app(engine).run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "a")
        await answered(pilot, screen, 2)
        hold.clear()
        await say(pilot, "b")
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens > 20)
        await pilot.press("pageup", "pageup")
        hold.set()
        await answered(pilot, screen, 4)
        await until(pilot, lambda: "new text" in shown(pilot))
        assert "the end" not in shown(pilot)
        await pilot.press("ctrl+end")
        await until(pilot, lambda: "the end" in shown(pilot))
        assert "new text" not in shown(pilot)


async def test_ctrl_f_finds_words_in_the_chat_and_steps_through_them(desk: Desk):
    async with desk.app(ScriptedEngine([LONG])).run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "number")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+f", *"number 3")
        await until(pilot, lambda: "/11" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: "number 3" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: screen.focused is screen.composer)
        assert "/11" not in shown(pilot)


async def test_the_command_searches_for_its_words(desk: Desk):
    async with desk.app(ScriptedEngine(["a cat and a cat"])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await say(pilot, "/find cat")
        await until(pilot, lambda: "2/2" in shown(pilot))
        assert screen.query_one("#find-words").value == "cat"
        assert screen.focused is screen.query_one("#find-words")


async def test_escape_ends_a_search_that_was_left_with_shift_tab(desk: Desk):
    async with desk.app(ScriptedEngine([LONG])).run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "number")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+f", *"number 3")
        await until(pilot, lambda: "/11" in shown(pilot))
        await pilot.press("shift+tab", "escape")
        await until(pilot, lambda: "/11" not in shown(pilot))
        assert screen.focused is screen.composer


async def test_ctrl_l_shows_line_numbers_in_code(desk: Desk):
    async with desk.app(ScriptedEngine(["```\nalpha\nbeta\n```"])).run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "code")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "beta" in shown(pilot))
        lines = [line for line in shown(pilot).splitlines() if "beta" in line]
        assert not any("2" in line for line in lines)
        await pilot.press("ctrl+l")
        await until(
            pilot, lambda: any("2" in line for line in shown(pilot).splitlines() if "beta" in line)
        )


async def test_up_scrolls_within_a_turn_that_is_taller_than_the_screen(desk: Desk):
    async with desk.app(ScriptedEngine([LONG])).run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "long")
        await answered(pilot, screen, 2)
        await pilot.press("alt+up")
        await until(pilot, lambda: "number 39" in shown(pilot))
        await pilot.press(*["up"] * 5)
        await until(pilot, lambda: "number 39" not in shown(pilot))
        assert screen.view.transcript.cursor == screen.conversation.path[-1].id
        await pilot.press(*["down"] * 8)
        await until(pilot, lambda: screen.focused is screen.composer)


async def test_a_link_shows_its_address_before_it_is_opened(desk: Desk, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr(reading, "open_address", lambda url: opened.append(url) or True)
    async with desk.app().run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.view.transcript.post_message(Transcript.LinkClicked("https://example.org/a?b=c"))
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await until(pilot, lambda: "https://example.org/a?b=c" in shown(pilot))
        assert not opened
        await pilot.press("o")
        await until(pilot, lambda: bool(opened))
    assert opened == ["https://example.org/a?b=c"]


async def test_where_no_browser_can_be_opened_the_address_is_copied(desk: Desk, monkeypatch):
    monkeypatch.setattr(reading, "open_address", lambda _: False)
    async with desk.app().run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.view.transcript.post_message(Transcript.LinkClicked("https://example.org/a?b=c"))
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("o")
        await until(pilot, lambda: "No browser could be opened here" in shown(pilot))
        assert pilot.app.clipboard == "https://example.org/a?b=c"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://example.org", True),
        ("mailto:a@example.org", True),
        ("file:///etc/passwd", False),
        ("javascript:alert(1)", False),
        ("https://example.org/\x1b]0;x\x07", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_only_plain_web_and_mail_addresses_are_handed_to_the_browser(url, may):
    assert can_be_opened(url) is may


async def test_how_long_the_model_thought_is_told_when_the_answer_begins(desk: Desk):
    hold = threading.Event()
    thought = [ReasoningDelta(word, 1) for word in ("first ", "second ", "third")]
    engine = ScriptedEngine([[*thought, TextDelta("answer ", 1), TextDelta("end", 1)]], word_s=0.05)
    engine.hold = hold
    async with desk.app(engine).run_test(size=SIZE) as pilot:
        await ready(pilot)
        await say(pilot, "think")
        await until(pilot, lambda: "answer" in shown(pilot))
        assert "Thought for" in shown(pilot)
        assert "3 tokens" in shown(pilot)
        hold.set()


async def test_a_title_that_is_the_first_message_is_not_shown_and_marks_are(desk: Desk) -> None:
    async with desk.app(ScriptedEngine(["answer"])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        assert str(screen.view.title.content) == "New chat"
        await say(pilot, "What is a monad?")
        await answered(pilot, screen, 2)
        assert str(screen.view.title.content) == ""
        assert not screen.view.title.display, "its row is the chat's"
        screen.core.session.rename("Monads")
        assert str(screen.view.title.content) == "Monads"
        assert screen.view.title.display


async def test_a_chat_that_the_app_begins_with_has_no_blank_title(desk: Desk) -> None:
    chat = Conversation().add_user("What is a monad?")
    store = desk.store
    store.save(chat)
    store.close()
    start = Start(desk.store.load(chat.id), LoadRequest("scripted"))
    async with desk.app(start=start).run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        assert str(screen.view.title.content) == ""
        assert not screen.view.title.display


async def test_a_temporary_chat_says_so_though_its_title_is_its_first_message(desk: Desk) -> None:
    async with desk.app(ScriptedEngine(["answer"])).run_test(size=(60, 14)) as pilot:
        screen = await ready(pilot)
        screen.do("chat.temporary")
        await say(pilot, "What is a monad?")
        await answered(pilot, screen, 2)
        assert str(screen.view.title.content) == "(temporary: not saved)"
        assert screen.view.title.display


async def test_the_title_begins_where_the_text_of_turns_does(desk: Desk) -> None:
    for width in (60, 98, 110, 111, 140):
        app = desk.app(ScriptedEngine(["answer"]), state=AppState(sidebar=False))
        async with app.run_test(size=(width, 30)) as pilot:
            screen = await ready(pilot)
            await say(pilot, "What?")
            await answered(pilot, screen, 2)
            screen.core.session.rename("Title")
            await until(pilot, lambda: "Title" in shown(pilot))
            rows = shown(pilot).splitlines()
            title = next(row for row in rows if "Title" in row)
            assert title.index("Title") == next(r for r in rows if " You" in r).index("You"), width


async def test_a_reply_counts_its_tokens_in_its_head_while_it_is_written(desk: Desk) -> None:
    go = threading.Event()
    engine = ScriptedEngine(["some words more"], hold=go)
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "What?")
        await until(pilot, lambda: "some words" in shown(pilot) and "▍" in shown(pilot))
        await until(pilot, lambda: "2 tokens" in shown(pilot))
        go.set()
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "3 tokens" in shown(pilot))
        assert "▍" not in shown(pilot).split("some words more")[1].splitlines()[0]
