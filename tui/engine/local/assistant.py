"""Drafts with a model: a second, smaller one, or the first layers of the model itself.

Drafts are greedy, so that the model's own choice of each token decides alone; see `decoding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from tui.dataclass import dataclass
from tui.engine.local import cache_layers
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.prefill import Forward, Pass
from tui.engine.local.prefix_cache import common_prefix
from tui.engine.local.soundness import NotFiniteError, likeliest
from tui.engine.local.speculation import Costs, Payoff

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

_SHARE_OF_LAYERS: Final = 3
"""Without a word from the model, a third of its layers draft."""


@dataclass(slots=True)
class ModelDrafter:
    """Drafts with a model that has the same tokens. Its cache goes on from reply to reply.

    Attributes:
        forward: runs the drafting model.
        cache: of the drafting model; one that can be cut.
        payoff: tells how much to draft, in one reply; replaced for each.
        costs: of passes with these drafts; they include the drafting.
    """

    forward: Pass
    cache: Cache
    device: torch.device
    costs: Costs = field(default_factory=Costs)
    payoff: Payoff = field(init=False)
    _held: list[int] = field(default_factory=list)
    _agreed: int = 0
    _is_broken: bool = False
    """Whether its numbers were none in this reply."""

    def __post_init__(self) -> None:
        """Begin as for a first reply."""
        self.payoff = Payoff(self.costs)

    def begin(self) -> ModelDrafter:
        """Return this drafter, ready for another reply."""
        self.payoff = Payoff(self.costs)
        self._agreed = 0
        self._is_broken = False
        return self

    def forget(self) -> None:
        """Empty the cache; the next draft starts over."""
        self.cache.reset()
        self._held, self._agreed = [], 0

    def draft(self, ids: Sequence[int]) -> Sequence[int]:
        """Return what the drafting model says next; empty when that does not pay."""
        count = self.payoff.length() or (3 if self.payoff.is_time_to_try() else 0)
        if not count or self._is_broken:
            return ()
        try:
            return self._drafted(ids, count)
        except NotFiniteError:
            # Its cache would corrupt every later draft.
            self._is_broken = True
            self.forget()
            return ()

    def _drafted(self, ids: Sequence[int], count: int) -> list[int]:
        logits = self._caught_up(ids)
        draft: list[int] = []
        while True:
            draft.append(likeliest(logits[-1:]))
            if len(draft) == count:
                return draft
            logits = self._extended(draft[-1:])

    def learn(self, drafted: int, accepted: int, elapsed_s: float) -> None:
        """Take note of a pass."""
        self.costs.learn(drafted, elapsed_s)
        if drafted:
            self.payoff.learn(drafted, accepted)

    def _caught_up(self, ids: Sequence[int]) -> Tensor:
        """Bring the drafting model's cache to these ids; return the logits after the last."""
        known = self._agreed + common_prefix(self._held[self._agreed :], ids[self._agreed :])
        keep = min(known, len(ids) - 1)
        if not cache_layers.cut_to(self.cache, keep):
            self.cache.reset()
            keep = 0
        del self._held[keep:]
        self._agreed = keep
        return self._extended(ids[keep:])

    def _extended(self, ids: Sequence[int]) -> Tensor:
        import torch

        new = torch.tensor([list(ids)], device=self.device)
        logits = self.forward(new, self.cache, len(self._held))
        self._held += ids
        return logits


class EarlyExit:
    """Runs the first layers of a model only."""

    def __init__(self, forward: Forward, layers: int) -> None:
        """Bind to a model.

        Args:
            forward: runs the whole model.
            layers: how many of its layers to run.
        """
        self._forward = forward
        self._config = forward.model.config.get_text_config()
        self._layers = layers

    def __call__(self, ids: Tensor, cache: Cache, past: int, logits: int = 1) -> Tensor:
        """Extend a cache of the first layers, and return the logits of the last positions."""
        whole = self._config.num_hidden_layers
        # How transformers' models know how many of their layers to run; its own early exit does the same.
        self._config.num_hidden_layers = self._layers
        try:
            return self._forward(ids, cache, past, logits)
        finally:
            self._config.num_hidden_layers = whole


def early_exit(
    forward: Forward, kind: CacheKind, wanted: int | None, device: torch.device
) -> ModelDrafter | None:
    """Return a drafter of a model's own first layers; None where that can't be done.

    Args:
        forward: runs the model.
        kind: how its cache can be cut.
        wanted: how many layers; None for a share of them.
        device: of its inputs.
    """
    config = forward.model.config.get_text_config()
    layers = getattr(config, "num_hidden_layers", 0)
    count = wanted or layers // _SHARE_OF_LAYERS
    if kind is not CacheKind.CUTTABLE or not 0 < count < layers:
        return None
    return ModelDrafter(EarlyExit(forward, count), cache_layers.fresh(forward.model.config), device)


class TranslatingDrafter:
    """Drafts with a model that cuts text into other tokens, by way of the text; transformers does the translating."""

    def __init__(
        self,
        assistant: PreTrainedModel,
        assistant_tokenizer: PreTrainedTokenizerBase,
        tokenizer: PreTrainedTokenizerBase,
        device: torch.device,
    ) -> None:
        """Begin a reply.

        Args:
            assistant: the drafting model.
            assistant_tokenizer: its tokenizer.
            tokenizer: of the model that is drafted for.
            device: of the assistant's inputs.
        """
        self._arguments = (assistant, tokenizer, assistant_tokenizer)
        self._device = device
        self._generator: Any = None
        self._costs = Costs()
        self._payoff = Payoff(self._costs)

    def begin(self) -> TranslatingDrafter:
        """Return this drafter, ready for another reply."""
        self._generator = None
        self._payoff = Payoff(self._costs)
        return self

    def forget(self) -> None:
        """Begin again with the next draft."""
        self._generator = None

    def draft(self, ids: Sequence[int]) -> Sequence[int]:
        """Return what the drafting model says next, in the other model's tokens; empty when that does not pay."""
        import torch

        count = self._payoff.length() or (3 if self._payoff.is_time_to_try() else 0)
        if not count:
            return ()
        known = torch.tensor([list(ids)], device=self._device)
        if self._generator is None:
            self._generator = self._made(known)
        self._generator.num_assistant_tokens = count
        candidates, _logits = self._generator.get_candidates(known)
        return tuple(candidates[0, len(ids) :].tolist())

    def learn(self, drafted: int, accepted: int, elapsed_s: float) -> None:
        """Take note of a pass."""
        self._costs.learn(drafted, elapsed_s)
        if drafted:
            self._payoff.learn(drafted, accepted)

    def _made(self, ids: Tensor) -> Any:
        from transformers import GenerationConfig
        from transformers.generation.candidate_generator import (
            AssistedCandidateGeneratorDifferentTokenizers,
        )

        assistant, tokenizer, assistant_tokenizer = self._arguments
        make: Any = AssistedCandidateGeneratorDifferentTokenizers
        return make(
            input_ids=ids,
            assistant_model=assistant,
            target_tokenizer=tokenizer,
            assistant_tokenizer=assistant_tokenizer,
            generation_config=GenerationConfig(max_length=2**20, min_length=0),
            model_kwargs={},
        )
