"""The main states of the screen, as a user sees them, text and colors: each is a file in `snapshots/`.

    UPDATE_SNAPSHOTS=1 make test ARGS=tests/screens/test_snapshots.py

writes the files anew; the diff of them is what a change does to the screen.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.conftest import Desk, answered, ready, send, shown, still, until
from tests.screens.frames import Frame, difference, frame_of, written
from tests.screens.test_full_context import LONG
from tests.screens.test_full_context import engine as small_context
from tests.screens.test_turns import cursor_on
from tests.scripted import ScriptedEngine
from tui.chat import live_reply
from tui.conversation import Conversation, Generation, Status
from tui.engine import catalog
from tui.engine.base import Finished, ReasoningDelta
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.facts import ModelFacts
from tui.engine.quantization import Availability
from tui.screens import presenting, session_rows
from tui.screens.ask import Ask
from tui.screens.chat import ChatScreen
from tui.screens.help import HelpScreen
from tui.screens.models import rows
from tui.screens.models.picker import ModelPicker
from tui.screens.session_list import SessionList
from tui.settings.state import AppState
from tui.widgets import setting_groups
from tui.widgets.editor import Editor
from tui.widgets.turn_editor import TurnEditor

FOLDER: Final = Path(__file__).parent / "snapshots"
SMALL, WIDE = (80, 24), (120, 40)
NOON: Final = 1_772_539_200.0
"""Noon of 3 March 2026 in UTC, at which all snapshots are taken."""
REST_S: Final = 2.0
"""How long a screen stays as it is before it is written to a file."""
MARKDOWN: Final = """\
A generator **makes values on demand**, and `yield` hands out one of them:

```python
def squares(limit: int):
    for number in range(limit):
        yield number**2  # and waits here
```

| Call | Memory |
|---|---:|
| `list(squares(9))` | *all* of them |
| `next(squares(9))` | one |

1. It remembers where it was.
2. It ends by itself; see [the docs](https://docs.python.org/3/).

> Laziness is a virtue.
"""

Seen = Callable[[Pilot[Any]], Awaitable[None]]


class Thoughtful(ScriptedEngine):
    """Says how long it thought."""

    def generate(self, request, emit, cancelled):
        done = super().generate(request, emit, cancelled)
        stats = replace(done.stats, reasoning_s=3.2, reasoning_tokens=12)
        return Finished(stats, done.reason)


def clock_stopped_at_noon() -> SimpleNamespace:
    """Return a `time` in which it is noon, and whatever happens while a test runs happens then."""

    def localtime(at: float = NOON) -> time.struct_time:
        return time.gmtime(min(at, NOON))

    return SimpleNamespace(localtime=localtime, strftime=time.strftime, monotonic=lambda: NOON)


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same hour, terminal, libraries and cursor everywhere."""
    for module in (presenting, session_rows, live_reply):
        monkeypatch.setattr(module, "time", clock_stopped_at_noon())
    for module in (rows, setting_groups):
        monkeypatch.setattr(module, "availability", lambda _name, _device: Availability())
    monkeypatch.setattr(Editor, "_toggle_cursor_blink_visible", lambda _self: None)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Seen:
    """Compares what is on the screen with the test's file."""
    name = re.sub(r"\W+", "_", request.node.name.removeprefix("test_")).strip("_")

    async def compare(pilot: Pilot[Any]) -> None:
        await matches(pilot, FOLDER / f"{name}.txt")

    return compare


async def matches(pilot: Pilot[Any], file: Path, wait_s: float = 10.0) -> None:
    """Hold the screen against a file, or write it if that is asked for."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if os.environ.get("UPDATE_SNAPSHOTS"):
        await at_rest(pilot)
        file.write_text(written(frame_of(pilot.app), before), encoding="utf-8")
        return
    # Tokens are counted and code is colored a moment later.
    with contextlib.suppress(AssertionError):
        await until(pilot, lambda: not difference(before, frame_of(pilot.app)), wait_s)
    if told := difference(before, frame_of(pilot.app)):
        pytest.fail(
            f"The screen is not as {file.parent.name}/{file.name} has it:\n\n{told}\n\nIf it is as it should be now:\n\n"
            "    UPDATE_SNAPSHOTS=1 make test ARGS=tests/screens/test_snapshots.py",
            pytrace=False,
        )


async def at_rest(pilot: Pilot[Any]) -> None:
    """Wait until the screen stays as it is, for a file that is to be kept."""
    before = None
    while before != (before := frame_of(pilot.app)):
        await pilot.pause(REST_S)


@asynccontextmanager
async def chatting(
    desk: Desk,
    *said: str,
    size: tuple[int, int] = SMALL,
    engine: ScriptedEngine | None = None,
    **settings: Any,
):
    """The app in a theme with a name, and in it a chat in which all that was said is answered."""
    app = desk.app(
        engine,
        state=AppState(toured=True),
        command_line={"screen.theme": "ember-dark", **settings},
    )
    async with app.run_test(size=size) as pilot:
        screen = await ready(pilot)
        for count, text in enumerate(said, start=1):
            send(screen, text)
            await answered(pilot, screen, 2 * count)
        await still(pilot, screen)
        yield pilot, screen
    app.close()


async def sent(pilot: Pilot[Any], screen: ChatScreen, text: str, tokens: int) -> None:
    """Send a message, and wait until as many tokens of the reply are there."""
    send(screen, text)
    await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens == tokens)


def held(*replies: object) -> ScriptedEngine:
    """An engine that waits before the last word of a reply."""
    return ScriptedEngine(replies, hold=threading.Event())


@pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "120x40"])
async def test_an_empty_chat(desk: Desk, seen: Seen, size):
    async with chatting(desk, size=size) as (pilot, _):
        await seen(pilot)


async def test_the_very_first_start(desk: Desk, seen: Seen):
    app = desk.app(command_line={"screen.theme": "ember-dark"})
    async with app.run_test(size=SMALL) as pilot:
        await still(pilot, await ready(pilot))
        await seen(pilot)


async def test_a_reply_with_reasoning_markdown_code_and_a_table(desk: Desk, seen: Seen):
    engine = Thoughtful([[ReasoningDelta("They want "), ReasoningDelta("an example."), MARKDOWN]])
    async with chatting(desk, "What is a generator?", size=WIDE, engine=engine) as (pilot, _):
        await seen(pilot)


async def test_a_reply_that_is_being_written(desk: Desk, seen: Seen):
    async with chatting(desk, engine=held("Some words are here, and the last")) as (pilot, screen):
        await sent(pilot, screen, "Say something.", 6)
        await seen(pilot)


async def test_a_reply_that_was_stopped(desk: Desk, seen: Seen):
    async with chatting(desk, engine=held("What was said stays")) as (pilot, screen):
        await sent(pilot, screen, "Say something.", 3)
        await pilot.press("escape")
        await answered(pilot, screen, 2)
        await seen(pilot)


async def test_a_message_that_waits_for_the_reply_before_it(desk: Desk, seen: Seen):
    async with chatting(desk, engine=held("Not done yet")) as (pilot, screen):
        await sent(pilot, screen, "Say something.", 2)
        screen.composer.set_text("And something else.")
        await pilot.press("enter")
        await until(pilot, lambda: "next: And something else." in shown(pilot))
        await seen(pilot)


async def test_the_cursor_on_a_turn(desk: Desk, seen: Seen):
    async with chatting(desk, "First question.", "Second one.") as (pilot, screen):
        await cursor_on(pilot, screen, 1)
        await seen(pilot)


async def test_a_turn_that_is_edited_in_place(desk: Desk, seen: Seen):
    async with chatting(desk, "How hot is tea?") as (pilot, screen):
        await cursor_on(pilot, screen, 0)
        await pilot.press("e", *" Green")
        await until(pilot, lambda: screen.query_one(TurnEditor).text == "How hot is tea? Green")
        await seen(pilot)


async def test_the_list_of_commands(desk: Desk, seen: Seen):
    async with chatting(desk) as (pilot, screen):
        await pilot.press("slash", "s", "down")
        await until(pilot, lambda: screen.composer.menu_open)
        await seen(pilot)


async def test_the_sidebar_over_a_chat_on_a_narrow_screen(desk: Desk, seen: Seen):
    async with chatting(desk, "How hot is tea?") as (pilot, screen):
        await pilot.press("f2")
        await until(pilot, lambda: screen.has_class("-sidebar"))
        await seen(pilot)


async def test_a_question(desk: Desk, seen: Seen):
    async with chatting(desk, LONG, LONG, engine=small_context()) as (pilot, screen):
        send(screen, LONG)
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await seen(pilot)


async def test_the_list_of_chats(desk: Desk, seen: Seen):
    for day, question in enumerate(("How is bread baked?", "Why is the sky blue?")):
        chat = Conversation().add_user(question)
        chat = chat.begin_reply(chat.path[-1].id, Generation(model="org/some-model"))
        chat = chat.finish(chat.path[-1].id, Status.COMPLETE, text="With patience.")
        chat = replace(chat, updated_at=NOON - (400 - 399 * day) * 86_400)
        desk.store.save(chat)
        desk.store.unlock(chat.id)
    async with chatting(desk, "How hot is tea?") as (pilot, _):
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SessionList))
        await until(pilot, lambda: "3 chats" in shown(pilot))
        await seen(pilot)


async def test_the_models_of_this_machine(desk: Desk, seen: Seen, monkeypatch):
    small, large = (
        ModelSource(f"org/{name}", ModelKind.HUB, f"org/{name}", name, gigabytes * 2**30)
        for name, gigabytes in (("small-1b", 2), ("large-32b", 64))
    )
    facts = {
        one.model: ModelFacts(
            architecture="llama",
            parameters=one.size_bytes // 2,
            linears={(4096, 4096): one.size_bytes // 2**25},
            other_weights=one.size_bytes // 2 % 2**24,
            dtype="bfloat16",
            layers=16,
            kv_heads=8,
            head_dim=64,
            context_tokens=8192,
            has_template=True,
        )
        for one in (small, large)
    }
    monkeypatch.setattr(catalog, "local_models", lambda _folders: [small, large])
    monkeypatch.setattr(catalog, "is_complete", lambda one: one is small)
    monkeypatch.setattr(catalog, "facts", lambda one: facts[one.model])
    async with chatting(desk) as (pilot, _):
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
        await until(pilot, lambda: "fits" in shown(pilot) and "too big" in shown(pilot))
        await seen(pilot)


async def test_help(desk: Desk, seen: Seen):
    async with chatting(desk) as (pilot, _):
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
        await seen(pilot)


@pytest.mark.parametrize(
    "settings",
    [{"screen.theme": "ember-light"}, {"screen.plain": True}, {"screen.ascii": True}],
    ids=["light", "plain", "ascii"],
)
async def test_a_reply_in_another_look(desk: Desk, seen: Seen, settings):
    engine = ScriptedEngine([MARKDOWN.partition("\n\n|")[0]])
    async with chatting(desk, "A generator?", engine=engine, **settings) as (pilot, _):
        await seen(pilot)


def changes(told: str) -> list[str]:
    """Return the lines that a diff takes away and adds."""
    return [line for line in told.splitlines() if line[:1] in ("+", "-")][2:]


async def test_a_color_that_changed_is_refused_and_is_one_line_of_the_diff(
    desk: Desk, tmp_path, monkeypatch
):
    monkeypatch.delenv("UPDATE_SNAPSHOTS", raising=False)
    file = tmp_path / "chat.txt"
    async with chatting(desk) as (pilot, screen):
        before = written(frame_of(pilot.app))
        file.write_text(before, encoding="utf-8")
        await matches(pilot, file)
        screen.view.title.styles.color = "#ff0000"
        await until(pilot, lambda: difference(before, frame_of(pilot.app)))
        with pytest.raises(pytest.fail.Exception, match="UPDATE_SNAPSHOTS=1") as refused:
            await matches(pilot, file, 0)
        after = written(frame_of(pilot.app), before)
    assert changes(str(refused.value)) == [
        "-a #a89f92 on #191715 bold",
        "+a #ff0000 on #191715 bold",
    ]
    assert after == before.replace("a #a89f92", "a #ff0000", 1)


def test_what_is_new_on_a_screen_takes_no_sign_from_what_was_there():
    title, ground, badge = "#fff on #000 bold", "on #000", "#f00 on #000"
    before = written(Frame(("", "title"), ((ground,) * 9, (title,) * 5 + (ground,) * 4)))
    after = Frame(("new", "title"), ((badge,) * 3 + (ground,) * 6, (title,) * 5 + (ground,) * 4))
    assert changes(difference(before, after)) == [
        *("-01|", "+01|new"),
        *("-01|", "+01|bbb"),
        "+b #f00 on #000",
    ]


def test_every_snapshot_is_one_of_a_test():
    tests = [name.removeprefix("test_") for name in globals() if name.startswith("test_")]
    for file in FOLDER.iterdir():
        assert any(file.stem.startswith(name) for name in tests), file.name
