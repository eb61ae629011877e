"""Determines how a model's code uses its linear layers, without loading their weights.

Most code only calls them. Some takes a layer's weight and computes with it, or asks it for its type: a layer that holds its weights in
another form can't stand in there. A copy of the model is run whose weights take no memory and whose linear layers take note of what is
asked of them. It takes a moment. Imports torch and transformers: only to be imported when a model is there.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from tui.dataclass import dataclass
from tui.engine import failures

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_log = logging.getLogger(__name__)

_SMALL: Final = 2**16
"""Weights of so many numbers are made; larger ones share the memory of the largest, which holds nothing."""
_VALUE: Final = 0.02
_TOKENS: Final = 3
_TRIED: Final = (3, 5)
"""Outputs and inputs of the small layer that a class's code is tried on."""
LINEAR_CLASSES: Final = (nn.Linear, Conv1D)
"""What linear layers are of; transformers' own, which older models have, holds a row for each input."""
Place = tuple[type, str]
"""The class that a layer is a part of, and the layer's name in it: what is done with one is done with all of them."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a model's code does with its linear layers beside calling them.

    Attributes:
        looked_at: places of layers that are asked for their weight, to compute with it or only for its type.
        deep: those of layers that are given anything but rows of numbers, or batches of rows.
    """

    looked_at: set[Place] = field(default_factory=set)
    deep: set[Place] = field(default_factory=set)


def of(model: PreTrainedModel) -> Usage:
    """Return what a model's code does with its linear layers.

    Args:
        model: on any device, also one without content; it is left as it is.
    """
    seen = Usage()
    try:
        stand_in = _copied(model)
        _watch(stand_in, seen)
        _run(stand_in)
    except Exception as error:  # noqa: BLE001 - code of many models; what fails with the weights there is told then
        failures.log(_log, logging.INFO, "can't determine how a model uses its layers", error)
    return seen


def is_linear(layer: nn.Module) -> bool:
    """Return whether a layer computes the product with its weight, plus its bias: also one of a class of its own."""
    if isinstance(layer, nn.modules.linear.NonDynamicallyQuantizableLinear):
        # torch's own attention takes its weight and never calls it.
        return False
    if _is_of_known_class(layer):
        return True
    if {name for name, _ in layer.named_parameters()} - {"weight", "bias"}:
        return False
    # Its code is tried on few numbers, also large ones, which some classes cut off.
    small = copy.copy(layer)
    drawn = torch.Generator().manual_seed(1)
    weight = torch.randn(_TRIED, generator=drawn)
    bias = None if layer.bias is None else torch.randn(_TRIED[0], generator=drawn)
    # The copy is of the surface: what is put into it must not reach the layer.
    own = {
        name: None if one is None else nn.Parameter(one)
        for name, one in (("weight", weight), ("bias", bias))
    }
    vars(small)["_parameters"] = own
    x = torch.randn(2, 4, _TRIED[1], generator=drawn) * torch.tensor([[[1.0]], [[1000.0]]])
    try:
        with torch.inference_mode():
            found = small(x)
            return torch.allclose(found, functional.linear(x, weight, bias), rtol=1e-3, atol=1e-3)
    except Exception:  # noqa: BLE001 - another class's code
        return False


def matrix(layer: Any) -> Tensor:
    """Return a linear layer's weight with a row for each output."""
    weight: Tensor = layer.weight.detach()
    return weight if isinstance(layer, nn.Linear) else weight.t().contiguous()


def sizes(layer: Any) -> tuple[int, int]:
    """Return the outputs and inputs of a linear layer."""
    rows, columns = layer.weight.shape
    return (rows, columns) if isinstance(layer, nn.Linear) else (columns, rows)


def _is_of_known_class(layer: nn.Module) -> bool:
    return not isinstance(layer, nn.Linear) or type(layer).forward is nn.Linear.forward


def linears(model: PreTrainedModel) -> Iterator[tuple[str, nn.Module, str, nn.Module]]:
    """Yield layers that are linear by their class or one above it, with their names, what they are parts of, and their names there.

    A layer in several places comes once for each.
    """
    for prefix, parent in model.named_modules():
        for name, layer in parent.named_children():
            if isinstance(layer, LINEAR_CLASSES):
                yield f"{prefix}.{name}".lstrip("."), parent, name, layer


def _copied(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model of the same structure, on the CPU, whose weights take no memory."""
    held = [*model.parameters(), *(one for one in model.buffers() if one.device.type != "cpu")]
    most = max((one.numel() * one.element_size() for one in held), default=0)
    # Given out by the system as it is written to, which nobody does.
    shared = torch.from_numpy(np.zeros(most + 8, np.uint8))
    known: dict[int, Tensor] = {}
    for one in held:
        made = _without_memory(one, shared)
        is_weight = isinstance(one, nn.Parameter)
        known[id(one)] = nn.Parameter(made, requires_grad=False) if is_weight else made
    copied = copy.deepcopy(model, known)
    copied.eval()
    return copied


def _without_memory(weight: Tensor, shared: Tensor) -> Tensor:
    if weight.numel() <= _SMALL:
        value = _VALUE if weight.is_floating_point() else 0
        return torch.full(weight.shape, value, dtype=weight.dtype)
    return shared[: weight.numel() * weight.element_size()].view(weight.dtype).view(weight.shape)


def _watch(model: PreTrainedModel, seen: Usage) -> None:
    drawn = torch.Generator().manual_seed(1)
    for _, parent, name, layer in list(linears(model)):
        setattr(parent, name, _Watched(layer, (type(parent), name), seen, drawn))


class _Watched(nn.Module):
    """Stands for a linear layer: gives numbers of the right shape, and takes note of what else is asked of it."""

    def __init__(self, layer: Any, place: Place, seen: Usage, drawn: torch.Generator) -> None:
        super().__init__()
        self.bias = layer.bias
        self.out_features, self.in_features = sizes(layer)
        # In a list, since what is a part of the model is not to be seen from outside.
        self._held = [layer]
        self._place, self._seen, self._drawn = place, seen, drawn

    @property
    def weight(self) -> Tensor:
        """Numbers instead of the weights, of their own memory since some code changes them."""
        self._seen.looked_at.add(self._place)
        weight = self._held[0].weight
        return torch.zeros(weight.shape, dtype=weight.dtype)

    def forward(self, x: Tensor) -> Any:
        """Return numbers of the shape of the product."""
        if x.dim() not in (2, 3):
            self._seen.deep.add(self._place)
        layer = self._held[0]
        if not _is_of_known_class(layer):
            return layer(x)
        made = torch.randn((*x.shape[:-1], self.out_features), generator=self._drawn)
        return made.to(x.dtype)

    def __getattr__(self, name: str) -> Any:
        """Give what else the layer has."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
        self._seen.looked_at.add(self._place)
        return getattr(self._held[0], name)


def _run(model: PreTrainedModel) -> None:
    """Compute a prompt, and a token after it."""
    text = model.config.get_text_config()
    ids = torch.arange(_TOKENS + 1).add(text.vocab_size // 2).unsqueeze(0)
    with torch.inference_mode():
        made = model(input_ids=ids[:, :_TOKENS], use_cache=True)
        if (cache := getattr(made, "past_key_values", None)) is not None:
            model(input_ids=ids[:, _TOKENS:], past_key_values=cache, use_cache=True)
