"""`chat-tui bench`: what is measured, shown and kept."""

from __future__ import annotations

import json

import pytest

from tests.engine.llama import tiny_gguf
from tests.scripted import ScriptedEngine
from tui import bench
from tui.conversation import ReplyStats
from tui.engine.base import Finished, LoadRequest, ModelInfo, ModelLoadError
from tui.engine.llama import choice as llama_choice
from tui.settings.config import read_config
from tui.settings.paths import AppPaths
from tui.settings.state import AppState, StateError, save_state

SPEEDS = {"none": 20.0, "int8": 30.0, "int4": 40.0}


class TimedEngine(ScriptedEngine):
    """Each quantization has a speed of its own, and one can't be loaded."""

    def load(self, request, emit, cancelled):
        self.load_requests.append(request)
        if request.quantization == "int8":
            raise ModelLoadError("There is not enough memory.", "")
        self.speed = SPEEDS[request.quantization] / (1 if request.kernels else 2)
        if request.dtype == "float32":
            self.speed /= 3
        self.speed += request.threads
        self._loaded = ModelInfo(request.model, "Some", "cpu", weights_bytes=2**28)
        return self._loaded

    def generate(self, request, emit, cancelled):
        self.requests.append(request)
        limit = request.parameters["max_new_tokens"]
        return Finished(
            ReplyStats(100, 20, new_tokens=limit, ttft_s=0.5, prefill_s=0.4, decode_s=(limit - 1) / self.speed)
        )  # fmt: skip


@pytest.fixture
def engine():
    return TimedEngine()


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(bench.os, "cpu_count", lambda: 8)
    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path / "home"))
    paths = AppPaths.default()
    paths.ensure()
    return paths.state


def run(engine, *arguments):
    return bench.run(arguments, lambda _paths: engine)


def test_every_way_that_works_here_is_measured_and_the_fastest_kept(engine, state, capsys):
    assert run(engine, "some", "--only", "none,int8,int4", "--keep") == 0
    out = capsys.readouterr().out
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    assert "20.0 tok/s" in lines["none"]
    assert "10.0 tok/s" in lines["none, PyTorch's kernels"]
    assert "40.0 tok/s" in lines["int4"]
    assert "200 tok/s" in lines["int4"]
    assert "int8: There is not enough memory." in out
    known = json.loads(state.read_text())
    assert (known["model"], known["quantization"]) == ("some", "int4")
    assert engine.loaded is None


def test_the_best_number_of_threads_and_type_are_kept_in_the_configuration(engine, state, capsys):
    file = AppPaths.default().config_file
    file.write_text("# mine\n[model]\nkernels = false\n")
    assert run(engine, "some", "--only", "none,int4", "--keep") == 0
    assert "Saved: chat-tui will start with some, int4, 7 threads." in capsys.readouterr().out
    text = file.read_text()
    assert "threads = 7" in text
    assert "# mine" in text
    assert "kernels" not in text
    assert "dtype" not in text


def test_the_same_is_not_loaded_twice(engine, state):
    run(engine, "some", "--only", "none,int4", "--no-keep")
    wanted = [(one.quantization, one.kernels) for one in engine.load_requests]
    assert wanted == [
        *[("none", True), ("none", False), ("int4", True)],
        *[("none", True), ("int4", True), ("int4", True)],
    ]
    assert [one.threads for one in engine.load_requests] == [0, 0, 0, 0, 7, 4]
    assert engine.load_requests[3].dtype == "float32"
    assert not state.exists()


def test_code_that_was_agreed_to_in_the_app_runs_here_too(engine, state):
    save_state(state, AppState(trusted=("org/own@4f2a",)))
    run(engine, "org/own", "--only", "none", "--no-keep")
    assert {one.trusted for one in engine.load_requests} == {("org/own@4f2a",)}
    assert not any(one.trust_own_code for one in engine.load_requests)


def test_nothing_is_kept_unasked(engine, state):
    assert run(engine, "some", "--only", "none") == 0
    assert not state.exists()


def test_a_model_that_can_not_be_loaded_is_said(engine, state, capsys):
    engine.load = lambda *_args: (_ for _ in ()).throw(ModelLoadError("There is no such model."))
    assert run(engine, "nowhere") == 2
    assert "There is no such model." in capsys.readouterr().out


def test_what_is_known_is_shown_when_it_is_stopped(engine, state, capsys):
    generate, asked = engine.generate, []

    def interrupted(request, emit, cancelled):
        asked.append(request)
        if len(asked) == 9:
            raise KeyboardInterrupt
        return generate(request, emit, cancelled)

    engine.generate = interrupted
    assert run(engine, "some", "--only", "none,int4", "--keep") == 130
    shown = capsys.readouterr()
    assert "20.0 tok/s" in shown.out
    assert "Kept" not in shown.out
    assert shown.err.endswith("PyTorch's kernels: stopped\n")
    assert engine.loaded is None
    assert not state.exists()


def test_it_says_what_it_is_at_before_the_figure_is_known(engine, state, capsys):
    said = []
    load = engine.load

    def loading(*arguments):
        said.append(capsys.readouterr().err)
        return load(*arguments)

    engine.load = loading
    assert run(engine, "some", "--only", "int4") == 0
    assert said[0] == "int4: "


def test_a_quantization_that_fails_does_not_keep_the_others_from_being_measured(
    engine, state, capsys
):
    assert run(engine, "some", "--only", "int8,int4") == 0
    out = capsys.readouterr().out
    assert "int8: There is not enough memory." in out
    assert "40.0 tok/s" in out
    assert {one.quantization for one in engine.load_requests} == {"int8", "int4"}


def test_a_choice_that_cant_be_kept_is_a_sentence(engine, state, capsys, monkeypatch):
    def full(*_: object) -> None:
        raise StateError("No space is left on the disk.")

    monkeypatch.setattr(bench, "save_state", full)
    assert run(engine, "some", "--only", "int4", "--keep") == bench.FAILED
    assert "chat-tui bench: No space is left on the disk." in capsys.readouterr().err


def test_an_unknown_quantization_is_refused(engine, state, capsys):
    assert run(engine, "some", "--only", "int5") == 2
    assert "int5" in capsys.readouterr().err


@pytest.mark.parametrize(("cores", "counts"), [(1, []), (2, [1]), (3, [2, 1]), (16, [15, 8])])
def test_other_numbers_of_threads_are_tried(cores, counts):
    best = bench.Choice("int8", LoadRequest("m", "int8"))
    found = bench.thread_choices(best, cores)
    assert [one.request.threads for one in found] == counts
    assert all(one.request.quantization == "int8" for one in found)


def test_choices_are_those_of_the_device():
    on_cpu = [one.request for one in bench.choices("m", "cpu")]
    assert LoadRequest("m", "int4") in on_cpu
    assert LoadRequest("m", "none", kernels=False) in on_cpu
    assert not any(one.compile for one in on_cpu)
    on_gpu = [one.request for one in bench.choices("m", "cuda:0")]
    assert not any(one.quantization == "int4" for one in on_gpu)
    assert LoadRequest("m", "none") in on_gpu
    assert LoadRequest("m", "none", compile=True) in on_gpu


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(llama_choice, "is_installed", lambda: True)
    return str(tiny_gguf.make(tmp_path / "tiny.gguf"))


def test_a_gguf_file_is_measured_in_both_engines(file):
    requests = [one.request for one in bench.choices(file, "cpu")]
    assert LoadRequest(file, gguf=llama_choice.LLAMA_CPP) in requests
    assert LoadRequest(file, "int4", gguf=llama_choice.TRANSFORMERS) in requests
    assert llama_choice.AUTO not in {one.gguf for one in requests}
    only = [one.request for one in bench.choices(file, "cpu", ("int4",))]
    assert only == [LoadRequest(file, "int4", gguf=llama_choice.TRANSFORMERS)]


def test_the_engine_of_a_gguf_file_is_kept(engine, state, file):
    assert run(engine, file, "--only", "int4", "--keep") == 0
    kept = read_config(AppPaths.default().config_file).values
    assert kept["model.gguf"] == llama_choice.TRANSFORMERS
