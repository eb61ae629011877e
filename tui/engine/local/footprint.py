"""What a loaded model and its KV cache take in memory, added up tensor by tensor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel


def model_bytes(model: PreTrainedModel) -> int:
    """Return the bytes of a model's weights: parameters, buffers, and the scales that a quantization keeps beside them."""
    return _total(_weights(model))


def cache_bytes(cache: Cache) -> int:
    """Return the bytes of a KV cache, whatever its layers keep; 0 for none."""
    layers = getattr(cache, "layers", None) or ()
    return _total(
        state for layer in layers for value in vars(layer).values() for state in _states(value)
    )


def _states(value: object) -> Iterator[object]:
    """Yield what an attribute of a cache layer holds; those of recurrent models hold several states by number."""
    yield from value.values() if isinstance(value, dict) else (value,)


def _weights(model: PreTrainedModel) -> Iterator[object]:
    for module in model.modules():
        for weight in (
            *module.parameters(recurse=False),
            *module.buffers(recurse=False),
        ):
            yield weight
            state = getattr(weight, "quant_state", None)
            if state is not None:
                yield from _state_tensors(state)
            yield getattr(weight, "SCB", None)
        yield getattr(getattr(module, "state", None), "SCB", None)


def _state_tensors(state: Any) -> Iterator[object]:
    """Yield what bitsandbytes keeps of a 4-bit weight, whose scales may be quantized in turn."""
    yield from (state.absmax, state.code, getattr(state, "offset", None))
    nested = getattr(state, "state2", None)
    if nested is not None:
        yield from _state_tensors(nested)


def _total(values: Iterable[object]) -> int:
    import torch

    seen: set[int] = set()
    total = 0
    pending = [value for value in values if isinstance(value, torch.Tensor)]
    while pending:
        tensor = pending.pop()
        # Subclasses, as those of torchao, hold their data in plain tensors inside.
        flatten = getattr(tensor, "__tensor_flatten__", None)
        if flatten is not None:
            inner = (getattr(tensor, name, None) for name in flatten()[0])
            pending += [part for part in inner if isinstance(part, torch.Tensor)]
            continue
        if tensor.device.type == "meta":
            continue
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            total += storage.nbytes()
    return total
