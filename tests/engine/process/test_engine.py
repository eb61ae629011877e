"""An engine in a process of its own keeps what every engine promises, and its fall is a sentence."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.compiled_kernels import lay_kernels
from tests.engine import tiny
from tests.engine.conftest import Heard, chat, load, never
from tests.engine.contract import CONTRACT, Subject
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    EngineError,
    FailureCause,
    GenerateRequest,
    GenerationError,
    ModelLoadError,
    StopReason,
)
from tui.engine.process import engine as process_engine
from tui.engine.process import program
from tui.engine.process.engine import ProcessEngine

ROOT = Path(__file__).parent.parent.parent.parent
CHILD = (sys.executable, "-m", "tests.engine.process.scripted_child")
PATIENCE_S = 30.0


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    made = ProcessEngine(tmp_path, CHILD)
    yield made
    made.close()


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The engine of this machine in its process, with a tiny model."""
    folder = tmp_path_factory.mktemp("process")
    lay_kernels(folder / "cache")
    made = ProcessEngine(folder / "cache")
    made.start()
    load(made, tiny.llama(folder / "model"), dtype="float32")
    yield made
    made.close()


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def reply(engine, text="hello", cancelled=never):
    heard = Heard()
    request = GenerateRequest(chat(text), {"temperature": 0.0})
    heard.finished = engine.generate(request, heard.events.append, cancelled)
    return heard


@pytest.mark.parametrize("holds", CONTRACT, ids=lambda one: one.__name__)
def test_what_holds_for_every_engine(real, holds):
    holds(Subject(real, missing="/nowhere", parameters={"max_new_tokens": 12}))


def test_it_replies_and_says_what_is_loaded(engine):
    assert engine.loaded is None
    assert engine.pid == 0
    info = load(engine, "scripted")
    assert engine.loaded == info
    assert reply(engine).text == "Well, Hello there."
    assert engine.split("a b") == ("a", " b")
    assert engine.describe(GenerateRequest(chat("x"))).tokens > 0
    wait_until(lambda: engine.memory().total == 24 * 2**30)
    assert engine.memory().own > 512 * 2**20


def test_what_the_engine_prints_is_no_answer(engine):
    load(engine, "scripted")
    assert reply(engine, "print").text.endswith("Hello there.")


@pytest.mark.parametrize(
    ("fall", "said"),
    [
        ("segfault", "it crashed (SIGSEGV)"),
        ("abort", "it crashed (SIGABRT)"),
        ("exit", "it exited unexpectedly (status 3)"),
        ("kill", "it was killed"),
        ("garbage", "it sent invalid data"),
        ("nonsense", "it sent invalid data"),
    ],
)
def test_a_fall_in_a_reply_costs_the_model_and_nothing_else(engine, fall, said):
    load(engine, "scripted")
    heard = Heard()
    with pytest.raises(GenerationError, match=r"^The engine stopped: ") as caught:
        engine.generate(GenerateRequest(chat(f"one {fall}")), heard.events.append, never)
    assert said in str(caught.value)
    assert engine.loaded is None
    with pytest.raises(GenerationError):
        reply(engine)
    load(engine, "scripted")
    assert reply(engine).text


@pytest.mark.parametrize("fall", ["segfault", "kill", "exit"])
def test_a_fall_while_loading(engine, fall):
    with pytest.raises(ModelLoadError, match="stopped while loading"):
        load(engine, fall)
    assert load(engine, "scripted").name == "Scripted-1B"


def test_errors_come_as_they_were_raised(engine):
    with pytest.raises(ModelLoadError) as caught:
        load(engine, "refuse")
    assert (caught.value.hint, caught.value.cause, caught.value.subject) == (
        "Choose.",
        FailureCause.CODE,
        "org/x@1",
    )
    load(engine, "scripted")
    with pytest.raises(ContextOverflowError) as overflow:
        reply(engine, "overflow")
    assert overflow.value.overflow.message_tokens == (10, 20)
    with pytest.raises(MemoryError):
        reply(engine, "memory")
    with pytest.raises(GenerationError) as failed:
        reply(engine, "fail")
    assert failed.value.stats.new_tokens == 2
    with pytest.raises(EngineError, match="KeyError"):
        reply(engine, "bug")
    assert engine.loaded is not None


def test_cancelling(engine):
    load(engine, "scripted")
    began = time.monotonic()
    with pytest.raises(Cancelled):
        reply(engine, "wait", lambda: time.monotonic() - began > 0.1)
    assert engine.loaded is not None


def test_what_does_not_stop_when_it_is_told_to_is_ended(engine, monkeypatch):
    monkeypatch.setattr(process_engine, "_CANCEL_S", 0.2)
    load(engine, "scripted")
    with pytest.raises(GenerationError, match="ignored a request to cancel"):
        reply(engine, "hang", lambda: True)


def test_a_hang_is_noticed(engine, monkeypatch):
    load(engine, "scripted")
    monkeypatch.setattr(process_engine, "HANG_S", 0.5)
    monkeypatch.setattr(process_engine, "_PING_S", 0.1)
    pid = engine.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(GenerationError, match="stopped responding"):
        reply(engine)
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def test_modules_of_the_folder_that_the_app_is_started_in_are_not_run(tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    for name in ("tui", "psutil", "torch", "json", "filelock"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    command = program.command(tmp_path / "cache")
    engine = ProcessEngine(tmp_path / "cache", command)
    with pytest.raises(GenerationError, match="No model"):
        engine.describe(GenerateRequest(chat("x")))
    engine.close()
    assert not mark.exists()


def test_silence_without_a_job_is_no_hang(engine, monkeypatch):
    load(engine, "scripted")
    monkeypatch.setattr(engine._process, "_heard_s", time.monotonic() - 10 * process_engine.HANG_S)
    assert reply(engine).text.endswith("Hello there.")


def test_a_slow_listener_loses_nothing(engine):
    load(engine, "scripted")
    heard = Heard()

    def slowly(event):
        heard.events.append(event)
        time.sleep(0.001)

    engine.generate(GenerateRequest(chat("flood")), slowly, never)
    numbers = heard.text.removeprefix("Well, ").removesuffix("Hello there.").split()
    assert numbers == [str(number) for number in range(200_000)]


def test_unloading_gives_the_process_back(engine):
    load(engine, "scripted")
    pid = engine.pid
    engine.unload()
    assert engine.loaded is None
    assert not psutil.pid_exists(pid)
    engine.unload()
    load(engine, "scripted")
    assert reply(engine).finished.reason is StopReason.END


def test_target_memory_answers_during_a_reply(engine):
    load(engine, "scripted")
    stop = threading.Event()

    def wait():
        with pytest.raises(Cancelled):
            reply(engine, "wait", stop.is_set)

    replying = threading.Thread(target=wait)
    replying.start()
    assert engine.target_memory()[0] == "cpu"
    stop.set()
    replying.join(PATIENCE_S)
    assert not replying.is_alive()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_app_however_that_ends(tmp_path, how):
    code = f"""
import sys, time
from pathlib import Path
from tui.engine.base import LoadRequest
from tui.engine.process.engine import ProcessEngine
engine = ProcessEngine(Path({str(tmp_path)!r}), {CHILD!r})
engine.load(LoadRequest("scripted"), lambda event: None, lambda: False)
print(engine.pid, flush=True)
time.sleep(1000)
"""
    app = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=ROOT)
    pid = int(app.stdout.readline())
    assert psutil.pid_exists(pid)
    app.send_signal(how)
    app.wait()
    app.stdout.close()
    wait_until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie")


def kill(engine):
    with contextlib.suppress(ProcessLookupError):
        if engine.pid:
            os.kill(engine.pid, signal.SIGKILL)


@pytest.mark.parametrize("seed", range(12))
def test_kills_at_random_moments_leave_a_sentence_and_no_process(engine, seed):
    """Moments in a load, while a prompt is read, in a reply, while nothing is asked, and in an unload."""
    import random

    chance = random.Random(seed)
    seen, problems = set(), []

    def one_step():
        match chance.choice(("reply", "prepare", "split", "nothing", "unload")):
            case "reply":
                assert reply(engine).text.endswith("Hello there.")
            case "prepare":
                engine.prepare(GenerateRequest(chat("x")), never)
            case "split":
                engine.split("a b")
            case "nothing":
                time.sleep(0.02)
            case "unload":
                engine.unload()
                load(engine, "scripted")
                seen.add(engine.pid)

    for _ in range(3):
        killer = threading.Timer(chance.uniform(0, 0.4), kill, (engine,))
        killer.start()
        try:
            load(engine, "scripted")
            seen.add(engine.pid)
            while killer.is_alive():
                one_step()
        except EngineError as error:
            problems.append(str(error))
        killer.join()
    engine.close()
    assert all(one.endswith((".", ")")) for one in problems)
    assert not [pid for pid in seen if psutil.pid_exists(pid)]


def test_a_kill_while_nothing_is_asked_is_told_by_the_next_job(engine):
    load(engine, "scripted")
    pid = engine.pid
    kill(engine)
    wait_until(lambda: engine.loaded is None)
    assert not engine.split("a b")
    assert engine.lost.startswith("The engine stopped: it was killed")
    for _ in range(2):
        with pytest.raises(GenerationError, match=r"^The engine stopped: it was killed") as failed:
            reply(engine)
        assert failed.value.cause is FailureCause.ENGINE
    load(engine, "scripted")
    assert not engine.lost
    assert engine.pid not in (0, pid)
    assert reply(engine).text.endswith("Hello there.")


@pytest.mark.parametrize("leave", [ProcessEngine.unload, ProcessEngine.close])
def test_a_model_that_was_unloaded_is_not_lost(engine, leave):
    load(engine, "scripted")
    kill(engine)
    wait_until(lambda: engine.lost)
    leave(engine)
    assert not engine.lost
    load(engine, "scripted")
    leave(engine)
    assert not engine.lost


@pytest.mark.parametrize("later_s", [0.0, 0.001, 0.01])
def test_a_kill_while_it_unloads_changes_nothing(engine, later_s):
    load(engine, "scripted")
    child = psutil.Process(engine.pid)

    def kill_child():
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()

    killer = threading.Timer(later_s, kill_child)
    killer.start()
    engine.unload()
    killer.cancel()
    killer.join()
    assert engine.loaded is None
    assert not child.is_running()
    load(engine, "scripted")
    assert reply(engine).text.endswith("Hello there.")


def test_after_unloading_the_app_has_the_memory_that_it_had_before(tmp_path):
    lay_kernels(tmp_path / "cache")
    folder = tiny.llama(tmp_path / "model")
    engine = ProcessEngine(tmp_path / "cache")
    app = psutil.Process()
    for _ in range(2):
        # The first round imports what the app itself needs to talk with the engine.
        before = app.memory_info().rss
        load(engine, folder, dtype="float32")
        assert reply(engine).finished.stats.new_tokens
        pid = engine.pid
        engine.unload()
    assert app.memory_info().rss - before < 5 * 2**20
    assert not psutil.pid_exists(pid)


def test_one_that_can_not_be_started_has_not_stopped(tmp_path):
    engine = ProcessEngine(tmp_path, ("/nowhere/python",))
    with pytest.raises(
        ModelLoadError, match=r"^The engine can't be started \(No such file"
    ) as failed:
        load(engine, "any")
    assert failed.value.cause is FailureCause.ENGINE
    with pytest.raises(GenerationError, match=r"^The engine can't be started \("):
        reply(engine)
    with pytest.raises(EngineError, match=r"can't be started \([^.]*\)\.$"):
        engine.target_memory()
    engine.close()
