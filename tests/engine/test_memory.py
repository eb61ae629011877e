"""Memory of the devices in use, and what happens when it runs out."""

import sys
from types import SimpleNamespace

import psutil
import pytest
import torch

from tests.engine import tiny
from tests.engine.accelerator import GB, FakeAccelerator, FakeDevice, absent, mps
from tests.engine.conftest import ask, chat, load
from tui.engine import memory
from tui.engine.base import (
    FailureCause,
    GenerateRequest,
    GenerationError,
    LoadRequest,
    ModelLoadError,
)
from tui.engine.local import loading, placement
from tui.engine.local.placement import choose_device


def backends(monkeypatch, **given):
    """Put accelerators in the place of torch's interfaces; those not named are not there."""
    for kind in ("cuda", "xpu"):
        monkeypatch.setattr(torch, kind, given.get(kind, absent()))
    return given


def test_ram_is_what_the_machine_and_this_process_use():
    reading = memory.read("cpu")
    assert reading.kind == "RAM"
    assert 0 < reading.own <= reading.used < reading.total
    assert reading.free == reading.total - reading.used


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
def test_each_gpu_says_what_we_and_others_use(monkeypatch, kind):
    second = FakeDevice(total=16 * GB, used_by_others=3 * GB, reserved=GB, name="Bigger GPU")
    backends(monkeypatch, **{kind: FakeAccelerator([FakeDevice(), second])})
    reading = memory.read(f"{kind}:1")
    assert (reading.kind, reading.device) == ("VRAM", "Bigger GPU")
    assert (reading.used, reading.total, reading.own) == (4 * GB, 16 * GB, GB)
    assert [(one.kind, one.device) for one in reading.others] == [
        ("VRAM", "Some GPU"),
        ("RAM", "CPU"),
    ]
    assert reading.others[0].own == 2 * GB


def test_a_gpu_that_nobody_uses_is_not_started_for_a_reading(monkeypatch):
    gpu = FakeAccelerator(initialized=False)
    backends(monkeypatch, cuda=gpu)
    assert memory.read("cpu").others == ()
    assert not gpu.initialized


def test_an_apple_gpu_shares_the_machines_memory(monkeypatch):
    monkeypatch.setattr(torch, "mps", mps(700))
    reading = memory.read("mps")
    assert (reading.kind, reading.own) == ("VRAM", 700)
    assert reading.total == psutil.virtual_memory().total


def test_a_half_imported_torch_or_a_failing_driver_falls_back_to_ram(monkeypatch):
    def fail(_index):
        raise RuntimeError("no driver")

    for broken in (SimpleNamespace(), SimpleNamespace(cuda=SimpleNamespace(mem_get_info=fail))):
        monkeypatch.setitem(sys.modules, "torch", broken)
        assert memory.read("cuda:0").kind == "RAM"


def test_models_go_to_the_best_device_there_is(monkeypatch):
    assert choose_device("auto") == "cpu"
    backends(monkeypatch, cuda=FakeAccelerator([FakeDevice(), FakeDevice()]))
    assert choose_device("auto") == "cuda:0"
    assert choose_device("balanced") == "cuda:0"
    assert choose_device("cuda:1") == "cuda:1"
    with pytest.raises(ModelLoadError, match="device 'cuda:2' isn't available"):
        choose_device("cuda:2")


@pytest.mark.parametrize(
    ("options", "count", "spread"),
    [
        ({}, 1, ""),
        ({}, 2, "auto"),
        ({"device": "balanced"}, 2, "balanced"),
        ({"device": "cuda:0"}, 2, ""),
        ({"max_memory": {"cuda:0": "6GiB", "cpu": "20GiB"}}, 1, "auto"),
    ],
)
def test_how_a_model_is_spread(monkeypatch, options, count, spread):
    backends(monkeypatch, cuda=FakeAccelerator([FakeDevice()] * count))
    assert placement.spread(LoadRequest("m", **options), "cuda:0") == spread


def test_limits_name_gpus_by_their_number():
    limits = placement.device_limits({"cuda:0": "6GiB", "cuda:1": "7GiB", "cpu": "20GiB"})
    assert limits == {0: "6GiB", 1: "7GiB", "cpu": "20GiB"}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("HIP out of memory."),
        RuntimeError("XPU out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_memory_that_runs_out_in_a_reply_leaves_its_text_and_a_working_model(
    engine, tmp_path, monkeypatch, error
):
    load(engine, tiny.llama(tmp_path / "m"))
    model = engine._loaded.model
    parameters = {"temperature": 1.0, "seed": 5, "max_new_tokens": 40}
    whole = ask(engine, chat("hello"), **parameters).text
    calls, forward = [], type(model).forward

    def fails(self, *args, **options):
        calls.append(1)
        if len(calls) > 24:
            raise error
        return forward(self, *args, **options)

    monkeypatch.setattr(type(model), "forward", fails)
    gpu = FakeAccelerator()
    backends(monkeypatch, cuda=gpu)
    said = []
    request = GenerateRequest(chat("hello"), parameters)
    with pytest.raises(GenerationError) as raised:
        engine.generate(request, said.append, lambda: False)
    assert raised.value.cause is FailureCause.MEMORY
    assert raised.value.stats.new_tokens > 0
    kept = "".join(getattr(event, "text", "") for event in said)
    assert kept
    assert whole.startswith(kept)
    assert gpu.emptied
    assert engine.memory().cache == 0
    monkeypatch.undo()
    assert ask(engine, chat("hello"), **parameters).text == whole


def test_memory_that_runs_out_in_a_load_is_freed_again(engine, tmp_path, monkeypatch):
    gpu = FakeAccelerator()
    backends(monkeypatch, cuda=gpu)

    def fails(*_args):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(loading, "load", fails)
    with pytest.raises(ModelLoadError) as raised:
        load(engine, tiny.llama(tmp_path / "m"), device="cpu")
    assert raised.value.cause is FailureCause.MEMORY
    assert gpu.emptied
    assert engine.loaded is None
