"""A chat with code on which a lexer never ends opens like any other, and other code in it has its colors."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from tests.highlighting.hostile import KNOWN
from tests.screens.conftest import Desk, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.conversation import Conversation, Turn, new_id
from tui.engine.base import LoadRequest

SIZE = (120, 60)


@pytest.fixture
def frozen(desk: Desk) -> Start:
    """A saved chat that froze the app when its lexers ran in the screen's thread."""
    fences = "\n\n".join(f"```{name}\n{code}\n```" for name, code in KNOWN.items())
    asked = Turn(new_id(), None, "user", "Some code, please", 1.7e9)
    text = f"```python\nif begin:\n    pass\n```\n\n{fences}\n\n```python\nif end:\n    pass\n```\n"
    answered = Turn(new_id(), asked.id, "assistant", text, 1.7e9 + 1)
    chat = Conversation(title="frozen", turns={turn.id: turn for turn in (asked, answered)})
    desk.store.save(chat)
    return Start(desk.store.load(chat.id), LoadRequest("scripted"))


def colors_of(pilot: Pilot, needle: str) -> set[object]:
    """The colors in which the row that has `needle` in it is shown; none if it is out of sight."""
    for strip in pilot.app.screen._compositor.render_strips():
        if needle in strip.text:
            code = strip.text.partition(needle)[0].rpartition("▏")
            return {
                one.style.color
                for one in strip.crop(len(code[0]) + 2, len(code[0]) + 2 + len(needle))
                if one.style and one.text.strip()
            }
    return set()


async def test_it_opens_and_other_code_has_its_colors(desk, frozen):
    app = desk.app(start=frozen)
    async with app.run_test(size=SIZE) as pilot:
        await ready(pilot)
        assert "if end:" in shown(pilot)
        await until(pilot, lambda: len(colors_of(pilot, "if end:")) > 1, 60)
        await until(pilot, lambda: app.screen.view.transcript._colors.wait(0), 60)
        await pilot.pause()
        app.screen.view.transcript.scroll_home(animate=False)
        await until(pilot, lambda: len(colors_of(pilot, "if begin:")) > 1, 60)
        assert len(colors_of(pilot, "<!--<!--")) == 1


async def test_a_reply_that_would_have_frozen_the_app_comes_to_its_end(desk):
    code = "```mcschema\n<!--<!--\n```\n\n```python\nif end:\n```\n\nDone."
    app = desk.app(ScriptedEngine([code]))
    async with app.run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "go")
        await until(pilot, lambda: screen.reply is None and "Done." in shown(pilot), 60)
        await until(pilot, lambda: len(colors_of(pilot, "if end:")) > 1, 60)
        assert len(colors_of(pilot, "<!--<!--")) == 1
        # The app hears keys all the while.
        await say(pilot, "still here")
        await until(pilot, lambda: "still here" in shown(pilot))
