"""Builds transformers' quantization config from an entry in the quantization table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.failures import words
from tui.engine.quantization import INT4, INT8, NONE, QUANTIZATIONS, TORCHAO_GROUP, availability

if TYPE_CHECKING:
    import torch
    from transformers import BitsAndBytesConfig, TorchAoConfig
    from transformers.utils.quantization_config import QuantizationConfigMixin

_TENSOR_CORES: Final = 8
"""The compute capability that torch's kernel of 4-bit weights asks for."""


def check(name: str, device: str = "") -> None:
    """Check that a quantization can be used here; imports nothing.

    Args:
        name: of the quantization.
        device: the torch device that the model goes to; empty when it is not known yet.

    Raises:
        ModelLoadError: there is no such quantization, its package is not installed, or it does not run on the device.
    """
    if name not in QUANTIZATIONS:
        raise ModelLoadError(
            f"{name!r} isn't a valid quantization.", f"Choose one of: {', '.join(QUANTIZATIONS)}."
        )
    found = availability(name, device)
    if not found.ok:
        remedy = f"Install it ({found.command}), or choose" if found.command else "Choose"
        raise ModelLoadError(
            f"The quantization {QUANTIZATIONS[name].label} can't be used here: it {found.reason}.",
            f"{remedy} another quantization or none.",
        )


def config(
    request: LoadRequest, dtype: torch.dtype, device: str, left: Sequence[str] = ()
) -> QuantizationConfigMixin | None:
    """Return what `from_pretrained` is given as `quantization_config`; None for no quantization.

    Args:
        request: names the quantization and its options.
        dtype: the torch dtype that 4-bit weights are unpacked to for each product, unless the request names one.
        device: where the model goes; `auto` when it is spread over several devices.
        left: layers that are left as they are, as `skipping` tells; empty for those that transformers leaves.

    Raises:
        ModelLoadError: the package that it needs is of a version that can't do it.
    """
    if request.quantization == NONE:
        return None
    made = _MAKERS[request.quantization](request, dtype, device)
    if made is not None and left:
        name = (
            "llm_int8_skip_modules"
            if hasattr(made, "llm_int8_skip_modules")
            else "modules_to_not_convert"
        )
        setattr(made, name, list(left))
    return made


def failure(request: LoadRequest, device: str, name: str, error: BaseException) -> ModelLoadError:
    """Return the error to raise for a model that was quantized and then can't compute.

    Args:
        request: names the quantization.
        device: where the model went.
        name: of the model.
        error: what was raised.
    """
    others = " or ".join(
        one for one in (INT8, INT4) if availability(one, device).ok and one != request.quantization
    )
    return ModelLoadError(
        f"{name} can't be quantized with {QUANTIZATIONS[request.quantization].label}: its code doesn't support it ({words(error)}).",
        f"Choose {others}, or none." if others else "Choose another quantization, or none.",
    )


def _made_at_load(_request: LoadRequest, _dtype: torch.dtype, _device: str) -> None:
    """Return nothing: the weights are loaded as they are, and `kernels` puts them into fewer bits."""


def _bnb_8bit(_request: LoadRequest, _dtype: torch.dtype, device: str) -> BitsAndBytesConfig:
    from transformers import BitsAndBytesConfig

    # A split between GPU and CPU needs leave to keep the CPU's part in 32 bits.
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_enable_fp32_cpu_offload=device == "auto")


def _bnb_4bit(request: LoadRequest, dtype: torch.dtype, device: str) -> BitsAndBytesConfig:
    import torch
    from transformers import BitsAndBytesConfig

    named = request.compute_dtype
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="fp4" if request.quantization == "4bit-fp4" else "nf4",
        bnb_4bit_use_double_quant=request.double_quant,
        bnb_4bit_compute_dtype=dtype if named == "auto" else getattr(torch, named),
        llm_int8_enable_fp32_cpu_offload=device == "auto",
    )


def _torchao_int8(_request: LoadRequest, _dtype: torch.dtype, _device: str) -> TorchAoConfig:
    return _torchao(_int8_weight_only)


def _torchao_int4(_request: LoadRequest, dtype: torch.dtype, device: str) -> TorchAoConfig:
    import torch

    if device == "cpu":
        return _torchao(_int4_on_cpu)
    if dtype is not torch.bfloat16:
        raise ModelLoadError(
            "On a GPU, torchao's 4-bit weights only support bfloat16.",
            "Choose the data type bfloat16 or auto, or another quantization.",
        )
    if device.startswith("xpu"):
        return _torchao(_int4_on_xpu)
    number = None if device == "auto" else device
    if torch.cuda.get_device_capability(number)[0] < _TENSOR_CORES:
        raise ModelLoadError(
            "This GPU is too old for torchao's 4-bit weights.", "Choose another quantization."
        )
    return _torchao(_int4_on_cuda)


def _int8_weight_only() -> Any:
    from torchao.quantization import Int8WeightOnlyConfig

    # Otherwise it affects how later models are compiled.
    return Int8WeightOnlyConfig(set_inductor_config=False)


def _int4_on_cpu() -> Any:
    # torchao keeps its CPU format among the prototypes; it is the one that torch has a kernel for.
    from torchao.prototype.quantization.int4 import PrototypeInt4WeightOnlyConfig

    return PrototypeInt4WeightOnlyConfig(group_size=TORCHAO_GROUP, set_inductor_config=False)


def _int4_on_cuda() -> Any:
    # The format that torch has a kernel for; the default one needs another package.
    return _int4("tile_packed_to_4d")


def _int4_on_xpu() -> Any:
    return _int4("plain_int32")


def _int4(packing: str) -> Any:
    from torchao.quantization import Int4WeightOnlyConfig

    return Int4WeightOnlyConfig(
        group_size=TORCHAO_GROUP, int4_packing_format=packing, set_inductor_config=False
    )


def _torchao(make: Callable[[], Any]) -> TorchAoConfig:
    from transformers import TorchAoConfig

    try:
        return TorchAoConfig(make())
    except (ImportError, TypeError) as error:
        raise ModelLoadError(
            f"The installed version of torchao can't create this quantization ({words(error)}).",
            "Install another version: pip install -U torchao",
        ) from error


_MAKERS: Final[
    Mapping[str, Callable[[LoadRequest, torch.dtype, str], QuantizationConfigMixin | None]]
] = {
    INT8: _made_at_load,
    INT4: _made_at_load,
    "8bit": _bnb_8bit,
    "4bit": _bnb_4bit,
    "4bit-fp4": _bnb_4bit,
    "torchao-int8": _torchao_int8,
    "torchao-int4": _torchao_int4,
}
