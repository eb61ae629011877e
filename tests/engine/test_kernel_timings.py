"""Kernels are chosen by the shortest time that each was ever seen to take here, whatever else the machine does meanwhile."""

import json
import stat

import pytest
import torch
from torch import nn

from tui.engine.local.cpu import kernels, linear, timings
from tui.engine.local.cpu.choice import NEVER, Choice
from tui.engine.local.cpu.timings import Timings, Way


class Clock:
    """Processor time that only the ways to compute spend."""

    def __init__(self):
        self.now_s = 0.0
        self.runs = 0

    def way(self, name, *seconds):
        """A way that takes these times one after another, and the last of them from then on."""
        left = list(seconds)

        def run():
            self.runs += 1
            self.now_s += left.pop(0) if len(left) > 1 else left[0]

        return Way(name, run)


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(timings.time, "thread_time", lambda: made.now_s)
    return made


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kernels"


def started(folder):
    made = Timings(folder)
    made.use(None)
    return made


def kept(folder):
    (path,) = folder.glob("timings-*.json")
    return path


def test_the_shortest_time_counts_and_not_those_that_were_disturbed(clock):
    fast = clock.way("fast", 9.0, 8.0, 9.0, 1.0, 9.0, 9.0)
    assert started(None).is_shorter(fast, clock.way("slow", 2.0), None)


def test_after_a_few_starts_nothing_is_measured(clock, folder):
    for _ in range(3):
        before = clock.runs
        known = started(folder)
        assert known.is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)
        known.save()
        assert clock.runs > before
    before = clock.runs
    assert started(folder).is_shorter(clock.way("one", 5.0), clock.way("other", 2.0), None)
    assert clock.runs == before


def test_a_start_on_a_busy_machine_is_made_up_for_by_the_next(clock, folder):
    """As when a second model was loading: the faster one seemed to be the slower one."""
    busy = started(folder)
    assert not busy.is_shorter(clock.way("one", 30.0), clock.way("other", 2.0), None)
    busy.save()
    assert started(folder).is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)


def test_within_a_start_nothing_is_measured_twice(clock):
    known = started(None)
    known.is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)
    before = clock.runs
    known.is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)
    assert clock.runs == before
    known.doubt()
    known.is_shorter(clock.way("one", 1.0), clock.way("other", 0.5), None)
    assert clock.runs > before
    assert known.seconds("other") == 0.5


def test_the_file_is_private(clock, folder):
    known = started(folder)
    known.is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)
    known.save()
    assert stat.S_IMODE(kept(folder).stat().st_mode) == 0o600
    assert json.loads(kept(folder).read_text()) == {"one": [1.0, 1], "other": [2.0, 1]}


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "[]", '{"one": 3}', '{"one": ["x", 9]}', '{"one": [-1, 9]}', "[" * 100_000,
     '{"one": [NaN, 9], "other": [1.0, 9]}', '{"one": [1.0, 1e999]}'],
)  # fmt: skip
def test_a_file_that_says_nothing_of_use_costs_a_measurement(clock, folder, text):
    known = started(folder)
    known.is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)
    known.save()
    kept(folder).write_text(text)
    assert started(folder).is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)


def test_a_folder_that_cannot_be_written_to_costs_one_line(clock, folder, caplog):
    folder.write_text("in the way")
    known = started(folder)
    known.is_shorter(clock.way("one", 1.0), clock.way("other", 2.0), None)
    known.save()
    assert "can't save" in caplog.text


def test_it_is_measured_with_one_thread_and_left_as_it_was(clock):
    seen = []
    way = Way("one", lambda: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        started(None).is_shorter(way, clock.way("other", 1.0), None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(seen) == {1}


class Takes:
    """Weights whose products take a time."""

    rows = columns = 32

    def __init__(self, clock, form, seconds):
        self.form = form
        self.seconds = seconds
        self._clock = clock

    def few(self, x):
        self._clock.now_s += self.seconds * len(x)
        return x

    def unpacked(self, _start, _stop):
        return torch.zeros(32, 32)


def choice(clock, plain_s, compiled_s, in_float32_s, monkeypatch, weights=1024):
    def in_float32(sample, x):
        clock.now_s += in_float32_s
        return x

    monkeypatch.setattr(linear, "in_float32", in_float32)
    samples = [Takes(clock, "plain", plain_s), Takes(clock, "compiled", compiled_s)]
    return Choice(started(None), samples, None, weights)


def test_the_faster_kernel_is_chosen_for_few_rows_and_for_many(clock, monkeypatch):
    made = choice(clock, 2.0, 1.0, 100.0, monkeypatch)
    made.make()
    assert (made.chosen, made.many_from) == (1, 128)
    made = choice(clock, 1.0, 2.0, 1e9, monkeypatch)
    made.make()
    assert (made.chosen, made.many_from) == (0, NEVER)


def test_replies_that_are_slower_than_promised_have_it_looked_at_again(clock, monkeypatch):
    made = choice(clock, 2.0, 30.0, 1e9, monkeypatch)
    made.make()
    assert made.chosen == 0
    assert not made.is_doubtful(made.promised_s * 2)
    assert not made.is_doubtful(0.0)
    made.samples[1].seconds = 1.0
    assert made.is_doubtful(made.promised_s * 5)
    made.make_again()
    assert made.chosen == 1
    # A busy machine makes replies slow, too.
    for _ in range(2):
        assert made.is_doubtful(1e9)
        made.make_again()
    assert not made.is_doubtful(1e9)


def test_another_choice_goes_into_the_layers(monkeypatch):
    wanted = [0, NEVER]

    def make(choice):
        choice.chosen, choice.many_from = wanted

    monkeypatch.setattr(Choice, "make", make)
    monkeypatch.setattr(Choice, "is_doubtful", lambda _choice, token_s: token_s > 1)

    class Compiled:
        name = "compiled"

        def bfloat16(self, x, weight):
            return x @ weight.T + 1

    model = nn.ModuleDict({"one": nn.Linear(64, 64, bias=False).bfloat16()})
    x = torch.randn(1, 64).bfloat16()
    with torch.inference_mode():
        made = kernels._as_they_are(list(kernels._plain_layers(model)), Compiled(), Timings())
        before = model["one"](x)
        wanted[:] = [1, 64]
        made.heard(0.5)
        assert not made.native
        made.heard(2.0)
        assert made.native
        assert model["one"].many_from == made.many_from == 64
        assert torch.allclose(model["one"](x), before + 1, atol=0.05)
    made.undo()
    assert type(model["one"]) is nn.Linear
