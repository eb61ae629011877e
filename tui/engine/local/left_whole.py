"""Reports which parts of a quantized model stay unquantized: unsupported layers, experts, or the whole model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tui.dataclass import dataclass
from tui.engine.local import footprint
from tui.engine.local.cpu.linear import DenseLinear, FastLinear
from tui.engine.local.placement import input_device
from tui.engine.local.text_model import input_weights
from tui.engine.local.usage import LINEAR_CLASSES
from tui.engine.quantization import INT4, INT8, QUANTIZATIONS, availability

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

_NOTABLE: Final = 0.05
_NOTABLE_EMBEDDINGS: Final = 1 / 3
_OF_BNB: Final = ("Linear8bitLt", "Linear4bit")


@dataclass(slots=True)
class _Found:
    """The parts of a model, in layers and bytes."""

    quantized: int = 0
    left: int = 0
    left_bytes: int = 0
    expert_bytes: int = 0
    embedding_bytes: int = 0


def notes(model: PreTrainedModel, quantization: str) -> list[str]:
    """Return notes for the user about a model that was quantized on load.

    Args:
        model: as it was loaded.
        quantization: a name in the table.
    """
    found = _found(model)
    label = QUANTIZATIONS[quantization].label
    held = str(input_weights(model).dtype).removeprefix("torch.")
    device = str(input_device(model))
    total = footprint.model_bytes(model)
    if not found.quantized:
        others = " or ".join(own for own in (INT8, INT4) if availability(own, device).ok)
        hint = f" Try {others}." if others and quantization not in (INT8, INT4) else ""
        return [
            f"No part of this model is quantized: {label} doesn't support any of its layers. It is stored as {held}.{hint}"
        ]
    said = []
    if found.expert_bytes > _NOTABLE * total:
        size = _share(found.expert_bytes, total)
        said.append(
            f"The experts ({size}) stay in {held}: no available quantization supports them."
        )
    if found.left:
        layers = "1 layer stays" if found.left == 1 else f"{found.left:,} layers stay"
        size = (
            f" ({_share(found.left_bytes, total)})" if found.left_bytes > _NOTABLE * total else ""
        )
        said.append(f"{layers} in {held}{size}: {label} doesn't support such layers.")
    if found.embedding_bytes > _NOTABLE_EMBEDDINGS * total:
        size = _share(found.embedding_bytes, total)
        said.append(f"The embeddings ({size}) stay in {held}, as with every quantization.")
    return said


def _found(model: PreTrainedModel) -> _Found:
    found = _Found()
    embeddings = (model.get_input_embeddings(), model.get_output_embeddings())
    seen: set[int] = set()
    for module in model.modules():
        if _is_quantized(module):
            found.quantized += 1
            continue
        is_linear = isinstance(module, (*LINEAR_CLASSES, DenseLinear))
        for name, weight in module.named_parameters(recurse=False):
            if weight.dim() < 2 or id(weight) in seen:
                continue
            seen.add(id(weight))
            if any(module is one for one in embeddings):
                found.embedding_bytes += weight.nbytes
            elif is_linear and name == "weight":
                found.left += 1
                found.left_bytes += weight.nbytes
            elif weight.dim() > 2 and "expert" in type(module).__name__.lower():
                found.expert_bytes += weight.nbytes
    return found


def _is_quantized(module: nn.Module) -> bool:
    if isinstance(module, FastLinear):
        return not isinstance(module, DenseLinear)
    weight = getattr(module, "weight", None)
    return type(module).__name__ in _OF_BNB or hasattr(weight, "__tensor_flatten__")


def _share(part: int, whole: int) -> str:
    unit, name = next(
        (pair for pair in ((10**9, "GB"), (10**6, "MB")) if whole >= pair[0]), (1000, "kB")
    )
    return f"{part / unit:.1f} {name} of {whole / unit:.1f} {name}"
