"""What ends a reply: the ids that end a turn, and the user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from tui.engine.base import Cancelled, Emit, Event, IsCancelled, TextDelta


class CancelCriteria:
    """A stopping criterion for `generate` that ends decoding within a step of a cancel."""

    def __init__(self, cancelled: IsCancelled) -> None:
        self._cancelled = cancelled
        self.fired = False

    def __call__(self, input_ids: Any, _scores: Any, **_kwargs: Any) -> Any:
        """Return for each sequence of the batch whether it is done."""
        import torch

        self.fired = self.fired or self._cancelled()
        return torch.full(
            (input_ids.shape[0],), self.fired, dtype=torch.bool, device=input_ids.device
        )


class StopTexts:
    """Ends an answer before the first of some texts: passes events on, and holds back what may be the beginning of one."""

    def __init__(self, texts: Sequence[str], emit: Emit) -> None:
        """Watch for `texts` in what is given to `take`, which goes on to `emit`."""
        self._texts = tuple(text for text in texts if text)
        self._emit = emit
        self._held = ""
        self._tokens = 0
        self.found = False

    def take(self, event: Event) -> None:
        """Pass an event on; of an answer's text, what stands before a stop text."""
        if not isinstance(event, TextDelta) or not self._texts:
            self._emit(event)
            return
        if self.found:
            return
        self._held += event.text
        self._tokens += event.tokens
        places = [at for text in self._texts if (at := self._held.find(text)) >= 0]
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
        longest = min(len(self._held), max(map(len, self._texts)) - 1)
        ends = (size for size in range(longest, 0, -1))
        return next(
            (n for n in ends if any(text.startswith(self._held[-n:]) for text in self._texts)), 0
        )

    def _pass_on(self, size: int) -> None:
        text, self._held = self._held[:size], self._held[size:]
        if text:
            self._emit(TextDelta(text, self._tokens))
            self._tokens = 0


def end_of_turn_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Return the ids that end a reply: those that model and tokenizer name, and the one that the chat template writes.

    Some models name only the end of the text and rely on the template's own end of turn, such as `<|im_end|>`.
    """
    found: set[int | None] = set()
    for holder in (model.generation_config, model.config.get_text_config(), tokenizer):
        value = getattr(holder, "eos_token_id", None)
        found.update(value if isinstance(value, list | tuple) else [value])
    found.add(_template_end_id(tokenizer))
    return frozenset(int(token) for token in found if token is not None)


def _template_end_id(tokenizer: Any) -> int | None:
    """Return the special token that the chat template puts right after what the assistant said, if it does."""
    if not getattr(tokenizer, "chat_template", None):
        return None
    said = "chat-tui-marker"
    chat = [{"role": "user", "content": "?"}, {"role": "assistant", "content": said}]
    try:
        text = tokenizer.apply_chat_template(chat, tokenize=False)
        following = tokenizer.encode(text.rpartition(said)[2].lstrip(), add_special_tokens=False)
    except Exception:  # noqa: BLE001 - a template is a program of somebody else; then the named ids must do
        return None
    special = set(tokenizer.all_special_ids)
    return following[0] if following and following[0] in special else None


@contextlib.contextmanager
def cancellable_layers(model: Any, cancelled: IsCancelled) -> Iterator[None]:
    """Make every layer of a model raise `Cancelled` when the job was cancelled.

    This stops a forward pass in the middle, which leaves any cache unusable: only for models whose prompt can't be
    computed in chunks.
    """

    def look(*_args: Any) -> None:
        if cancelled():
            raise Cancelled

    layers = next(
        (
            module
            for module in model.modules()
            if type(module).__name__ == "ModuleList" and len(module) > 0
        ),
        [model],
    )
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
