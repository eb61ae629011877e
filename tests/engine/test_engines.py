"""Which engine a model goes to, and when the one before is given up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.conftest import never
from tests.engine.llama import tiny_gguf
from tests.scripted import ScriptedEngine
from tui.engine.base import GenerateRequest, LoadRequest, ModelLoadError, TextDelta
from tui.engine.engines import Engines
from tui.engine.llama import choice

SERVED = "http://localhost:8000/#m"


class Counted(ScriptedEngine):
    """Counts how often it was unloaded."""

    unloads = 0

    def unload(self):
        self.unloads += 1
        super().unload()


@pytest.fixture
def local():
    return Counted(replies=["From here."])


@pytest.fixture
def remote():
    return Counted(replies=["From there."])


@pytest.fixture
def engines(local, remote):
    return Engines(local, lambda: remote)


def load(engines, model, **options):
    return engines.load(LoadRequest(model, **options), lambda _event: None, never)


def said(engines):
    events = []
    engines.generate(GenerateRequest(()), events.append, never)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def test_a_model_goes_to_the_engine_that_its_name_says(engines, local, remote):
    load(engines, "org/model")
    assert (local.loaded is not None, remote.loaded is not None) == (True, False)
    assert said(engines) == "From here."
    load(engines, SERVED)
    assert engines.loaded.model == remote.loaded.model == SERVED
    assert said(engines) == "From there."


@pytest.mark.parametrize("name", ["http://a/#m", "https://a", "HTTPS://A/#m", " http://a"])
def test_names_of_servers(engines, remote, name):
    load(engines, name)
    assert remote.loaded.model == name


@pytest.mark.parametrize("name", ["demo", "org/httpx", "/models/http", "./http:/a", "model.gguf"])
def test_names_of_this_machine(engines, local, name):
    load(engines, name)
    assert local.loaded.model == name


def test_the_engine_for_servers_is_made_once_and_not_before_it_is_wanted(local, remote):
    made = []
    engines = Engines(local, lambda: made.append(1) or remote)
    load(engines, "demo")
    engines.unload()
    assert made == []
    load(engines, SERVED)
    load(engines, SERVED)
    assert made == [1]


@pytest.mark.parametrize(("first", "second"), [("demo", SERVED), (SERVED, "demo")])
def test_the_former_model_is_given_up_once_the_other_is_there(
    engines, local, remote, first, second
):
    load(engines, first)
    former, wanted = (local, remote) if first == "demo" else (remote, local)
    seen = []
    engines.load(LoadRequest(second), lambda _event: seen.append(former.loaded), never)
    assert seen
    assert all(seen)
    assert former.loaded is None
    assert wanted.loaded is not None


@pytest.mark.parametrize(("first", "second"), [("demo", SERVED), (SERVED, "demo")])
def test_the_former_model_stays_where_the_other_can_not_be_had(
    engines, local, remote, first, second
):
    load(engines, first)
    former, wanted = (local, remote) if first == "demo" else (remote, local)
    wanted.load_error = ModelLoadError("No.")
    with pytest.raises(ModelLoadError):
        load(engines, second)
    assert engines.loaded is former.loaded is not None
    assert former.unloads == 0
    assert said(engines)


@pytest.mark.parametrize(("first", "second"), [("demo", SERVED), (SERVED, "demo")])
def test_the_former_model_is_kept_where_that_is_asked_for(engines, local, remote, first, second):
    load(engines, first)
    load(engines, second, keeps_former=True)
    assert local.loaded is not None
    assert remote.loaded is not None
    assert engines.loaded.model == second


@pytest.mark.parametrize(
    ("model", "options"),
    [("other", {}), ("demo", {"quantization": "8bit"}), ("demo", {"dtype": "float32"})],
)
def test_a_kept_model_is_not_taken_for_another(engines, local, model, options):
    load(engines, "demo")
    load(engines, SERVED, keeps_former=True)
    load(engines, model, **options)
    assert len(local.load_requests) == 2
    assert local.loaded.model == model


def test_another_model_of_the_same_engine_is_that_engines_business(engines, local):
    load(engines, "a")
    load(engines, "b")
    assert local.unloads == 0
    assert engines.loaded.model == "b"


def test_an_unload_is_for_all(engines, local, remote):
    load(engines, "demo")
    load(engines, SERVED, keeps_former=True)
    engines.unload()
    assert local.loaded is remote.loaded is engines.loaded is None


def test_memory_is_that_of_the_engine_in_use_and_a_load_goes_to_this_machine(engines, local):
    assert engines.memory() == local.memory()
    assert engines.target_memory() == local.target_memory()


def test_counts_and_prompts_are_asked_of_the_engine_in_use(engines, local, remote):
    load(engines, SERVED)
    request = GenerateRequest(())
    assert engines.prepare(request, never)
    assert (local.prepared, remote.prepared) == ([], [request])
    assert engines.split("a b") == ("a", " b")
    assert engines.describe(request).tokens == 0


def test_a_model_that_was_kept_is_there_again_at_once(engines, local):
    load(engines, "org/model", dtype="float16")
    load(engines, SERVED, keeps_former=True)
    assert local.loaded is not None
    load(engines, "org/model", dtype="float16", trusted=("somebody",))
    assert len(local.load_requests) == 1
    assert said(engines) == "From here."
    load(engines, SERVED, keeps_former=True)
    load(engines, "org/model", dtype="bfloat16")
    assert len(local.load_requests) == 2


def test_the_same_model_is_loaded_again_where_that_is_asked_for(engines, local):
    for _ in range(2):
        load(engines, "org/model")
    assert len(local.load_requests) == 2


@pytest.fixture
def llama():
    return Counted(replies=["From the file."])


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "is_installed", lambda: True)
    return str(tiny_gguf.make(tmp_path / "tiny.gguf"))


def test_a_gguf_file_goes_to_llama_cpp(local, remote, llama, file):
    engines = Engines(local, lambda: remote, lambda: llama)
    load(engines, "org/model")
    load(engines, file)
    assert said(engines) == "From the file."
    assert local.loaded is None
    load(engines, file, gguf=choice.TRANSFORMERS)
    assert said(engines) == "From here."
    assert llama.loaded is None
    load(engines, SERVED)
    load(engines, file)
    assert remote.loaded is None
    engines.unload()
    assert llama.loaded is None


def test_without_an_engine_for_it_a_gguf_file_stays_here(engines, local, file):
    load(engines, file)
    assert local.loaded is not None


def test_one_engine_of_this_machine_makes_room_for_the_other(local, remote, llama, file):
    engines = Engines(local, lambda: remote, lambda: llama)
    load(engines, "org/model")
    seen = []
    engines.load(LoadRequest(file), lambda _event: seen.append(local.loaded), never)
    assert set(seen) == {None}
    load(engines, "org/model", keeps_former=True)
    assert llama.loaded is not None
    load(engines, file)
    assert len(llama.load_requests) == 1
    assert said(engines) == "From the file."


@pytest.mark.parametrize("name", ["cut.gguf", "nowhere.gguf"])
def test_a_file_that_can_not_be_used_costs_no_model(local, remote, llama, file, tmp_path, name):
    engines = Engines(local, lambda: remote, lambda: llama)
    (tmp_path / "cut.gguf").write_bytes(Path(file).read_bytes()[:-100])
    load(engines, "org/model")
    local.load_error = ModelLoadError("It isn't there.")
    with pytest.raises(ModelLoadError):
        load(engines, str(tmp_path / name))
    assert engines.loaded is local.loaded is not None
