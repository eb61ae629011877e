"""Accelerators that are not there, at torch's own boundary: memory, names, and running out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

GB = 2**30


@dataclass
class FakeDevice:
    total: int = 8 * GB
    used_by_others: int = GB
    reserved: int = 2 * GB
    name: str = "Some GPU"


@dataclass
class FakeAccelerator:
    """Stands for `torch.cuda` (which ROCm shares) or `torch.xpu`."""

    devices: list[FakeDevice] = field(default_factory=lambda: [FakeDevice()])
    initialized: bool = True
    emptied: int = 0

    def is_available(self):
        return bool(self.devices)

    def is_initialized(self):
        return self.initialized

    def device_count(self):
        return len(self.devices)

    def mem_get_info(self, index=0):
        self.initialized = True
        one = self.devices[index]
        return one.total - one.used_by_others - one.reserved, one.total

    def get_device_name(self, index=0):
        return self.devices[index].name

    def memory_reserved(self, index=0):
        return self.devices[index].reserved

    def is_bf16_supported(self):
        return True

    def _is_in_bad_fork(self):
        return False

    def manual_seed_all(self, seed):
        """Take a seed, as `torch.manual_seed` passes it on."""

    def empty_cache(self):
        self.emptied += 1
        for one in self.devices:
            one.reserved = 0


def absent():
    return FakeAccelerator(devices=[], initialized=False)


def mps(allocated=GB):
    return SimpleNamespace(driver_allocated_memory=lambda: allocated, empty_cache=lambda: None)
