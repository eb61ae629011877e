"""Rotary frequencies that depend on how long the whole text is: of longrope, and of dynamic NTK scaling.

With them a token's keys differ by the length that they were computed for. `generate` computes a prompt for its own length, and each
token of the reply for the length up to it. So must a prompt that comes in chunks, and a kept cache is only of use for lengths that ask
for the same frequencies. Some models' `generate` also gives up its cache where a reply outgrows the shorter frequencies.

Imports torch: only to be imported when a model is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import torch

from tui.dataclass import dataclass
from tui.engine import limits

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LONGROPE: Final = "longrope"
_DYNAMIC: Final = "dynamic"
Tensors = torch.Tensor | tuple[torch.Tensor, ...]
Key = tuple[int, ...]
"""Tells the frequencies for one length from those for another: equal keys, equal frequencies."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Where the frequencies of a module change.

    Attributes:
        limit: the longest text with the original ones.
        grows: whether each longer text has its own, not all longer ones the same.
    """

    limit: int
    grows: bool


class Rotary:
    """The frequencies of one model."""

    def __init__(self, model: PreTrainedModel) -> None:
        """Find out what depends on the length in a model; in most nothing does."""
        self._modules = [module for module in model.modules() if any(_turns(module))]
        self._turns = sorted(
            {turn for module in self._modules for turn in _turns(module)},
            key=lambda turn: (turn.limit, turn.grows),
        )

    @property
    def is_steady(self) -> bool:
        """Whether frequencies are the same for all lengths."""
        return not self._turns

    @property
    def limits(self) -> list[int]:
        """The lengths after which frequencies change."""
        return [turn.limit for turn in self._turns]

    def key(self, length: int) -> Key:
        """Return what tells the frequencies for texts of a length from others."""
        return tuple(
            0 if length <= turn.limit else length if turn.grows else 1 for turn in self._turns
        )

    def alike(self, start: int, tokens: int) -> int:
        """Return how many tokens of a cache are computed with the frequencies of its start.

        Args:
            start: the length that its first tokens were computed for; those after it, each for the length up to itself.
            tokens: how many it holds.
        """
        wanted, found = self.key(start), max(start, 0)
        if tokens <= start or self.key(tokens) == wanted:
            return tokens
        while self.key(found + 1) == wanted:
            found += 1
        return found

    @contextlib.contextmanager
    def computed_for(self, length: int) -> Iterator[None]:
        """Have all passes inside the block use the frequencies for a text of this length, of which they may see the start only."""
        handles = []
        for module in self._modules:
            _forget_growth(module)
            handles += [
                module.register_forward_pre_hook(_showing(length - 1), with_kwargs=True),
                module.register_forward_hook(_without_last),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def _turns(module: torch.nn.Module) -> Iterator[Turn]:
    """Yield where the frequencies of a module change; it may have several sets, each for layers of one type."""
    kinds = getattr(module, "rope_type", None)
    config = getattr(module, "config", None)
    if isinstance(module, torch.nn.ModuleList) or config is None:
        return
    parameters = getattr(config, "rope_parameters", None)
    sets: Mapping[Any, Any] = kinds if isinstance(kinds, Mapping) else {None: kinds}
    for layer_type, kind in sets.items():
        own = parameters.get(layer_type) if layer_type is not None and parameters else parameters
        if not isinstance(kind, str) or not isinstance(own, Mapping):
            continue
        if kind == _LONGROPE:
            limit = limits.count(own, limits.CONTEXT_TOKENS, "original_max_position_embeddings")
            yield Turn(limit, grows=False)
        elif _DYNAMIC in kind:
            yield Turn(int(getattr(module, "original_max_seq_len", 0)), grows=True)


def _forget_growth(module: torch.nn.Module) -> None:
    """Put the original frequencies back in a module that keeps those of the longest text that it ever saw."""
    for name in [name for name, _buffer in module.named_buffers(recurse=False)]:
        prefix = name.removesuffix("inv_freq")
        original = getattr(module, f"{prefix}original_inv_freq", None)
        longest = f"{prefix}max_seq_len_cached"
        if prefix == name or prefix.endswith("original_") or original is None:
            continue
        if hasattr(module, longest) or hasattr(module, "max_seq_len_cached"):
            setattr(module, name, original.to(getattr(module, name).device).clone())
            setattr(module, longest, module.original_max_seq_len)


def _showing(position: int) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return a hook that adds a position to those that frequencies are wanted for."""

    def show(
        _module: object, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        named = "position_ids" in options
        known = options["position_ids"] if named else args[1]
        seen = torch.cat([known, torch.full_like(known[..., :1], position)], dim=-1)
        if named:
            return args, {**options, "position_ids": seen}
        return (args[0], seen, *args[2:]), options

    return show


def _without_last(_module: object, _args: object, made: Tensors) -> Tensors:
    """Take away what was made for the position that `_showing` added."""
    if isinstance(made, tuple):
        return tuple(one[..., :-1, :] for one in made)
    return made[..., :-1, :]
