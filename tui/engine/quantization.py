"""The table of quantizations that a user can choose from. Names and facts only; `engine.local` makes them work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Quantization:
    """One way to hold a model's weights.

    Attributes:
        name: on the command line and in files.
        label: in the sidebar.
        package: the Python package that it needs; empty for none.
        bits: per weight of a quantised layer.
        help: one sentence.
    """

    name: str
    label: str
    package: str
    bits: int
    help: str


QUANTIZATIONS: Final[Mapping[str, Quantization]] = {
    entry.name: entry
    for entry in (
        Quantization("none", "none", "", 16, "The weights as the checkpoint has them."),
        Quantization(
            "8bit", "8-bit (bitsandbytes)", "bitsandbytes", 8,
            "LLM.int8(): about 60% of the memory of bf16, and usually slower.",
        ),
        Quantization(
            "4bit", "4-bit nf4 (bitsandbytes)", "bitsandbytes", 4,
            "NF4 with double quantization: about 40% of the memory of bf16 for a small model, less for a large one.",
        ),
    )
}  # fmt: skip
