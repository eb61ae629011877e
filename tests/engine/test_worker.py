"""The one thread that owns the model."""

import gc
import subprocess
import sys
import textwrap
import threading
import time
import weakref

import pytest

from tui.conversation.turn import ReplyStats
from tui.engine import failures
from tui.engine.base import (
    Cancelled,
    Failed,
    Finished,
    GenerateRequest,
    GenerationError,
    LoadCancelled,
    LoadRequest,
    MemoryReading,
    ModelInfo,
    ModelLoadError,
    ModelReady,
    Progress,
    ReasoningDelta,
    StopReason,
    TextDelta,
    Unloaded,
)
from tui.engine.worker import EngineWorker

PATIENCE_S = 20
ENDS = (ModelReady, LoadCancelled, Finished, Unloaded, Failed)


class Engine:
    """Does what a test gives it to do."""

    def __init__(self):
        self.loaded = None
        self.on_load = lambda request, emit, cancelled: ModelInfo(request.model, request.model)
        self.on_generate = lambda request, emit, cancelled: Finished(ReplyStats())
        self.on_prepare = lambda request, cancelled: True
        self.threads = set()

    def load(self, request, emit, cancelled):
        self.threads.add(threading.current_thread())
        self.loaded = self.on_load(request, emit, cancelled)
        return self.loaded

    def generate(self, request, emit, cancelled):
        self.threads.add(threading.current_thread())
        return self.on_generate(request, emit, cancelled)

    def prepare(self, request, cancelled):
        return self.on_prepare(request, cancelled)

    def unload(self):
        self.loaded = None

    def memory(self):
        return MemoryReading()


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def worker(engine):
    made = EngineWorker(engine)
    yield made
    assert made.close(PATIENCE_S)


def finish(worker):
    """Everything that came until the worker was idle."""
    came = []
    deadline = time.monotonic() + PATIENCE_S
    while worker.busy:
        assert time.monotonic() < deadline
        came += worker.drain()
        time.sleep(0.001)
    return came + worker.drain()


def until_cancelled(_request, _emit, cancelled):
    while not cancelled():
        time.sleep(0.001)
    return Finished(ReplyStats(), StopReason.CANCELLED)


def test_jobs_run_one_after_another_on_one_thread(worker, engine):
    running = []

    def generate(request, emit, cancelled):
        running.append(1)
        assert len(running) == 1
        time.sleep(0.002)
        running.pop()
        return Finished(ReplyStats())

    engine.on_generate = generate
    ids = [worker.load(LoadRequest("a")), *(worker.generate(GenerateRequest(())) for _ in range(5))]
    ids.append(worker.unload())
    came = finish(worker)
    assert [job_id for job_id, _ in came] == ids
    assert [type(event) for _, event in came] == [ModelReady, *[Finished] * 5, Unloaded]
    assert len(engine.threads) == 1
    assert threading.current_thread() not in engine.threads


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (GenerationError("It failed.", "Do this."), "It failed."),
        (MemoryError(), "isn't enough memory"),
        (RuntimeError("odd"), "odd"),
        (SystemExit(3), "SystemExit"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_whatever_an_engine_raises_is_one_failed_event_and_the_thread_goes_on(
    worker, engine, raised, message
):
    def fail(request, emit, cancelled):
        emit(TextDelta("so far"))
        raise raised

    engine.on_generate = fail
    failing = worker.generate(GenerateRequest(()))
    after = worker.unload()
    came = finish(worker)
    assert [(job_id, type(event)) for job_id, event in came] == [
        (failing, TextDelta), (failing, Failed), (after, Unloaded),
    ]  # fmt: skip
    assert message in came[1][1].message
    assert not came[1][1].keeps_model


def test_a_failed_reply_says_how_far_it_got(worker, engine):
    def fail(request, emit, cancelled):
        raise GenerationError("It failed.", "", ReplyStats(prompt_tokens=5, new_tokens=3))

    engine.on_generate = fail
    worker.load(LoadRequest("a"))
    worker.generate(GenerateRequest(()))
    failed = finish(worker)[-1][1]
    assert failed.stats == ReplyStats(prompt_tokens=5, new_tokens=3)
    assert failed.keeps_model


def test_a_failed_load_tells_whether_the_former_model_is_there(worker, engine):
    worker.load(LoadRequest("a"))
    finish(worker)

    def fail(request, emit, cancelled):
        raise ModelLoadError("No such model.", "Check.")

    engine.on_load = fail
    worker.load(LoadRequest("b"))
    assert finish(worker)[-1][1] == Failed("No such model.", "Check.", keeps_model=True)


def test_cancelling_the_running_reply(worker, engine):
    engine.on_generate = until_cancelled
    job = worker.generate(GenerateRequest(()))
    worker.cancel(job)
    assert finish(worker) == [(job, Finished(ReplyStats(), StopReason.CANCELLED))]


def test_cancelling_a_waiting_reply_leaves_the_running_one_alone(worker, engine):
    release, started = threading.Event(), threading.Event()
    prompts = []

    def generate(request, emit, cancelled):
        prompts.append(request)
        started.set()
        assert release.wait(PATIENCE_S)
        return Finished(ReplyStats(new_tokens=1))

    engine.on_generate = generate
    first = worker.generate(GenerateRequest(()))
    second = worker.generate(GenerateRequest(()))
    assert started.wait(PATIENCE_S)
    worker.cancel(second)
    release.set()
    assert finish(worker) == [
        (first, Finished(ReplyStats(new_tokens=1))),
        (second, Finished(ReplyStats(), StopReason.CANCELLED)),
    ]
    assert len(prompts) == 1


def test_cancelling_a_load_says_whether_the_former_model_is_there(worker, engine):
    def load(request, emit, cancelled):
        until_cancelled(request, emit, cancelled)
        raise Cancelled

    engine.on_load = load
    job = worker.load(LoadRequest("a"))
    worker.cancel(job)
    assert finish(worker) == [(job, LoadCancelled(keeps_model=False))]
    engine.loaded = ModelInfo("a", "a")
    job = worker.load(LoadRequest("b"))
    worker.cancel(job)
    assert finish(worker) == [(job, LoadCancelled(keeps_model=True))]


def test_a_reply_that_raises_cancelled_is_a_cancelled_reply(worker, engine):
    def generate(request, emit, cancelled):
        raise Cancelled

    engine.on_generate = generate
    job = worker.generate(GenerateRequest(()))
    assert finish(worker) == [(job, Finished(ReplyStats(), StopReason.CANCELLED))]


def test_cancelling_an_ended_or_unknown_job_does_nothing(worker, engine):
    job = worker.generate(GenerateRequest(()))
    finish(worker)
    worker.cancel(job)
    worker.cancel(12345)
    assert [type(event) for _, event in finish_after(worker)] == [Finished]


def finish_after(worker):
    worker.generate(GenerateRequest(()))
    return finish(worker)


def test_closing_cancels_the_running_job_and_drops_the_waiting_ones(engine):
    worker = EngineWorker(engine)
    started = threading.Event()

    def generate(request, emit, cancelled):
        started.set()
        return until_cancelled(request, emit, cancelled)

    engine.on_generate = generate
    worker.generate(GenerateRequest(()))
    worker.generate(GenerateRequest(()))
    assert started.wait(PATIENCE_S)
    assert worker.close(PATIENCE_S)
    assert len(worker.drain()) == 1
    with pytest.raises(RuntimeError):
        worker.generate(GenerateRequest(()))


def test_closing_an_unused_worker_is_fine(engine):
    assert EngineWorker(engine).close(0)


def test_closing_reports_a_job_that_does_not_end(engine):
    worker = EngineWorker(engine)
    release, started = threading.Event(), threading.Event()

    def deaf(request, emit, cancelled):
        started.set()
        assert release.wait(PATIENCE_S)
        return Finished(ReplyStats())

    engine.on_generate = deaf
    worker.generate(GenerateRequest(()))
    assert started.wait(PATIENCE_S)
    assert not worker.close(0.01)
    release.set()
    assert worker.close(PATIENCE_S)


def test_draining_joins_neighbouring_deltas_and_drops_outdated_progress(worker, engine):
    def generate(request, emit, cancelled):
        emit(Progress("reading", 1, 3))
        emit(Progress("reading", 2, 3))
        emit(ReasoningDelta("a", 1))
        emit(ReasoningDelta("b", 2))
        emit(TextDelta("c", 1))
        emit(TextDelta("d", 3))
        return Finished(ReplyStats())

    release = threading.Event()
    engine.on_load = lambda *_: release.wait(PATIENCE_S) and ModelInfo("", "")
    worker.load(LoadRequest(""))
    engine.on_generate = generate
    worker.generate(GenerateRequest(()))
    release.set()
    while worker.busy:
        time.sleep(0.001)
    assert [event for _, event in worker.drain()][1:] == [
        Progress("reading", 2, 3),
        ReasoningDelta("ab", 3),
        TextDelta("cd", 4),
        Finished(ReplyStats()),
    ]
    assert worker.drain() == []


def test_deltas_of_different_jobs_are_not_joined(worker, engine):
    def generate(request, emit, cancelled):
        emit(TextDelta("x"))
        return Finished(ReplyStats())

    engine.on_generate = generate
    for _ in range(3):
        worker.generate(GenerateRequest(()))
    while worker.busy:
        time.sleep(0.001)
    assert [type(event) for _, event in worker.drain()] == [TextDelta, Finished] * 3


def test_draining_loses_nothing_while_the_engine_emits(worker, engine):
    count = 30_000

    def generate(request, emit, cancelled):
        for number in range(count):
            kind = TextDelta if number % 7 else ReasoningDelta
            emit(kind(f"{number} "))
        return Finished(ReplyStats())

    engine.on_generate = generate
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        worker.generate(GenerateRequest(()))
        came = finish(worker)
    finally:
        sys.setswitchinterval(interval_s)
    *deltas, (_, end) = came
    assert isinstance(end, Finished)
    assert "".join(event.text for _, event in deltas) == "".join(f"{n} " for n in range(count))
    assert sum(event.tokens for _, event in deltas) == count


def test_no_reference_is_kept_to_a_finished_job(worker, engine):
    class Large(list):
        pass

    messages = Large()
    known = weakref.ref(messages)

    worker.generate(GenerateRequest(messages))
    finish(worker)
    del messages
    for _ in range(200):
        gc.collect()
        if known() is None:
            break
        time.sleep(0.01)
    assert known() is None


def test_every_job_ends_with_exactly_one_end_event_under_random_cancels(worker, engine):
    engine.on_generate = lambda request, emit, cancelled: (
        emit(TextDelta("x")),
        Finished(ReplyStats(), StopReason.CANCELLED if cancelled() else StopReason.END),
    )[1]
    ids = []
    for number in range(200):
        ids.append(worker.generate(GenerateRequest(())))
        if number % 3 == 0:
            worker.cancel(ids[number // 2])
            worker.cancel(ids[-1])
    ends = [job_id for job_id, event in finish(worker) if isinstance(event, ENDS)]
    assert ends == ids


# -- computing ahead


def preparing(engine, worker):
    """An engine that computes ahead until it is told to stop, and what it did."""
    engine.loaded = ModelInfo("m", "m")
    did, running = [], threading.Event()

    def prepare(request, cancelled):
        did.append(("begin", request))
        running.set()
        deadline = time.monotonic() + PATIENCE_S
        while not cancelled():
            assert time.monotonic() < deadline
            time.sleep(0.001)
        did.append(("end", request))
        return False

    engine.on_prepare = prepare
    worker.load(LoadRequest("m"))
    finish(worker)
    return did, running


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_computing_ahead_makes_nobody_wait_and_emits_nothing(engine, worker):
    did, running = preparing(engine, worker)
    worker.prepare("next")
    assert running.wait(PATIENCE_S)
    assert not worker.busy
    job = worker.generate("reply")
    assert finish(worker) == [(job, Finished(ReplyStats()))]
    assert did == [("begin", "next"), ("end", "next")]


def test_computing_ahead_goes_on_after_a_short_job(engine, worker):
    did, running = preparing(engine, worker)
    engine.split = lambda text: (text,)
    worker.prepare("next")
    assert running.wait(PATIENCE_S)
    worker.split("text")
    wait_until(lambda: len(did) == 3)
    assert did == [("begin", "next"), ("end", "next"), ("begin", "next")]


def test_another_chat_takes_the_place_of_what_is_computed_ahead(engine, worker):
    did, running = preparing(engine, worker)
    worker.prepare("one")
    assert running.wait(PATIENCE_S)
    worker.prepare("other")
    wait_until(lambda: len(did) == 3)
    assert did == [("begin", "one"), ("end", "one"), ("begin", "other")]


def test_what_was_computed_ahead_is_done_once(engine, worker):
    did, _running = preparing(engine, worker)
    engine.on_prepare = lambda request, cancelled: did.append(request) or True
    worker.prepare("one")
    wait_until(lambda: did)
    worker.generate("reply")
    finish(worker)
    assert did == ["one"]


def test_a_failure_ahead_of_time_is_nobodys_business(engine, worker):
    did, _running = preparing(engine, worker)

    def fail(request, cancelled):
        did.append(request)
        raise RuntimeError("no memory")

    engine.on_prepare = fail
    worker.prepare("one")
    wait_until(lambda: did)
    job = worker.generate("reply")
    assert finish(worker) == [(job, Finished(ReplyStats()))]
    assert did == ["one"]


def test_jobs_wait_while_the_worker_is_held(worker, engine):
    worker.hold()
    job = worker.load(LoadRequest("some"))
    cancelled = worker.load(LoadRequest("other"))
    worker.cancel(cancelled)
    # The worker's thread waits: nothing was begun, however long that lasts.
    wait_until(lambda: worker._thread is not None and worker._thread.is_alive())
    assert worker.busy
    assert not engine.threads
    worker.release()
    came = [(job_id, type(event)) for job_id, event in finish(worker)]
    assert came == [(job, ModelReady), (cancelled, LoadCancelled)]
    worker.hold()
    worker.load(LoadRequest("third"))
    # And it can be closed while it is held.


# -- hostile exceptions


class Hostile(Exception):  # noqa: N818
    def __str__(self):
        raise SystemExit

    @property
    def __class__(self):
        raise ValueError

    @property
    def __cause__(self):
        raise ValueError

    __repr__ = __str__


class Endless(MemoryError):  # noqa: N818
    def __str__(self):
        while True:
            pass


class Long(Cancelled):
    def __str__(self):
        return "x" * 10**8


@pytest.mark.parametrize("kind", [Hostile, Endless, Long])
@pytest.mark.parametrize("of", ["load", "generate", "unload", "prepare"])
def test_an_exception_that_can_not_be_told_ends_its_job_with_one_event(
    worker, engine, kind, of, monkeypatch
):
    monkeypatch.setattr(failures, "_WITHIN_S", 0.1)

    def fail(*_args):
        raise kind

    engine.load = engine.generate = engine.unload = engine.prepare = fail
    if of == "prepare":
        worker.unload()
        finish(worker)
        worker.prepare("next")
    else:
        argument = {"load": [LoadRequest("a")], "generate": [GenerateRequest(())], "unload": []}
        job = getattr(worker, of)(*argument[of])
        ((ended, event),) = finish(worker)
        assert ended == job
        assert isinstance(event, ENDS)
        assert len(getattr(event, "message", "")) < 1_000
    after = worker.generate(GenerateRequest(()))
    assert [job_id for job_id, _ in finish(worker)] == [after]


def test_a_job_ends_with_its_event_when_the_engine_does_not_know_what_is_loaded(engine):
    class Unsure(Engine):
        @property
        def loaded(self):
            raise Hostile

        @loaded.setter
        def loaded(self, _info):
            pass

    unsure = Unsure()
    worker = EngineWorker(unsure)

    def fail(request, emit, cancelled):
        raise Cancelled

    unsure.on_load = fail
    unsure.on_generate = lambda *_: 1 // 0
    worker.load(LoadRequest("a"))
    worker.generate(GenerateRequest(()))
    came = [event for _, event in finish(worker)]
    assert came[0] == LoadCancelled(keeps_model=False)
    assert isinstance(came[1], Failed)
    assert not came[1].keeps_model
    assert worker.close(PATIENCE_S)


# -- what is said while nobody looks


def test_an_endless_reply_waits_while_nobody_looks_and_goes_on_when_it_is_read(worker, engine):
    said = []

    def generate(request, emit, cancelled):
        while not cancelled():
            emit(TextDelta("0123456789" * 1000))
            said.append(10_000)
        return Finished(ReplyStats(), StopReason.CANCELLED)

    engine.on_generate = generate
    job = worker.generate(GenerateRequest(()))
    wait_until(lambda: sum(said) >= 1_000_000)
    wait_until(lambda: worker._events._changed._waiters)
    held = sum(said)
    assert held <= 1_010_000
    ((_, delta),) = worker.drain()
    read = len(delta.text)
    assert (read, delta.tokens) == (held, len(said[: held // 10_000]))
    wait_until(lambda: sum(said) > held)
    worker.cancel(job)
    *rest, (_, end) = finish(worker)
    assert read + sum(len(event.text) for _, event in rest) == sum(said)
    assert end == Finished(ReplyStats(), StopReason.CANCELLED)


@pytest.mark.parametrize("event", [Progress("reading", 1), TextDelta("")])
def test_endless_events_of_one_kind_take_no_more_room_than_one(worker, engine, event):
    count = 50_000

    def generate(request, emit, cancelled):
        for _ in range(count):
            emit(event)
        return Finished(ReplyStats())

    engine.on_generate = generate
    worker.generate(GenerateRequest(()))
    wait_until(lambda: not worker.busy)
    (_, only), (_, end) = worker.drain()
    assert type(only) is type(event)
    assert getattr(only, "tokens", count) == count
    assert isinstance(end, Finished)


def test_endless_events_of_many_kinds_wait_too_and_closing_ends_them(engine):
    worker, said = EngineWorker(engine), []

    def generate(request, emit, cancelled):
        while not cancelled():
            emit(TextDelta("a"))
            emit(Progress("b"))
            said.append(2)
        return Finished(ReplyStats())

    engine.on_generate = generate
    worker.generate(GenerateRequest(()))
    wait_until(lambda: sum(said) >= 9_998)
    assert worker.close(PATIENCE_S)
    assert sum(said) < 11_000
    assert isinstance(worker.drain()[-1][1], Finished)


def test_one_enormous_piece_of_text_comes_in_parts_and_whole(worker, engine):
    text = "".join(map(str, range(500_000)))

    def generate(request, emit, cancelled):
        emit(ReasoningDelta(text, 7))
        return Finished(ReplyStats())

    engine.on_generate = generate
    worker.generate(GenerateRequest(()))
    *parts, _end = finish(worker)
    assert "".join(event.text for _, event in parts) == text
    assert sum(event.tokens for _, event in parts) == 7
    assert max(len(event.text) for _, event in parts) <= 1_100_000


# -- leaving


def test_a_job_that_is_stuck_in_compiled_code_does_not_keep_the_process():
    code = """
        import ctypes, time
        from tui.engine.base import GenerateRequest
        from tui.engine.worker import EngineWorker
        from tests.engine.test_worker import Engine

        engine = Engine()
        begun = []
        engine.on_generate = lambda *_: begun.append(1) or ctypes.CDLL(None).sleep(1000)
        worker = EngineWorker(engine)
        worker.generate(GenerateRequest(()))
        while not begun:
            time.sleep(0.01)
        print(worker.close(0.1))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
