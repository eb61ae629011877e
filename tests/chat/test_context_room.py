from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chat.desk import Desk, desk
from tests.scripted import ScriptedEngine
from tui.conversation.context import OverflowPolicy
from tui.engine.base import ContextOverflowError, Overflow

CONTEXT = 40
EVERY = ["cancel", *(one for one in OverflowPolicy if one is not OverflowPolicy.ASK)]


def too_long(*costs: int, overhead: int = 10) -> ContextOverflowError:
    """A prompt of messages that take `costs` tokens, for a model that takes `CONTEXT`."""
    return ContextOverflowError(Overflow(sum(costs) + overhead, CONTEXT, costs))


async def third_message(one: Desk) -> None:
    """Send three messages, the last of which does not fit."""
    await one.load()
    for text in ("1", "2", "3"):
        await one.say(text)
    await one.still()


@pytest.mark.parametrize(
    ("costs", "offered"),
    [
        ((4, 4, 10, 10, 10), EVERY),
        # What stays of the first exchange is too much beside the last message.
        ((15, 15, 5, 5, 15), ["cancel", OverflowPolicy.DROP_OLDEST, OverflowPolicy.SUMMARIZE]),
        # A turn that is longer than the context can't be summarized.
        ((50, 5, 5, 5, 5), ["cancel", OverflowPolicy.DROP_OLDEST]),
    ],
)
async def test_only_what_makes_enough_room_is_offered(tmp_path, costs, offered):
    engine = ScriptedEngine(["a", "b", too_long(*costs), "c"])
    async with desk(tmp_path, engine) as one:
        one.person.answers = ["cancel"]
        await third_message(one)
        assert [sorted(ids) for ids in one.person.offered] == [sorted(offered)]
        assert one.texts == ["1", "a", "2", "b", "3"]


@pytest.mark.parametrize("policy", list(OverflowPolicy))
async def test_where_the_last_message_alone_does_not_fit_what_would_help_is_said_and_nothing_left_out(
    tmp_path, policy
):
    engine = ScriptedEngine(["a", "b", too_long(5, 5, 5, 5, 35)])
    async with desk(tmp_path, engine) as one:
        one.core.settings.set_overflow(policy)
        await third_message(one)
        assert not one.person.asked
        assert "Your message alone has 45 tokens" in one.person.told[-1]
        assert (
            "Shorten it or attach less, or load a model with a longer context."
            in one.person.told[-1]
        )
        assert not one.core.session.conversation.unseen


async def test_a_system_prompt_that_alone_does_not_fit_is_named(tmp_path):
    engine = ScriptedEngine(["a", "b", too_long(5, 5, 5, 5, 5, overhead=50)])
    async with desk(tmp_path, engine) as one:
        await third_message(one)
        assert not one.person.asked
        assert "The system prompt alone has 50 tokens" in one.person.told[-1]


async def test_a_rule_that_does_not_help_gives_way_to_a_question(tmp_path):
    engine = ScriptedEngine(["a", "b", too_long(15, 15, 5, 5, 15), "c"])
    async with desk(tmp_path, engine) as one:
        one.core.settings.set_overflow(OverflowPolicy.KEEP_ENDS)
        one.person.answers = [OverflowPolicy.DROP_OLDEST]
        await third_message(one)
        assert one.texts[-1] == "c"
        assert one.core.session.conversation.unseen


async def test_a_draft_that_alone_does_not_fit_is_told_of_once_before_it_is_sent(tmp_path):
    engine = ScriptedEngine()
    engine.info = replace(engine.info, context_tokens=CONTEXT)
    async with desk(tmp_path, engine) as one:
        counting = one.core.counting

        async def counted(draft: str) -> None:
            one.draft = draft
            counting.draft_tokens = None
            counting.touch()
            await one.until(lambda: counting.draft_tokens)
            await one.still()

        await one.load()
        await counted("word " * 10)
        assert not one.person.told
        for more in (100, 101):
            await counted("word " * more)
        (told,) = one.person.told
        assert "limited to 40" in told
        assert "Shorten it or attach less, or load a model with a longer context." in told
        await counted("word")
        await counted("word " * 100)
        assert len(one.person.told) == 2


async def test_a_draft_that_fits_without_what_was_said_before_is_not_told_of(tmp_path):
    engine = ScriptedEngine(["word " * 100])
    engine.info = replace(engine.info, context_tokens=CONTEXT)
    async with desk(tmp_path, engine) as one:
        await one.load()
        await one.say("x")
        one.draft = "word"
        one.core.counting.touch()
        await one.until(lambda: one.core.counting.draft_tokens)
        await one.still()
        assert not one.person.told


async def test_a_message_that_fits_no_context_is_taken_out_of_the_chat_and_given_back(tmp_path):
    engine = ScriptedEngine(["a", "b", too_long(5, 5, 5, 5, 35)])
    async with desk(tmp_path, engine) as one:
        back = []
        one.core.sender.returned.listen(back.append)
        await third_message(one)
        assert [outgoing.typed for outgoing in back] == ["3"]
        assert one.texts == ["1", "a", "2", "b"]
        assert len(one.person.told) == 1


async def test_a_draft_that_is_known_to_fit_no_context_is_refused_until_it_or_the_model_is_another(
    tmp_path,
):
    engine = ScriptedEngine()
    engine.info = replace(engine.info, context_tokens=CONTEXT)
    async with desk(tmp_path, engine) as one:
        counting = one.core.counting
        await one.load()
        for one.draft in ("word " * 100, "word " * 101):
            counting.draft_tokens = None
            counting.touch()
            await one.until(lambda: counting.draft_tokens)
            await one.still()
        assert counting.refuses(one.draft)
        assert not counting.refuses("word")
        counting.forget_model()
        assert not counting.refuses(one.draft)
