"""When the process of the engine has ended, one answer loads the model again; the chat has lost nothing."""

from __future__ import annotations

import asyncio

import pytest

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine
from tui.ask.answering import Answering
from tui.chat import requests
from tui.chat.outbox import Outgoing
from tui.engine.base import FailureCause, GenerationError, LoadRequest, ModelLoadError, TextDelta

FALL = GenerationError("The engine ended.", "Load it again.", cause=FailureCause.ENGINE)


class Falling(ScriptedEngine):
    """Loses its model when a reply fails, as an engine whose process has ended."""

    def generate(self, request, emit, cancelled):
        try:
            return super().generate(request, emit, cancelled)
        except GenerationError:
            self._loaded = None
            raise


@pytest.mark.parametrize(("answer", "loads"), [("load", 2), ("no", 1), (None, 1)])
async def test_a_fall_in_a_reply_keeps_what_was_said_and_offers_the_model_again(
    tmp_path, answer, loads
):
    engine = Falling([[TextDelta("One "), TextDelta("two "), FALL]])
    async with desk(tmp_path, engine) as made:
        await made.load()
        made.person.answers.append(answer)
        await made.say("Count.")
        await made.until(lambda: made.person.asked)
        await made.still()
        assert made.person.asked == ["The engine has stopped"]
        assert len(engine.load_requests) == loads
        assert made.texts == ["Count.", "One two "]
        assert made.core.loader.ready == (answer == "load")


async def test_a_fall_in_a_load_offers_it_again(tmp_path):
    engine = ScriptedEngine(
        load_error=ModelLoadError("The engine ended.", cause=FailureCause.ENGINE)
    )
    async with desk(tmp_path, engine) as made:
        made.person.answers += ["load", "no"]
        made.core.loader.load(LoadRequest("scripted"))
        await made.until(lambda: len(made.person.asked) == 2)
        await made.still()
        assert len(engine.load_requests) == 2


class Replacing(ScriptedEngine):
    """Loses its model to a load that fails with the process."""

    def load(self, request, emit, cancelled):
        self._loaded = None
        if request.model == "bad":
            raise ModelLoadError("The engine ended.", cause=FailureCause.ENGINE)
        return super().load(request, emit, cancelled)


async def test_the_model_from_before_a_fall_in_a_load_comes_back_unless_it_is_tried_again(tmp_path):
    async with desk(tmp_path, Replacing()) as made:
        await made.load()
        made.person.answers += ["load", "no"]
        made.core.loader.load(LoadRequest("bad"))
        await made.until(lambda: len(made.person.asked) == 2 and made.core.loader.ready)
        assert made.core.loader.model == "scripted"


async def test_other_failures_ask_nothing(tmp_path):
    engine = ScriptedEngine([[TextDelta("One "), GenerationError("No.")]])
    async with desk(tmp_path, engine) as made:
        await made.load()
        await made.say("Count.")
        await made.still()
        assert made.person.asked == []


@pytest.mark.parametrize(("answer", "loads"), [("load", 2), ("no", 1)])
async def test_a_model_that_is_lost_while_nothing_is_asked_is_offered_again(
    tmp_path, answer, loads
):
    engine = ScriptedEngine()
    async with desk(tmp_path, engine) as made:
        await made.load()
        made.core.recovery.look()
        await made.still()
        assert made.person.asked == []
        engine._loaded, engine.lost = None, "The engine stopped: it was killed."
        made.person.answers.append(answer)
        made.core.recovery.look()
        assert made.core.loader.info is None
        made.core.recovery.look()
        await made.until(lambda: made.person.asked)
        await made.still()
        assert made.person.asked == ["The engine has stopped"]
        assert len(engine.load_requests) == loads
        assert made.core.loader.ready == (answer == "load")


async def test_a_title_that_fails_says_what_happened(tmp_path):
    engine = Falling(["Hello.", [FALL]])
    async with desk(tmp_path, engine) as made:
        await made.load()
        await made.say("Hi.")
        request = requests.for_title(made.core.session.conversation, made.core.settings.snapshot())
        write = made.core.side.write(request, one_line=True, label="generating a title")
        written = await _result(made, write)
        assert written.failure == "The engine ended."


async def _result(made, coroutine):
    task = asyncio.ensure_future(coroutine)
    await made.until(task.done)
    return task.result()


class Shell:
    """Takes what is printed and noted."""

    def __init__(self):
        self.failures, self.remarks = [], []

    def fail(self, text):
        self.failures.append(text)

    def remark(self, text):
        self.remarks.append(text)

    def clear(self):
        pass

    def take(self, event):
        pass


async def test_the_next_variant_in_a_shell_loads_the_model_again(tmp_path):
    engine = Falling([[TextDelta("One "), FALL], "Two."])
    async with desk(tmp_path, engine) as made:
        shell = Shell()
        answering = Answering(made.core, shell, shell, None, shows_reasoning=False)
        await made.load()
        made.person.answers.append("no")
        question = Outgoing("Count.", (), made.core.session.conversation.id)
        first = await _result(made, answering.first(question))
        assert (first.text, first.error) == ("One ", "The engine ended. Run the command again.")
        second = await _result(made, answering.another(1))
        assert (second.text, second.error) == ("Two.", "")
        assert len(engine.load_requests) == 2
        assert shell.failures == []
