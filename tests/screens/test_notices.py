"""Passing messages: where they stand, how many there are, and when they go."""

from __future__ import annotations

import pytest
from textual.widgets._toast import Toast

from tests.screens.conftest import WIDE, Desk, ready, until
from tests.screens.host import screen_text
from tui.screens.chat import ui as chat_ui


def told(screen):
    """What is told now."""
    return [one.message for one in screen.app._notifications]


async def test_a_message_stands_above_the_composer_and_beside_the_settings(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.ui.tell("A long message that says something. " * 6, severity="error")
        await until(pilot, lambda: screen.query(Toast) and screen.query_one(Toast).region.height)
        region = screen.query_one(Toast).region
        assert region.bottom <= screen.composer.region.y
        assert region.right <= screen.view.sidebar.region.x


async def test_a_message_does_not_cover_the_matches_of_a_search(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await pilot.press("ctrl+f")
        await until(pilot, lambda: screen.view.find_bar.region.height)
        screen.ui.tell("A long message that says something. " * 6, severity="error")
        await until(pilot, lambda: screen.query(Toast) and screen.query_one(Toast).region.height)
        assert screen.query_one(Toast).region.bottom <= screen.view.find_bar.region.y


async def test_a_message_about_a_chat_does_not_outlive_it(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.ui.tell("careful", severity="warning")
        screen.ui.tell("bad", severity="error")
        await until(pilot, lambda: told(screen) == ["careful", "bad"])
        screen.do("chat.new")
        await until(pilot, lambda: told(screen) == ["bad"])


@pytest.mark.parametrize("width", [60, 98, 120, 200])
async def test_no_word_of_a_message_is_cut(desk: Desk, width):
    async with desk.app().run_test(size=(width, 40), notifications=True) as pilot:
        screen = await ready(pilot)
        words = [f"word{number}" for number in range(40)]
        screen.ui.tell(" ".join(words), severity="error")
        await until(pilot, lambda: all(word in screen_text(pilot) for word in words))


async def test_a_quiet_word_gives_way_to_whatever_follows_and_a_problem_does_not(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.ui.tell("one")
        screen.ui.tell("two")
        await until(pilot, lambda: told(screen) == ["two"])
        screen.ui.tell("bad", severity="error", title="a")
        await until(pilot, lambda: told(screen) == ["bad"])
        screen.ui.tell("three")
        await until(pilot, lambda: told(screen) == ["bad", "three"])
        screen.ui.tell("worse", severity="error", title="a")
        await until(pilot, lambda: told(screen) == ["worse"])
        screen.ui.tell("careful", severity="warning")
        screen.ui.tell("careful", severity="warning")
        await until(pilot, lambda: told(screen) == ["worse", "careful"])


@pytest.mark.parametrize("severity", ["information", "warning", "error"])
async def test_the_next_key_takes_away_what_could_be_read(desk: Desk, monkeypatch, severity):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.ui.tell("read me", severity=severity)
        await pilot.press("a")
        await until(pilot, lambda: told(screen) == ["read me"])
        monkeypatch.setattr(chat_ui, "_SEEN_S", 0.0)
        monkeypatch.setattr(chat_ui, "_READ_S", 0.0)
        await pilot.press("b")
        await until(pilot, lambda: told(screen) == [])
        assert screen.composer.text == "ab"


async def test_what_the_app_itself_says_stays_when_the_screens_messages_go(desk: Desk, monkeypatch):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        pilot.app.notify("a theme is wrong", severity="warning", markup=False)
        await until(pilot, lambda: told(screen) == ["a theme is wrong"])
        screen.ui.tell("one")
        await until(pilot, lambda: told(screen) == ["a theme is wrong", "one"])
        screen.ui.tell("two")
        await until(pilot, lambda: told(screen) == ["a theme is wrong", "two"])
        monkeypatch.setattr(chat_ui, "_SEEN_S", 0.0)
        await pilot.press("a")
        await until(pilot, lambda: told(screen) == ["a theme is wrong"])
        await until(pilot, lambda: len(screen.query(Toast)) == 1)


async def test_no_line_of_a_notification_is_hidden_however_its_words_wrap(desk: Desk):
    async with desk.app().run_test(size=(80, 24), notifications=True) as pilot:
        screen = await ready(pilot)

        def stands_above(text: str) -> bool:
            found = [one for one in screen.query(Toast) if text in str(one.render())]
            return any(0 < one.region.bottom <= screen.composer.region.y for one in found)

        for letters in range(68, 80):
            text = "x" * (letters - 5) + " end."
            screen.ui.tell(text, title="Title", severity="error")
            await until(pilot, lambda text=text: stands_above(text))


async def test_a_message_stays_where_it_is_when_a_dialog_opens(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.ui.tell("The preset was saved.")
        await until(pilot, lambda: screen.query(Toast) and screen.query_one(Toast).region.height)
        before = screen.query_one(Toast).region
        screen.do("theme.choose")
        await until(pilot, lambda: pilot.app.screen.query(Toast))
        assert pilot.app.screen is not screen
        await until(pilot, lambda: pilot.app.screen.query_one(Toast).region == before)
