"""Builds multimodal models without their vision and audio towers, so that text chats don't pay for them.

The class that transformers is given builds the model as ever and then puts nothing in the place of its towers, before any weight has
memory; transformers then takes their weights in the files for left-overs and never reads them. Imports torch: only to be imported when
a model is there.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Never

import torch

from tui.engine import towers
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class LeftOutError(AttributeError):
    """A tower that was left out was used after all."""


class LeftOut(torch.nn.Module):
    """Stands where a tower would, and has neither weights nor a config; of what code asks of it in passing it gives the model's."""

    def __init__(self, name: str, model: PreTrainedModel) -> None:
        """Stand in.

        Args:
            name: of the tower.
            model: that it would be a part of.
        """
        super().__init__()
        self._what = name
        self._model = weakref.ref(model)

    @property
    def device(self) -> torch.device:
        """Where the model takes its tokens."""
        return self._embedding().device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return self._embedding().dtype

    def _embedding(self) -> torch.Tensor:
        model = self._model()
        assert model is not None
        return input_weights(model)

    def forward(self, *_args: object, **_options: object) -> Never:
        """Refuse."""
        raise LeftOutError(f"{self._what} was left out")

    def __getattr__(self, name: str) -> Any:
        """Refuse what a model would ask its tower for."""
        try:
            return super().__getattr__(name)
        except AttributeError as error:
            if name.startswith("_"):
                raise
            raise LeftOutError(f"{name} of a tower that was left out") from error


def for_text(model_class: type[PreTrainedModel]) -> type[PreTrainedModel]:
    """Return a class that is made without the towers of another one.

    It has the same name, which transformers goes by in places.
    """

    def make(self: Any, *args: Any, **options: Any) -> None:
        model_class.__init__(self, *args, **options)
        _leave_out_towers(self)

    body = {name: getattr(model_class, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(model_class.__name__, (model_class,), {"__init__": make, **body})


def left_out(model: PreTrainedModel) -> list[str]:
    """Return the names of the towers that a model was made without."""
    return [name for name, module in model.named_modules() if isinstance(module, LeftOut)]


def _leave_out_towers(model: PreTrainedModel) -> None:
    """Put nothing in the place of what lies beside the way to the language model and is a tower by its name."""
    gone: list[str] = []
    parent, prefix = model, ""
    for step in _way_to_language_model(model):
        for name, _module in list(parent.named_children()):
            if name != step and towers.is_tower(name):
                setattr(parent, name, LeftOut(name, model))
                gone.append(f"{prefix}{name}.")
        parent, prefix = getattr(parent, step), f"{prefix}{step}."
    # Weights that are tied inside a tower would be looked for.
    ties = model.all_tied_weights_keys
    model.all_tied_weights_keys = {
        key: source for key, source in ties.items() if not key.startswith(tuple(gone))
    }


def _way_to_language_model(model: PreTrainedModel) -> list[str]:
    """Return the names of the modules from a model to its language model; none where it is all one."""
    if model.config.get_text_config() is model.config:
        return []
    decoder = model.get_decoder()
    name = next((name for name, module in model.named_modules() if module is decoder), "")
    return name.split(".") if name else []
