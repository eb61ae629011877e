"""Installs faster layers into a model on a CPU when it is loaded, and removes them again.

Which kernel is faster for how many rows is measured on the model's own shapes, see `choice`: they rank differently on each kind of
CPU. A model that is not of plain layers, or not on the CPU alone, stays as it is. Imports torch.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from tui.dataclass import dataclass
from tui.engine.local import usage
from tui.engine.local.cpu import attention, linear, norms
from tui.engine.local.cpu.choice import NEVER, Choice
from tui.engine.local.cpu.linear import FastLinear, Weights
from tui.engine.local.cpu.native import GROUP, Native, can_multiply
from tui.engine.local.cpu.timings import Timings
from tui.engine.local.text_model import input_weights
from tui.engine.quantization import INT4, INT8

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_log = logging.getLogger(__name__)

_SAMPLE_WEIGHTS: Final = 2**20
"""So many weights of a layer are enough to compare kernels on; all of a large one would take seconds."""
_SOME: Final = 32
Tell = Callable[[int, int], None]
_KEPT_WHOLE: Final = ("lm_head",)
"""Layers whose errors would reach the choice of every token, kept as they are by the quantizations."""


@dataclass(slots=True)
class Installed:
    """The layers installed into a model.

    Attributes:
        native: whether products compiled here are used.
        many_from: from so many rows on products are made in float32.
    """

    native: bool = False
    many_from: int = NEVER
    attends_to: Any = None
    """The model whose attention is done here; None for none."""
    choice: Choice | None = None
    """What the layers' kernels were chosen by; None where there was nothing to choose."""
    _places: list[tuple[nn.Module, str, nn.Module]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._places)

    def put(self, parent: nn.Module, name: str, layer: nn.Module) -> None:
        """Replace a layer with another."""
        self._places.append((parent, name, getattr(parent, name)))
        setattr(parent, name, layer)

    def heard(self, token_s: float) -> None:
        """Choose again if a reply was slow.

        Args:
            token_s: how long each of its tokens took; 0 when that is not known.
        """
        if self.choice is None or not self.choice.is_doubtful(token_s):
            return
        form = self.choice.samples[self.choice.chosen].form
        self.choice.make_again()
        self.take(self.choice)
        is_other = self.choice.samples[self.choice.chosen].form != form
        kernels = self.choice.kernels if self.native else None
        for parent, name, _ in self._places:
            layer = getattr(parent, name)
            if not isinstance(layer, FastLinear) or layer.weights.form != form:
                continue
            layer.many_from = self.many_from
            if is_other and isinstance(layer.weights, linear.Dense):
                layer.weights.use(kernels)

    def take(self, choice: Choice) -> None:
        """Note what was chosen."""
        self.choice, self.many_from = choice, choice.many_from
        if len(choice.samples) > 1:
            self.native = choice.chosen > 0

    def undo(self) -> None:
        """Restore the original layers, except quantized ones, whose originals no longer exist."""
        for parent, name, original in reversed(self._places):
            if original.weight is not None:
                setattr(parent, name, original)
        self._places.clear()
        if self.attends_to is not None:
            attention.stop_using(self.attends_to)
            self.attends_to = None


def install(
    model: PreTrainedModel,
    quantization: str,
    kernels: Native | None,
    tell: Tell = lambda _done, _total: None,
    timings: Timings | None = None,
) -> Installed:
    """Install faster linear layers, norms, and attention into a model.

    Args:
        model: a transformers model; must be on the CPU.
        quantization: `int8` or `int4` to hold the weights in fewer bits; anything else leaves them as they are.
        kernels: the products that were compiled here; None for torch's own.
        tell: told how many layers of how many are quantized; may raise, and the model is of no use then.
        timings: how long kernels take on this machine, as far as that is known; None for not at all.
    """
    timings = timings or Timings()
    timings.use(kernels)
    if kernels is not None:
        kernels.use_threads(torch.get_num_threads())
    if quantization in (INT8, INT4):
        made = _quantized(model, quantization, kernels, tell, timings)
    else:
        made = _as_they_are(list(_plain_layers(model)), kernels, timings)
    is_16_bit = input_weights(model).dtype is torch.bfloat16
    if kernels is not None and is_16_bit:
        for parent, name, norm in norms.faster(model, kernels):
            made.put(parent, name, norm)
        if attention.use(model, kernels):
            made.attends_to = model
    return made


def _as_they_are(
    layers: list[tuple[nn.Module, str, nn.Linear]], kernels: Native | None, timings: Timings
) -> Installed:
    # All kernels are fastest in float32. A model may store some layers in it, or in 8 bits.
    layers = [entry for entry in layers if entry[2].weight.dtype is torch.bfloat16]
    if not layers:
        return Installed()
    sample = _sample(_most_common(layers).weight)
    fits = all(can_multiply(layer.weight) for _, _, layer in layers)
    forms = (None, kernels) if kernels is not None and fits else (None,)
    samples = [linear.Dense(sample, form) for form in forms]
    weights = sum(layer.weight.numel() for _, _, layer in layers)
    choice = Choice(timings, samples, kernels, weights)
    choice.make()
    made = Installed()
    made.take(choice)
    if len(forms) == 1 and made.many_from == NEVER:
        return made
    for parent, name, layer in layers:
        made.put(parent, name, linear.DenseLinear(layer, made.many_from, forms[choice.chosen]))
    _log.info(
        "linear layers: %d, compiled locally: %s, float32 from %d rows",
        made.count,
        made.native,
        made.many_from,
    )
    return made


def is_for(model: PreTrainedModel) -> bool:
    """Return whether all of a model is on the CPU, as it came."""
    devices = {weight.device.type for weight in model.parameters()}
    return devices == {"cpu"} and not getattr(model, "is_quantized", False)


def _plain_layers(model: PreTrainedModel) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Yield linear layers of torch's own class, whose weights lie as they are expected to, with their places."""
    for parent in model.modules():
        for name, layer in parent.named_children():
            if type(layer) is nn.Linear and layer.weight.numel() and layer.weight.is_contiguous():
                yield parent, name, layer


def _most_common(layers: list[tuple[nn.Module, str, nn.Linear]]) -> nn.Linear:
    """Return a layer of the shape that holds the most weights."""
    totals = Counter[tuple[int, int]]()
    for _, _, layer in layers:
        totals[layer.out_features, layer.in_features] += layer.weight.numel()
    shape = totals.most_common(1)[0][0]
    return next(one for _, _, one in layers if (one.out_features, one.in_features) == shape)


def _quantized(
    model: PreTrainedModel,
    quantization: str,
    kernels: Native | None,
    tell: Tell,
    timings: Timings,
) -> Installed:
    made = Installed(kernels is not None)
    used = usage.of(model)
    output = model.get_output_embeddings()
    # Layers may share their weights, and go on to.
    known: dict[int, Weights] = {}
    layers: list[tuple[nn.Module, str, Any]]
    layers = [(parent, name, layer) for _, parent, name, layer in usage.linears(model)]
    for number, (parent, name, layer) in enumerate(layers):
        check = partial(tell, number, len(layers))
        check()
        is_output = layer is output or name in _KEPT_WHOLE
        if is_output or not _takes(layer) or (type(parent), name) in used.looked_at:
            if kernels is not None and type(layer) is nn.Linear and can_multiply(layer.weight):
                made.put(parent, name, linear.DenseLinear(layer, _SOME, kernels))
            continue
        place = layer.weight.data_ptr()
        if place not in known:
            weight = usage.matrix(layer)
            outputs, inputs = weight.shape
            is_int8 = quantization == INT8 or not linear.takes_int4(outputs, inputs, kernels)
            if made.choice is None:
                some = _rounded(_sample(weight), is_int8, kernels, check)
                made.choice = Choice(timings, [some], kernels, 0)
                made.choice.make()
                made.take(made.choice)
            known[place] = _rounded(weight, is_int8, kernels, check)
            made.choice.weights += weight.numel()
        made.put(parent, name, FastLinear(known[place], layer.bias, made.many_from))
        # Freed one by one: the whole model in both forms may not fit.
        layer.weight = None
    return made


def _takes(layer: Any) -> bool:
    """Return whether a layer's weights can be held in fewer bits."""
    weight = layer.weight
    if not weight.numel() or not weight.is_floating_point() or not usage.is_linear(layer):
        return False
    return not usage.sizes(layer)[1] % GROUP


def _rounded(
    weight: torch.Tensor, is_int8: bool, kernels: Native | None, check: Callable[[], None]
) -> Weights:
    if is_int8:
        return linear.Int8(weight, kernels)
    if kernels is not None:
        return linear.Int4(weight, kernels, check)
    return linear.TorchInt4(weight, check)


def _sample(weight: torch.Tensor) -> torch.Tensor:
    """Return some rows of a layer's weights, as many as kernels are compared on."""
    return weight[: max(GROUP, _SAMPLE_WEIGHTS // weight.shape[1] // GROUP * GROUP)]
