"""What ends a reply: the ids that end a turn, texts, and the user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tui.engine.base import (
    Cancelled,
    Emit,
    Event,
    IsCancelled,
    ReasoningDelta,
    ReasoningFound,
    TextDelta,
)
from tui.engine.local.model_settings import token_ids
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class CancelCriteria:
    """A stopping criterion for `generate` that ends decoding within a step of a cancel."""

    def __init__(self, cancelled: IsCancelled) -> None:
        self._cancelled = cancelled
        self.fired = False

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_kwargs: Any) -> Tensor:
        """Return for each sequence of the batch whether it is done."""
        import torch

        self.fired = self.fired or self._cancelled()
        return torch.full(
            (input_ids.shape[0],), self.fired, dtype=torch.bool, device=input_ids.device
        )


class StopTexts:
    """Ends a reply before the first of some texts: passes events on, and holds back what may be the beginning of one."""

    def __init__(self, texts: Sequence[str], emit: Emit, marks: Sequence[str] = ()) -> None:
        """Watch for texts in what is given to `take`, which goes on to `emit`.

        Args:
            texts: end an answer; reasoning may hold them.
            emit: takes what is passed on.
            marks: end a reply wherever they stand, as the marks of roles do.
        """
        self._texts: dict[type[Event], tuple[str, ...]] = {
            TextDelta: tuple(text for text in (*texts, *marks) if text),
            ReasoningDelta: tuple(text for text in marks if text),
        }
        self._emit = emit
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._held = ""
        self._tokens = 0
        self.found = False

    def take(self, event: Event) -> None:
        """Pass an event on; of text, what stands before a stop text."""
        if self.found:
            return
        if isinstance(event, ReasoningFound):
            # It has what was held back.
            self._held, self._tokens = "", 0
        if not isinstance(event, TextDelta | ReasoningDelta):
            self._emit(event)
            return
        if type(event) is not self._kind:
            self._pass_on(len(self._held))
            self._kind = type(event)
        self._held += event.text
        self._tokens += event.tokens
        places = [at for text in self._texts[self._kind] if (at := self._held.find(text)) >= 0]
        if places:
            self.found = True
            self._pass_on(min(places))
        else:
            self._pass_on(len(self._held) - self._beginning())

    def finish(self) -> None:
        """Pass on what was held back, as the reply ended without a stop text."""
        if not self.found:
            self._pass_on(len(self._held))

    def _beginning(self) -> int:
        """Return how much of the held text's end may be the beginning of a stop text."""
        texts = self._texts[self._kind]
        longest = min(len(self._held), max(map(len, texts), default=1) - 1)
        ends = (size for size in range(longest, 0, -1))
        return next((n for n in ends if any(text.startswith(self._held[-n:]) for text in texts)), 0)

    def _pass_on(self, size: int) -> None:
        text, self._held = self._held[:size], self._held[size:]
        if text:
            self._emit(self._kind(text, self._tokens))
            self._tokens = 0


def end_of_turn_ids(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, of_template: Iterable[int]
) -> frozenset[int]:
    """Return the ids that end a reply: those that model and tokenizer name, and those that the chat template ends turns with.

    Some models name only the end of the text and rely on the template's own end of turn, such as `<|im_end|>`.
    """
    vocabulary = input_weights(model).shape[0]
    holders = (model.generation_config, model.config, model.config.get_text_config(), tokenizer)
    named = [token_ids(getattr(holder, "eos_token_id", None), vocabulary) for holder in holders]
    return frozenset().union(*named, token_ids(list(of_template), vocabulary))


@contextlib.contextmanager
def cancellable_layers(model: PreTrainedModel, cancelled: IsCancelled) -> Iterator[None]:
    """Make every layer of a model raise `Cancelled` when the job was cancelled.

    This stops a forward pass in the middle, which leaves any cache unusable: only for models whose prompt can't be
    computed in chunks.
    """

    def look(*_args: object) -> None:
        if cancelled():
            raise Cancelled

    lists = (list(one.children()) for one in model.modules() if type(one).__name__ == "ModuleList")
    layers: Iterable[Module] = next(filter(None, lists), [model])
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
