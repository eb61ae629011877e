"""Decodes a reply token by token, or several at once where some were drafted.

It is the decoding method that `generate` is given, and gets its logits processors and stopping criteria. What is drafted is
only ever a proposal: each token is drawn from the model's own distribution, and a draft saves the passes for those that it
foresaw. So greedy text is the same with drafts and without, and sampled text has the same distribution, as far as a model computes
several tokens as it computes one: with the products of `native` it does, to the last bit, and in float32 nearly so; with those of
others in 16 bits a near tie may fall the other way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Protocol

from tui.dataclass import dataclass
from tui.engine.local import cache_layers, soundness
from tui.engine.local.prefill import Pass, settle
from tui.engine.local.rotary import Rotary
from tui.engine.local.soundness import NotFiniteError, NothingLeftError, Soundness

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import (
        Cache,
        GenerationConfig,
        PreTrainedModel,
    )

_MOST_DRAFTED: Final = 30
"""More tokens at once would be computed in another way than one."""


class Drafter(Protocol):
    """Drafts tokens."""

    def draft(self, ids: Sequence[int]) -> Sequence[int]:
        """Return a draft of the tokens after these IDs; empty if drafting isn't worthwhile."""
        ...

    def learn(self, drafted: int, accepted: int, elapsed_s: float) -> None:
        """Record a pass: how many tokens were drafted, how many were accepted, and how long it took."""
        ...


class NoDrafter:
    """Never drafts."""

    def draft(self, ids: Sequence[int]) -> Sequence[int]:  # noqa: ARG002 - the protocol's
        """Return nothing."""
        return ()

    def learn(self, drafted: int, accepted: int, elapsed_s: float) -> None:
        """Do nothing."""


@dataclass(slots=True)
class Decoder:
    """Decodes one reply.

    Attributes:
        forward: runs the model.
        cache: holds all of the prompt.
        logits: of the prompt's last token, of shape `(1, vocabulary)`.
        take: called with each new token.
        drafter: foresees tokens; only with a cache that can be cut.
        watch: told of all logits where numbers that are none are replaced and not refused.
        rotary: the model's frequencies.
        anew: computes ids of shape `(1, n)` from their start, for a model that gives up its cache when the frequencies change, and
            returns the cache and the logits of the last; None where the model goes on.
    """

    forward: Pass
    cache: Cache
    logits: Tensor
    take: Callable[[int], None]
    drafter: Drafter
    watch: Soundness = field(default_factory=Soundness)
    rotary: Rotary | None = None
    anew: Callable[[Tensor], tuple[Cache, Tensor]] | None = None
    held_tokens: int = 0
    """How many ids of prompt and reply the cache holds."""
    start: int = 0
    """The length that the start of the cache was computed for."""
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    def __call__(
        self,
        model: PreTrainedModel,  # noqa: ARG002 - `generate` passes it
        input_ids: Tensor,
        logits_processor: Callable[[Tensor, Tensor], Tensor],
        stopping_criteria: Callable[[Tensor, Tensor], Tensor],
        generation_config: GenerationConfig,
        **_options: Any,
    ) -> Tensor:
        """Decode until a stopping criterion is met; return prompt and reply as `generate` does.

        Raises:
            NotFiniteError: the model's logits are no numbers.
            NothingLeftError: they are, but the processors leave nothing of them.
        """
        import torch

        prompt = input_ids.shape[1]
        room = max(prompt + 1, generation_config.max_length or prompt + 1)
        ids = torch.empty((1, room + 1), dtype=input_ids.dtype, device=input_ids.device)
        ids[:, :prompt] = input_ids
        # The same on the CPU: whether a reply is over is asked for each token, which a GPU would have to be waited for.
        here = ids if ids.device.type == "cpu" else ids.cpu()
        known: list[int] = here[0, :prompt].tolist()
        self.held_tokens = self.start = prompt
        rows = self.logits
        draft: Sequence[int] = ()
        choose = soundness.drawn if generation_config.do_sample else soundness.likeliest
        while True:
            accepted = 0
            for index, row in enumerate(rows):
                count = len(known)
                row_scores = row.to(dtype=torch.float32, copy=True).unsqueeze(0)
                if self.watch.allows_others:
                    self.watch.check(row_scores)
                scores = logits_processor(ids[:, :count], row_scores)
                token = _chosen(choose, scores, row)
                ids[0, count] = here[0, count] = token
                known.append(token)
                self.take(token)
                if bool(stopping_criteria(here[:, : count + 1], scores).all()):
                    self._note(draft, accepted)
                    return ids[:, : len(known)]
                if index >= len(draft) or draft[index] != token:
                    break
                accepted += 1
            self._note(draft, accepted)
            rows, draft = self._pass(known, ids, room)

    def _pass(self, known: list[int], ids: Tensor, room: int) -> tuple[Tensor, Sequence[int]]:
        """Compute the logits after the last token, and after each that is drafted to follow it."""
        past = len(known) - 1
        if self.held_tokens > past:
            cache_layers.cut_to(self.cache, past)
        if self.anew is not None and self._frequencies_change(past, past + 1):
            self.cache, rows = self.anew(ids[:, : past + 1])
            self.held_tokens = self.start = past + 1
            self._pass_s = 0.0
            return rows, ()
        began = time.perf_counter()
        most = min(_MOST_DRAFTED, max(0, room - len(known) - 1))
        if self._frequencies_change(past + 1, past + 1 + most):
            # One token is not computed as it is among others.
            most = 0
        draft = tuple(self.drafter.draft(known))[:most]
        if draft:
            ids[0, len(known) : len(known) + len(draft)] = ids.new_tensor(draft)
        rows = self.forward(
            ids[:, past : past + 1 + len(draft)], self.cache, past, logits=1 + len(draft)
        )
        settle(rows)
        self._pass_s = time.perf_counter() - began
        self.held_tokens = past + 1 + len(draft)
        return rows, draft

    def _frequencies_change(self, length: int, other: int) -> bool:
        return self.rotary is not None and self.rotary.key(length) != self.rotary.key(other)

    _pass_s: float = 0.0

    def _note(self, draft: Sequence[int], accepted: int) -> None:
        self.drafted_tokens += len(draft)
        self.accepted_tokens += accepted
        if self._pass_s:
            self.drafter.learn(len(draft), accepted, self._pass_s)


def _chosen(choose: Callable[[Tensor], int], scores: Tensor, logits: Tensor) -> int:
    """Return the token that is chosen by scores that were made of a model's logits.

    Raises:
        NotFiniteError: the logits are no numbers.
        NothingLeftError: they are, and the scores are not.
    """
    try:
        return choose(scores)
    except NotFiniteError as error:
        # Looked at only now, as a GPU would have to be waited for.
        if bool(logits.max().isfinite()):
            raise NothingLeftError from error
        raise
