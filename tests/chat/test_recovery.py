"""When the process of the engine has ended, one answer loads the model again; the chat has lost nothing."""

from __future__ import annotations

import pytest

from tests.chat.desk import desk
from tests.scripted import ScriptedEngine
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
