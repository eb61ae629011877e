"""Makes transformers' quantization config from an entry of the table of quantizations."""

from __future__ import annotations

import importlib.util
from typing import Any

from tui.engine.base import ModelLoadError
from tui.engine.quantization import QUANTIZATIONS


def check(name: str) -> None:
    """Check that a quantization can be used here; imports nothing.

    Raises:
        ModelLoadError: there is no such quantization, or its package is not installed.
    """
    entry = QUANTIZATIONS.get(name)
    if entry is None:
        raise ModelLoadError(
            f"There is no quantization {name!r}.", f"Choose one of: {', '.join(QUANTIZATIONS)}."
        )
    if entry.package and importlib.util.find_spec(entry.package) is None:
        raise ModelLoadError(
            f"The quantization {entry.label} needs the package {entry.package}, which is not installed.",
            f"Install it with: pip install {entry.package} - or choose no quantization.",
        )


def config(name: str, compute_dtype: Any, device: str) -> Any:
    """Return a transformers quantization config; None for no quantization.

    Args:
        name: of an entry in `QUANTIZATIONS`.
        compute_dtype: the torch dtype that 4-bit weights are unpacked to for each product.
        device: where the model goes; a split between GPU and CPU needs leave to keep parts in 32 bits.
    """
    bits = QUANTIZATIONS[name].bits
    if name == "none":
        return None
    from transformers import BitsAndBytesConfig

    make: Any = BitsAndBytesConfig
    if bits == 8:
        return make(load_in_8bit=True, llm_int8_enable_fp32_cpu_offload=device == "auto")
    return make(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )
