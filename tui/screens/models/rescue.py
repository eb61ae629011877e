"""Solutions when memory runs out: which other options would fit, with numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tui.chat.ui import Answer
from tui.dataclass import dataclass
from tui.engine.base import LoadRequest
from tui.engine.facts import ModelFacts
from tui.engine.fit import Grade
from tui.engine.quantization import NONE, QUANTIZATIONS
from tui.screens.models.rows import FreeMemory, verdict
from tui.widgets.figures import bytes_text

SHORTER: Final = "shorter"
PICKER: Final = "picker"
_GPU_SHARE: Final = 0.8
"""The share of a GPU's memory that a model may use when the rest of it goes to the CPU; the remainder is for the KV cache."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """One possible solution.

    Attributes:
        answer: the answer that offers it.
        request: the request to load; None if nothing is loaded.
    """

    answer: Answer
    request: LoadRequest | None = None


def ways_out(
    request: LoadRequest, facts: ModelFacts | None, memory: FreeMemory, *, in_reply: bool
) -> Sequence[WayOut]:
    """Return the solutions that may help, the mildest first. The last one is always another model.

    Args:
        request: the load that failed, or that the failed reply was made with.
        facts: of that model; None if unknown.
        memory: the free memory after cleaning up.
        in_reply: whether a reply failed, rather than a load.
    """
    found: list[WayOut] = []
    if in_reply:
        label = "Leave out the older half of the chat"
        found.append(WayOut(Answer(SHORTER, label, "s")))
    if facts is not None and not facts.method:
        found += _quantized(request, facts, memory)
    kind = memory.device.partition(":")[0]
    if kind in ("cuda", "xpu") and not request.max_memory:
        limit = f"{int(memory.free_bytes * _GPU_SHARE) // 2**20}MiB"
        offloaded = replace(
            request, device="auto", max_memory={memory.device: limit, "cpu": "1TiB"}
        )
        label = f"Move what exceeds {limit} to RAM (slow)"
        found.append(WayOut(Answer("offload", label, "o"), offloaded))
    found.append(WayOut(Answer(PICKER, "Choose a smaller model", "m")))
    return found


def _quantized(request: LoadRequest, facts: ModelFacts, memory: FreeMemory) -> list[WayOut]:
    """Return quantizations with fewer bits than the current one that run here, except those that clearly don't fit either."""
    bits = QUANTIZATIONS.get(request.quantization, QUANTIZATIONS[NONE]).bits
    found: dict[int, WayOut] = {}
    for entry in QUANTIZATIONS.values():
        one = verdict(request.model, facts, entry.name, memory, request.dtype)
        if entry.bits >= bits or entry.bits in found or one.unavailable or one.needed is None:
            continue
        if one.grade is Grade.TOO_BIG:
            continue
        label = f"{entry.label}: {bytes_text(one.needed.total_bytes)} of {bytes_text(memory.free_bytes)}"
        key = str(entry.bits)
        found[entry.bits] = WayOut(
            Answer(entry.name, label, key), replace(request, quantization=entry.name)
        )
    return list(found.values())
