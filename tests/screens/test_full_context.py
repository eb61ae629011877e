"""A chat that no longer fits: the user chooses, sees what was left out, and loses nothing."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, send, shown, until
from tests.scripted import ScriptedEngine
from tui.conversation.context import OverflowPolicy
from tui.engine.base import ContextOverflowError, GenerateRequest, Overflow
from tui.screens.ask import Ask
from tui.settings.state import AppState

CONTEXT = 40


def full(request: GenerateRequest) -> None:
    """Refuse a request as an engine does whose context holds `CONTEXT` words."""
    costs = tuple(len(message.content.split()) for message in request.messages)
    asked = request.messages[-1].content
    if sum(costs) > CONTEXT and not asked.startswith("Summarize"):
        raise ContextOverflowError(Overflow(sum(costs), CONTEXT, costs))


def engine(*replies: str) -> ScriptedEngine:
    made = ScriptedEngine(
        replies or ("ten words that take the room of ten words here",), on_generate=full
    )
    made.info = replace(made.info, context_tokens=CONTEXT)
    return made


LONG = "one two three four five six seven eight nine ten"


async def fill(pilot, screen, exchanges: int) -> None:
    for count in range(exchanges):
        send(screen, LONG)
        await answered(pilot, screen, 2 * count + 2)


async def test_letters_answer_no_question_that_comes_up_by_itself(desk: Desk):
    # One at a time, as somebody types who is looking for the keys.
    async with desk.app(engine()).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await fill(pilot, screen, 2)
        send(screen, LONG)
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        for letter in "sokl":
            await pilot.press(letter)
            await pilot.pause()
        assert isinstance(pilot.app.screen, Ask)
        assert screen.composer.text == "sokl"
        assert "(o)" not in shown(pilot)
        assert "(Alt+O)" in shown(pilot)
        assert not screen.conversation.unseen
        await pilot.press("alt+o")
        await until(pilot, lambda: screen.conversation.unseen)


async def test_a_full_context_stops_and_asks(desk: Desk):
    async with desk.app(engine()).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await fill(pilot, screen, 2)
        send(screen, LONG)
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await until(pilot, lambda: "50 tokens" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert [turn.text for turn in screen.conversation.path][-1] == LONG
        assert screen.reply is None
        assert not screen.conversation.unseen


@pytest.mark.parametrize(
    ("policy", "kept"),
    [(OverflowPolicy.DROP_OLDEST, [4]), (OverflowPolicy.KEEP_ENDS, [0, 1, 4])],
)
async def test_a_policy_leaves_turns_out_dims_them_and_answers(desk: Desk, policy, kept):
    state = AppState(overflow=policy.value)
    scripted = engine()
    async with desk.app(scripted, state=state).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await fill(pilot, screen, 2)
        send(screen, LONG)
        await answered(pilot, screen, 6)
        path = screen.conversation.path
        assert [
            place for place in range(5) if path[place].id not in screen.conversation.unseen
        ] == kept
        assert len(scripted.requests[-1].messages) == len(kept)
        assert [turn.in_context for turn in screen.view.transcript.turns].count(False) == 5 - len(
            kept
        )
        await until(pilot, lambda: "left out" in shown(pilot))
        assert len(desk.store.load(screen.conversation.id, lock=False).conversation.path) == 6
        screen.do("chat.see_all")
        assert not screen.conversation.unseen


async def test_summarizing_tells_the_model_what_was_said(desk: Desk):
    scripted = engine(LONG, LONG, "They counted.", "They counted to ten twice.", "fine")
    state = AppState(overflow="summarize")
    async with desk.app(scripted, state=state).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await fill(pilot, screen, 2)
        send(screen, LONG)
        await answered(pilot, screen, 6)
        first = scripted.requests[-1].messages[0]
        assert first.role == "system"
        assert "They counted to ten twice." in first.content
        assert screen.conversation.path[-1].text == "fine"
        await pilot.press("f8", "f8")
        assert not screen.conversation.summary
        assert not screen.conversation.unseen


async def test_what_is_too_long_to_summarize_at_once_is_summarized_in_parts(desk: Desk):
    summaries = ["First part.", "Two parts.", "All parts.", "fine"]
    scripted = engine(*[LONG] * 3, *summaries)
    state = AppState(overflow="summarize")
    async with desk.app(scripted, state=state).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        scripted.on_generate = None
        await fill(pilot, screen, 3)
        scripted.on_generate = full
        send(screen, LONG)
        await answered(pilot, screen, 8)
        so_far = [request.messages[0].content for request in scripted.requests[-3:-1]]
        assert so_far == ["First part.", "Two parts."]
        assert screen.conversation.summary == "All parts."
        assert screen.conversation.path[-1].text == "fine"


async def test_a_message_that_alone_is_too_long_is_never_cut(desk: Desk):
    scripted = engine()
    state = AppState(overflow="drop-oldest")
    async with desk.app(scripted, state=state).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        text = " ".join([LONG] * 6)
        send(screen, text)
        await until(pilot, lambda: "alone has 60 tokens" in shown(pilot))
        await until(pilot, lambda: screen.composer.text == text)
        assert not screen.conversation.path
        assert screen.reply is None
        # It is in the message box, so redo has nothing to add it from.
        await pilot.press("f9")
        await until(pilot, lambda: "There is nothing to redo." in shown(pilot))
        assert not screen.conversation.path
        assert screen.composer.text == text


async def test_a_message_that_is_known_to_be_too_long_is_not_sent(desk: Desk):
    scripted = engine()
    async with desk.app(scripted).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        text = " ".join([LONG] * 6)
        screen.composer.take_typed(text)
        await until(pilot, lambda: "The message is too long" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: screen.composer.text == text)
        assert not scripted.requests
        assert not screen.conversation.path
        assert shown(pilot).count("too long") == 1


async def test_the_meter_counts_while_one_types(desk: Desk):
    async with desk.app(ScriptedEngine()).run_test(size=(160, 40)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "x")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: " 11/2k" in shown(pilot))
        await pilot.press(*"one", "space", *"two", "space", *"three")
        await until(pilot, lambda: " 18/2k" in shown(pilot))


async def test_summarizing_shows_that_it_works_and_escape_stops_it(desk: Desk):
    scripted = engine(LONG, LONG, "They counted.", "fine")
    state = AppState(overflow="summarize")
    async with desk.app(scripted, state=state).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await fill(pilot, screen, 2)
        scripted.hold = threading.Event()
        send(screen, LONG)
        await until(pilot, lambda: "summarizing part 1/2" in shown(pilot))
        await until(pilot, lambda: "Stop" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: not screen.can_do("reply.stop"))
        await until(pilot, lambda: "summarizing part" not in shown(pilot))
        assert not screen.conversation.unseen
