"""Computes a prompt in chunks: it reports progress, stops within one layer when cancelled, and keeps finished chunks."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from tui.dataclass import dataclass
from tui.engine.base import Cancelled, IsCancelled
from tui.engine.local import cache_layers, habits
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.rotary import Rotary
from tui.engine.local.soundness import Soundness
from tui.engine.local.stopping import cancellable_layers

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache

    from tui.engine.local.text_model import TextModel

OnProgress = Callable[[int], None]
"""Takes how many tokens of the prompt the cache holds."""


@dataclass(frozen=True, slots=True)
class Prefilled:
    """The progress of a prefill.

    Attributes:
        tokens: how many of its ids the cache holds.
        logits: of the last of them; None when nothing was computed.
    """

    tokens: int
    logits: Tensor | None = None


def settle(computed: Tensor) -> None:
    """Wait until a tensor is computed: a GPU is only told what to do, and what is measured or asked before it is done proves nothing."""
    import torch

    if computed.device.type != "cpu":
        torch.accelerator.synchronize(computed.device)


class Pass(Protocol):
    """A pass of a model that extends a cache, as `Forward` is one."""

    def __call__(self, ids: Tensor, cache: Cache, past: int, logits: int = 1) -> Tensor:
        """Extend a cache that holds `past` ids, and return the logits of the last positions."""
        ...


class Forward:
    """Runs a model over ids that come after those that its cache holds."""

    def __init__(self, model: TextModel, argument: str) -> None:
        """Bind to a model.

        Args:
            model: to run.
            argument: the name under which its forward pass takes a cache.
        """
        accepts = frozenset(inspect.signature(model.forward).parameters)
        self.model = model
        self._argument = argument
        self._keeps_logits = "logits_to_keep" in accepts
        self._gives_positions = "position_ids" in accepts and habits.gives_positions(
            model, argument
        )

    def __call__(self, ids: Tensor, cache: Cache, past: int, logits: int = 1) -> Tensor:
        """Extend a cache, and return the logits of the last positions.

        Args:
            ids: of shape `(1, n)`.
            cache: holds what came before.
            past: how many ids that is.
            logits: of how many positions.
        """
        made = self._made(ids, past, logits, {self._argument: cache, "use_cache": True})
        return made[0, -logits:]

    def alone(self, ids: Tensor, past: int) -> Tensor:
        """Return the logits of the last position of ids that stand after `past` others, without a cache and so without those."""
        return self._made(ids, past, 1, {"use_cache": False})[0, -1:]

    def _made(self, ids: Tensor, past: int, logits: int, options: dict[str, Any]) -> Tensor:
        import torch

        if self._keeps_logits:
            options["logits_to_keep"] = logits
        if self._gives_positions:
            stop = past + ids.shape[1]
            options["position_ids"] = torch.arange(past, stop, device=ids.device).unsqueeze(0)
        # No mask: nothing is padded, and the model need not look.
        made: Tensor = self.model(input_ids=ids, return_dict=True, **options).logits
        return made


@dataclass(frozen=True, slots=True)
class Prefill:
    """Computes prompts with one model.

    Attributes:
        forward: runs the model.
        kind: how its cache can be cut.
        rotary: its frequencies.
        chunk_tokens: how many tokens to compute at a time. The same for each prompt, so that the same chat is computed the
            same way each time.
    """

    forward: Forward
    kind: CacheKind
    rotary: Rotary
    chunk_tokens: int

    def __call__(
        self,
        ids: Tensor,
        cache: Cache,
        start: int,
        stop: int,
        cancelled: IsCancelled,
        on_progress: OnProgress = lambda _tokens: None,
        watch: Soundness | None = None,
    ) -> Prefilled:
        """Extend a cache from `start` ids to `stop`; end early when cancelled, with all chunks that were finished.

        Args:
            ids: the whole prompt, of shape `(1, n)`.
            cache: holds the first `start` of them.
            start, stop: counts of ids.
            cancelled: tells when to end.
            on_progress: called after each chunk but the last.
            watch: looks at the logits of each chunk; None for one that lets none pass.

        Raises:
            NotFiniteError: the logits are no numbers; the cache is of no use any more.
        """
        watch = watch or Soundness()
        done, logits = start, None
        while done < stop:
            if cancelled():
                return Prefilled(done)
            size = min(self.chunk_tokens, stop - done)
            try:
                with self.rotary.computed_for(ids.shape[1]):
                    logits = self._chunk(ids[:, done : done + size], cache, done, cancelled)
            except Cancelled:
                # The layers before the cancellation contain the chunk; the later ones don't.
                kept = done if cache_layers.cut_to(cache, done) else 0
                return Prefilled(kept)
            # That waits for the chunk, too: else all would be under way before the first can be stopped.
            watch.check(logits)
            done += size
            if done < stop:
                on_progress(done)
        return Prefilled(done, logits)

    def _chunk(self, ids: Tensor, cache: Cache, past: int, cancelled: IsCancelled) -> Tensor:
        if self.kind is not CacheKind.CUTTABLE:
            return self.forward(ids, cache, past)
        with cancellable_layers(self.forward.model, cancelled):
            return self.forward(ids, cache, past)
