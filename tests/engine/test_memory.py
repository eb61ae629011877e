"""Memory of the device in use."""

import sys
from types import SimpleNamespace

from tui.engine import memory


def test_ram_is_what_the_machine_and_this_process_use():
    reading = memory.read("cpu")
    assert reading.kind == "RAM"
    assert 0 < reading.own <= reading.used < reading.total


def test_a_gpu_is_asked_through_torch(monkeypatch):
    gpu = SimpleNamespace(
        mem_get_info=lambda index: (6_000, 8_000 + index),
        get_device_name=lambda index: f"GPU {index}",
        memory_reserved=lambda index: 500,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=gpu))
    reading = memory.read("cuda:1")
    assert (reading.kind, reading.device) == ("VRAM", "GPU 1")
    assert (reading.used, reading.total, reading.own) == (2_001, 8_001, 500)


def test_an_apple_gpu_shares_the_machines_memory(monkeypatch):
    mps = SimpleNamespace(driver_allocated_memory=lambda: 700)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(mps=mps))
    reading = memory.read("mps")
    assert (reading.kind, reading.own) == ("VRAM", 700)
    assert reading.total > 0


def test_a_half_imported_torch_or_a_failing_driver_falls_back_to_ram(monkeypatch):
    def fail(_index):
        raise RuntimeError("no driver")

    for broken in (SimpleNamespace(), SimpleNamespace(cuda=SimpleNamespace(mem_get_info=fail))):
        monkeypatch.setitem(sys.modules, "torch", broken)
        assert memory.read("cuda:0").kind == "RAM"
