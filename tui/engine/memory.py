"""Memory readings of the device in use. Cheap enough for a timer; never imports torch itself."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import psutil

from tui.engine.base import MemoryReading

_PROCESS = psutil.Process()


def read(device: str) -> MemoryReading:
    """Return the memory of a device, named as torch names it, and of the others; RAM where torch is not imported or can't tell."""
    others = tuple(_read(other) for other in devices() if other != device)
    return replace(_read(device), others=others)


def devices() -> tuple[str, ...]:
    """Return the devices that there are, accelerators first, as far as torch is imported and has looked at them."""
    torch = sys.modules.get("torch")
    found: list[str] = []
    for kind in ("cuda", "xpu"):
        interface = getattr(torch, kind, None)
        # Querying an unused backend would initialize it and take memory on every device.
        if interface is not None and _is_in_use(interface):
            found += [f"{kind}:{index}" for index in range(interface.device_count())]
    return (*found, "cpu")


def _is_in_use(interface: Any) -> bool:
    try:
        return bool(interface.is_initialized())
    except (AttributeError, RuntimeError):
        return False


def _read(device: str) -> MemoryReading:
    kind, _, index = device.partition(":")
    torch = sys.modules.get("torch")
    try:
        if torch is not None and kind in ("cuda", "xpu"):
            return _accelerator(getattr(torch, kind), int(index or 0))
        if torch is not None and kind == "mps":
            return _mps(torch.mps)
    except (AttributeError, RuntimeError, ValueError):
        return _ram()
    return _ram()


def _ram() -> MemoryReading:
    machine = psutil.virtual_memory()
    return MemoryReading(
        kind="RAM",
        device="CPU",
        used=machine.total - machine.available,
        total=machine.total,
        own=_PROCESS.memory_info().rss,
    )


def _accelerator(interface: Any, index: int) -> MemoryReading:
    """Read a CUDA, ROCm or XPU device; the first two share torch's interface."""
    free, total = interface.mem_get_info(index)
    return MemoryReading(
        kind="VRAM",
        device=str(interface.get_device_name(index)),
        used=total - free,
        total=total,
        own=interface.memory_reserved(index),
    )


def _mps(interface: Any) -> MemoryReading:
    """Read an Apple GPU, which shares the machine's memory."""
    machine = psutil.virtual_memory()
    return MemoryReading(
        kind="VRAM",
        device="Apple GPU",
        used=machine.total - machine.available,
        total=machine.total,
        own=interface.driver_allocated_memory(),
    )
