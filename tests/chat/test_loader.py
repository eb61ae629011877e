from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from tests.chat.desk import Desk, desk
from tests.scripted import ScriptedEngine
from tui.chat.loader import LoadEnded, short_name
from tui.engine.base import LoadCancelled, LoadRequest, ModelLoadError, ModelReady, Unloaded


async def settled(one: Desk) -> None:
    await one.until(lambda: not one.core.loader.loading)


async def test_a_load_makes_it_ready(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        loader.load(LoadRequest("org/some-model", "8bit"))
        assert (loader.loading, loader.ready, loader.name) == (True, False, "some-model")
        await settled(one)
        assert loader.ready
        assert (loader.model, loader.quantization) == ("org/some-model", "8bit")
        assert one.core.settings.model == "org/some-model"


async def test_a_failed_load_goes_back_to_the_model_that_was_there(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        await one.load("good")
        one.engine.load_error = ModelLoadError("no")
        loader.load(LoadRequest("bad", "4bit"))
        await settled(one)
        assert loader.failure is not None
        assert (loader.ready, loader.model, loader.quantization) == (True, "good", "none")


class Replacing(ScriptedEngine):
    """Frees its model before it loads another one, as llama.cpp does."""

    def load(self, request, emit, cancelled):
        self._loaded = None
        if request.model.startswith("bad"):
            self.load_requests.append(request)
            raise ModelLoadError("no")
        return super().load(request, emit, cancelled)


async def test_a_model_that_a_failed_load_has_cost_can_be_loaded_again(tmp_path):
    async with desk(tmp_path, Replacing()) as one:
        loader = one.core.loader
        assert not loader.restore()
        loader.load(LoadRequest("good", "4bit"))
        await settled(one)
        assert not loader.can_restore
        # Also after two that failed.
        for name in ("bad", "bad too"):
            loader.load(LoadRequest(name))
            await settled(one)
            assert not loader.ready
            assert loader.can_restore
        assert loader.restore()
        assert loader.name == "good"
        await settled(one)
        assert (loader.ready, loader.model, loader.quantization) == (True, "good", "4bit")
        assert not loader.can_restore


async def test_a_model_that_fails_itself_or_was_unloaded_is_not_restored(tmp_path):
    async with desk(tmp_path, Replacing()) as one:
        loader = one.core.loader
        loader.load(LoadRequest("bad"))
        await settled(one)
        assert not loader.can_restore
        await one.load("good")
        loader.load(LoadRequest("bad"))
        await settled(one)
        loader.unload()
        await settled(one)
        assert not loader.can_restore


async def test_code_agreed_to_for_a_model_that_failed_is_not_agreed_to_for_the_one_that_was_there(
    tmp_path,
):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        await one.load("good")
        one.engine.load_error = ModelLoadError("no")
        loader.load(LoadRequest("bad", trust_own_code=True))
        await settled(one)
        assert loader.requantized("8bit") == LoadRequest("good", "8bit")
        one.engine.load_error = None
        loader.load(LoadRequest("other", trust_own_code=True))
        await settled(one)
        assert loader.requantized("8bit") == LoadRequest("other", "8bit", trust_own_code=True)


async def test_an_assistant_of_a_load_that_failed_does_not_draft_for_the_model_that_stays(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        loader.load(LoadRequest("good", assistant="small"))
        await settled(one)
        one.engine.load_error = ModelLoadError("no")
        loader.load(replace(loader.wanted, assistant="typo"))
        await settled(one)
        assert loader.assistant == "small"


async def test_a_newer_load_takes_the_place_of_the_one_under_way(tmp_path):
    async with desk(tmp_path) as one:
        ended: list[LoadEnded] = []
        one.core.loader.ended.listen(ended.append)
        one.core.loader.load(LoadRequest("first"))
        one.core.loader.load(LoadRequest("second"))
        await settled(one)
        assert one.core.loader.info is not None
        assert one.core.loader.info.model == "second"
        assert [end.request.model for end in ended] == ["second"]


async def test_a_load_that_is_cancelled_says_so(tmp_path):
    engine = ScriptedEngine(load_hold=threading.Event())
    async with desk(tmp_path, engine) as one:
        ended: list[LoadEnded] = []
        one.core.loader.ended.listen(ended.append)
        assert not one.core.loader.cancel()
        one.core.loader.load(LoadRequest("slow"))
        assert one.core.loader.cancel()
        await settled(one)
        assert isinstance(ended[0].event, LoadCancelled)


async def test_unloading_leaves_no_model(tmp_path):
    async with desk(tmp_path) as one:
        ended: list[LoadEnded] = []
        await one.load("good")
        one.core.loader.ended.listen(ended.append)
        one.core.loader.unload()
        await settled(one)
        assert one.core.loader.info is None
        assert not one.core.loader.ready
        assert isinstance(ended[0].event, Unloaded)


async def test_another_quantization_is_asked_for_the_model_that_is_there(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        assert loader.requantized("8bit") is None
        loader.load(LoadRequest("good", revision="v2"))
        await settled(one)
        assert loader.requantized("4bit") == LoadRequest("good", "4bit", revision="v2")
        loader.unload()
        await settled(one)
        assert loader.requantized("4bit") is None


async def test_after_a_model_for_one_reply_the_one_before_comes_back(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        await one.load("own")
        ended: list[LoadEnded] = []
        loader.ended.listen(ended.append)
        loader.load_for_reply(LoadRequest("other"))
        await settled(one)
        assert ended[0].is_passing
        loader.go_back()
        await settled(one)
        assert loader.model == "own"
        assert not ended[1].is_passing
        loader.go_back()
        assert not loader.loading


async def test_a_model_that_is_chosen_meanwhile_stays(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        await one.load("own")
        loader.load_for_reply(LoadRequest("other"))
        loader.load(LoadRequest("chosen"))
        await settled(one)
        loader.go_back()
        assert not loader.loading
        assert loader.model == "chosen"


async def test_going_back_ends_the_load_of_the_other_model(tmp_path):
    async with desk(tmp_path) as one:
        await one.load("own")
        one.engine.load_hold = threading.Event()
        one.core.loader.load_for_reply(LoadRequest("other"))
        one.core.loader.go_back()
        one.engine.load_hold.set()
        await settled(one)
        assert one.core.loader.model == "own"


async def test_whose_code_may_run_goes_along_with_each_load(tmp_path):
    async with desk(tmp_path) as one:
        one.core.settings.remember(trusted=("a@1",))
        await one.load("good")
        assert one.engine.load_requests[0].trusted == ("a@1",)
        assert one.core.loader.wanted == replace(one.engine.load_requests[0], trusted=())


async def test_a_task_that_is_waited_for_ends_with_what_came_of_the_load(tmp_path):
    async with desk(tmp_path) as one:
        task = one.core.loader.load(LoadRequest("good"))
        await one.until(task.done)
        assert isinstance(task.result(), ModelReady)
        assert await one.core.loader.settled()


@pytest.mark.parametrize(
    ("model", "name"),
    [("org/name", "name"), ("/a/b/c.gguf", "c.gguf"), ("demo", "demo"), ("/a/b/", "b")],
)
def test_short_names(model, name):
    assert short_name(model) == name


async def test_a_quantization_chosen_without_a_model_holds_for_the_next_load(tmp_path):
    async with desk(tmp_path) as one:
        loader = one.core.loader
        loader.requantize("8bit")
        assert loader.quantization == "8bit"
        one.engine.load_error = ModelLoadError("It is broken.")
        loader.load(LoadRequest("good", "8bit"))
        await settled(one)
        loader.requantize("4bit")
        assert loader.quantization == "4bit"
        assert loader.wanted == LoadRequest("good", "4bit")
        assert one.states[-1].quantization == "4bit"


async def test_a_quantization_does_not_load_a_model_that_takes_none(tmp_path):
    async with desk(tmp_path) as one:
        one.engine.info = replace(one.engine.info, quantization_locked="It is quantized already.")
        await one.load()
        one.core.loader.requantize("8bit")
        assert not one.core.loader.loading
        assert one.core.settings.quantization == "8bit"
