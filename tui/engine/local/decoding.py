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
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tui.engine.local import cache_layers
from tui.engine.local.prefill import Pass

_MOST_DRAFTED: Final = 30
"""More tokens at once would be computed in another way than one."""


class Drafter(Protocol):
    """Foresees tokens."""

    def draft(self, ids: Sequence[int]) -> Sequence[int]:
        """Return what may come after these ids; empty when that is not worth a try."""
        ...

    def learn(self, drafted: int, accepted: int, elapsed_s: float) -> None:
        """Take note of a pass: how many tokens had been drafted, how many were right, and how long it took."""
        ...


class NoDrafter:
    """Foresees nothing."""

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
    """

    forward: Pass
    cache: Any
    logits: Any
    take: Callable[[int], None]
    drafter: Drafter
    held_tokens: int = 0
    """How many ids of prompt and reply the cache holds."""
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    def __call__(
        self,
        model: Any,  # noqa: ARG002 - `generate` passes it
        input_ids: Any,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        **_options: Any,
    ) -> Any:
        """Decode until a stopping criterion fires; return prompt and reply as `generate` does."""
        import torch

        prompt = input_ids.shape[1]
        room = max(prompt + 1, generation_config.max_length or prompt + 1)
        ids = torch.empty((1, room + 1), dtype=input_ids.dtype, device=input_ids.device)
        ids[:, :prompt] = input_ids
        known: list[int] = input_ids[0].tolist()
        self.held_tokens = prompt
        rows: Any = self.logits
        draft: Sequence[int] = ()
        is_greedy = not generation_config.do_sample
        while True:
            accepted = 0
            for index, row in enumerate(rows):
                count = len(known)
                row_scores = row.to(dtype=torch.float32, copy=True).unsqueeze(0)
                scores = logits_processor(ids[:, :count], row_scores)
                token = _greedy(scores) if is_greedy else _drawn(scores)
                ids[0, count] = token
                known.append(token)
                self.take(token)
                if bool(stopping_criteria(ids[:, : count + 1], scores).all()):
                    self._note(draft, accepted)
                    return ids[:, : len(known)]
                if index >= len(draft) or draft[index] != token:
                    break
                accepted += 1
            self._note(draft, accepted)
            rows, draft = self._pass(known, ids, room)

    def _pass(self, known: list[int], ids: Any, room: int) -> tuple[Any, Sequence[int]]:
        """Compute the logits after the last token, and after each that is drafted to follow it."""
        past = len(known) - 1
        if self.held_tokens > past:
            cache_layers.cut_to(self.cache, past)
        began = time.perf_counter()
        most = min(_MOST_DRAFTED, max(0, room - len(known) - 1))
        draft = tuple(self.drafter.draft(known))[:most]
        if draft:
            ids[0, len(known) : len(known) + len(draft)] = ids.new_tensor(draft)
        rows = self.forward(
            ids[:, past : past + 1 + len(draft)], self.cache, past, logits=1 + len(draft)
        )
        self._pass_s = time.perf_counter() - began
        self.held_tokens = past + 1 + len(draft)
        return rows, draft

    _pass_s: float = 0.0

    def _note(self, draft: Sequence[int], accepted: int) -> None:
        self.drafted_tokens += len(draft)
        self.accepted_tokens += accepted
        if self._pass_s:
            self.drafter.learn(len(draft), accepted, self._pass_s)


def _greedy(scores: Any) -> int:
    return int(scores.argmax(-1))


def _drawn(scores: Any) -> int:
    import torch

    return int(torch.multinomial(scores.softmax(-1), num_samples=1))
