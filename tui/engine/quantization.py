"""The table of quantizations: what each needs, what it costs, and whether it can run here. Adding one is one entry here, and one
way to load it in `engine.local.quantization`.

Nothing heavy is imported: whether a package is there is looked up, not tried.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Final

from tui.dataclass import dataclass
from tui.engine import instructions

NONE: Final = "none"
INT8: Final = "int8"
INT4: Final = "int4"
DOUBLE_QUANT_BLOCK: Final = 256
NF4_BLOCK: Final = 64
TORCHAO_GROUP: Final = 32
OWN_GROUP: Final = 32
_CODE_BYTES: Final = 64
"""The table of 16 values that 4-bit weights stand for, kept with each layer."""
_NESTED_CODE_BYTES: Final = 256 * 4 + 4

_BNB_OUTPUTS: Final = 32
_TORCH_INT4_OUTPUTS: Final = 16
LinearBytes = Callable[[int, int, bool], int | None]
"""Takes the outputs and inputs of a linear layer and whether scales are quantized too; returns bytes, None for a layer that is left as
it is."""


@dataclass(frozen=True, slots=True)
class Quantization:
    """A storage format for a model's weights.

    Attributes:
        name: on the command line and in files.
        label: in the sidebar.
        bits: per weight of a quantized layer.
        help: one sentence.
        linear_bytes: what a linear layer's weights take; None where they stay as they are.
        package: the Python package that it needs; empty for none.
        devices: the kinds of device that it runs on.
        odd_bytes: what a layer of any shape takes where the device holds such; None where none does.
        tiles: of what the rows and columns that it holds are multiples, on kinds of device that fill them up with zeros.
    """

    name: str
    label: str
    bits: int
    help: str
    linear_bytes: LinearBytes | None = None
    package: str = ""
    devices: Sequence[str] = ("cuda", "xpu", "mps", "cpu")
    odd_bytes: LinearBytes | None = None
    tiles: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def bytes_of(self, rows: int, columns: int, double: bool, device: str = "") -> int | None:
        """Return what a linear layer's weights take on a device; None for one that is left as it is."""
        held = self.linear_bytes and self.linear_bytes(rows, columns, double)
        kind = device.partition(":")[0]
        if held is None and self.odd_bytes is not None and kind in self.devices:
            # Only the form for these instructions is made of blocks.
            is_packed = kind == "cpu" and instructions.has_avx512_bf16()
            return None if is_packed else self.odd_bytes(rows, columns, double)
        tile = self.tiles.get(kind)
        if held is None or self.linear_bytes is None or tile is None:
            return held
        if not columns % TORCHAO_GROUP:
            rows, columns = (
                math.ceil(size / of) * of for size, of in zip((rows, columns), tile, strict=True)
            )
        return self.linear_bytes(rows, columns, double)


def _int8_rows(rows: int, columns: int, _double: bool) -> int:
    return rows * columns + rows * 4


def has_bnb_4bit_shape(rows: int, columns: int) -> bool:
    """Return whether bitsandbytes can lay out the 4-bit weights of a layer on every CPU; elsewhere the others are few and small."""
    return not rows % _BNB_OUTPUTS and not columns % NF4_BLOCK


def _bnb_4bit(rows: int, columns: int, double: bool) -> int | None:
    return _bnb_4bit_odd(rows, columns, double) if has_bnb_4bit_shape(rows, columns) else None


def _bnb_4bit_odd(rows: int, columns: int, double: bool) -> int:
    weights = rows * columns
    blocks = math.ceil(weights / NF4_BLOCK)
    scales = blocks * 4
    if double:
        scales = blocks + math.ceil(blocks / DOUBLE_QUANT_BLOCK) * 4 + _NESTED_CODE_BYTES
    return math.ceil(weights / 2) + scales + _CODE_BYTES


def _torchao_int8(rows: int, columns: int, _double: bool) -> int:
    return rows * columns + rows * 5


def has_torchao_int4_shape(rows: int, columns: int) -> bool:
    """Return whether torch can lay out the 4-bit weights of a layer on every device."""
    return not rows % _TORCH_INT4_OUTPUTS and not columns % TORCHAO_GROUP


def _torchao_int4(rows: int, columns: int, _double: bool) -> int | None:
    if not has_torchao_int4_shape(rows, columns):
        return None
    return rows * columns // 2 + rows * columns // TORCHAO_GROUP * 4


def _own_int8(rows: int, columns: int, _double: bool) -> int | None:
    return None if columns % OWN_GROUP else rows * columns + rows * 2


def _own_int4(rows: int, columns: int, _double: bool) -> int | None:
    if columns % OWN_GROUP:
        return None
    return rows * columns // 2 + rows * columns // OWN_GROUP * 4


QUANTIZATIONS: Final[Mapping[str, Quantization]] = {
    entry.name: entry
    for entry in (
        Quantization(NONE, "none", 16, "Unquantized weights in 16 or 32 bits."),
        Quantization(
            INT8, "int8 weight-only (CPU)", 8,
            "One scale per row, computed on load: linear layers in half the memory of bfloat16, with nearly the same replies.",
            _own_int8, devices=("cpu",),
        ),
        Quantization(
            INT4, "int4 weight-only (CPU)", 4,
            "One scale and offset per 32 weights, computed on load: linear layers in a third of the memory of bfloat16, with somewhat different replies.",
            _own_int4, devices=("cpu",),
        ),
        Quantization(
            "8bit", "8-bit (bitsandbytes)", 8,
            "LLM.int8(): about 60% of the memory of bfloat16, and usually slower.",
            _int8_rows, "bitsandbytes", ("cuda", "xpu", "cpu"),
        ),
        Quantization(
            "4bit", "4-bit nf4 (bitsandbytes)", 4,
            "NF4 with double quantization: about 40% of the memory of bfloat16 for a small model, less for a large one.",
            _bnb_4bit, "bitsandbytes", ("cuda", "xpu", "cpu"), _bnb_4bit_odd,
        ),
        Quantization(
            "4bit-fp4", "4-bit fp4 (bitsandbytes)", 4,
            "FP4: the same memory as nf4, and usually slightly less accurate.",
            _bnb_4bit, "bitsandbytes", ("cuda", "xpu", "cpu"), _bnb_4bit_odd,
        ),
        Quantization(
            "torchao-int8", "int8 weight-only (torchao)", 8,
            "One scale per row: the same memory as 8-bit, and nearly the same replies as bfloat16.",
            _torchao_int8, "torchao",
        ),
        Quantization(
            "torchao-int4", "int4 weight-only (torchao)", 4,
            "One scale and offset per 32 weights: somewhat more memory than 4-bit.",
            _torchao_int4, "torchao", ("cuda", "xpu", "cpu"), tiles={"cuda": (8, 1024)},
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a quantization can run here.

    Attributes:
        reason: why not; empty when it can.
        command: the one command that would make it work; empty where none would.
    """

    reason: str = ""
    command: str = ""

    @property
    def ok(self) -> bool:
        """Whether it can."""
        return not self.reason


def availability(name: str, device: str) -> Availability:
    """Return whether a quantization can run on a device; imports nothing.

    Args:
        name: of an entry in `QUANTIZATIONS`.
        device: a torch device, for example `cuda:0`; empty when it is not known yet.

    Raises:
        KeyError: there is no such quantization.
    """
    entry = QUANTIZATIONS[name]
    kind = device.partition(":")[0]
    if kind and kind not in entry.devices:
        return Availability(f"doesn't run on {kind}")
    if entry.package and not _is_installed(entry.package):
        return Availability(f"needs the package {entry.package}", f"pip install {entry.package}")
    return Availability()


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        return False
