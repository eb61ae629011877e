from __future__ import annotations

import time

import pytest

from tests.scripted import ScriptedEngine
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.worker import EngineWorker
from tui.screens.model_control import ModelControl, short_name


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def control(engine):
    worker = EngineWorker(engine)
    yield ModelControl(worker)
    worker.close(5)


def settle(control: ModelControl) -> None:
    deadline = time.monotonic() + 10
    while control.loading:
        assert time.monotonic() < deadline
        for job, event in control.worker.drain():
            control.take(job, event)
        time.sleep(0.001)


def test_a_load_makes_it_ready(control):
    control.load(LoadRequest("org/some-model", "8bit"))
    assert (control.loading, control.ready, control.name) == (True, False, "some-model")
    settle(control)
    assert control.ready
    assert (control.model, control.quantization) == ("org/some-model", "8bit")


def test_a_failed_load_goes_back_to_the_model_that_was_there(control, engine):
    control.load(LoadRequest("good"))
    settle(control)
    engine.load_error = ModelLoadError("no")
    control.load(LoadRequest("bad", "4bit"))
    settle(control)
    assert control.failure is not None
    assert (control.ready, control.model, control.quantization) == (True, "good", "none")


def test_code_agreed_to_for_a_model_that_failed_is_not_agreed_to_for_the_one_that_was_there(
    control, engine
):
    control.load(LoadRequest("good"))
    settle(control)
    engine.load_error = ModelLoadError("no")
    control.load(LoadRequest("bad", trust_own_code=True))
    settle(control)
    assert control.requantized("8bit") == LoadRequest("good", "8bit")
    engine.load_error = None
    control.load(LoadRequest("other", trust_own_code=True))
    settle(control)
    assert control.requantized("8bit") == LoadRequest("other", "8bit", trust_own_code=True)


def test_a_newer_load_takes_the_place_of_the_one_under_way(control, engine):
    control.load(LoadRequest("first"))
    control.load(LoadRequest("second"))
    settle(control)
    assert control.info is not None
    assert control.info.model == "second"


def test_unloading_leaves_no_model(control):
    control.load(LoadRequest("good"))
    settle(control)
    control.unload()
    settle(control)
    assert control.info is None
    assert not control.ready


def test_another_quantization_is_asked_for_the_model_that_is_there(control):
    assert control.requantized("8bit") is None
    control.load(LoadRequest("good", revision="v2"))
    settle(control)
    assert control.requantized("4bit") == LoadRequest("good", "4bit", revision="v2")
    control.unload()
    settle(control)
    assert control.requantized("4bit") is None


@pytest.mark.parametrize(
    ("model", "name"),
    [("org/name", "name"), ("/a/b/c.gguf", "c.gguf"), ("demo", "demo"), ("/a/b/", "b")],
)
def test_short_names(model, name):
    assert short_name(model) == name
