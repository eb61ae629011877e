"""Keeps the KV caches of recent prompts and replies, so that only what is new is computed: over turns, edits, branches and chats.

`generate` never checks that a cache fits the ids that it is given, and a wrong one gives silently wrong text. So the ids are
kept here beside each cache, and what can't be cut back exactly is computed again. So is what was computed with other rotary frequencies
than the prompt asks for. A cache is lent out by `take` and comes
back by `keep`; one that does not come back, as after any exception, is gone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from tui.dataclass import dataclass
from tui.engine import limits, memory
from tui.engine.local import cache_layers, footprint, habits
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.placement import input_device
from tui.engine.local.prefill import Forward
from tui.engine.local.rotary import Key, Rotary

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import Cache, PreTrainedConfig

    from tui.engine.local.text_model import TextModel

_TAIL_WORTH_KEEPING_TOKENS: Final = 32
"""What a prompt does not go on from is kept for another one when it is at least so long; otherwise it is cut off."""
_MOST_ENTRIES: Final = 32
_WINDOW_MASKS: Final = ("create_sliding_window_causal_mask", "create_masks_for_generate")
_PROOF_TOKENS: Final = 12
_DEFAULT_BUDGET_BYTES: Final = 2**30
_LEAST_BUDGET_BYTES: Final = 64 * 2**20
_GREATEST_BUDGET_BYTES: Final = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Lent:
    """A cache returned by `take`.

    Attributes:
        cache: the cache; its owner extends it.
        tokens: how many ids at the start of the prompt it holds.
        dropped_tokens: how many more it held before, which no later prompt can go on from.
    """

    cache: Cache
    tokens: int = 0
    dropped_tokens: int = 0


@dataclass(slots=True)
class _Entry:
    cache: Cache
    ids: list[int]
    bytes: int
    used: int
    key: Key


class PrefixCache:
    """A pool of KV caches, each with the ids whose keys and values it holds."""

    def __init__(
        self,
        model: TextModel,
        *,
        kind: CacheKind | None = None,
        budget_bytes: Callable[[], int] | None = None,
    ) -> None:
        """Start empty.

        Args:
            model: whose caches these are.
            kind: how they can be used, as `proven_kind` tells; None for what the model's classes tell of themselves.
            budget_bytes: returns what the pool may take in memory now, the newest cache whatever it takes; None for a share
                of what is free on the model's device.
        """
        self._config = model.config
        self._entries: list[_Entry] = []
        self._clock = 0
        device = str(input_device(model))
        self._budget_bytes = budget_bytes or (lambda: budget(device, lambda: self.bytes))
        self.rotary = Rotary(model)
        """The model's frequencies, which a kept cache must agree with."""
        self.argument = cache_layers.argument_of(model)
        """The name under which the model takes a cache."""
        self.kind = cache_layers.kind_of(model) if kind is None else kind
        self.bytes = 0
        """What the pool takes in memory; readable from any thread."""

    @property
    def is_usable(self) -> bool:
        """Whether this model's caches can be kept at all."""
        return self.kind is not CacheKind.NONE

    def take(
        self, ids: Sequence[int], *, keeps_tail: bool = True, at_most: int | None = None
    ) -> Lent:
        """Return a cache that holds a start of `ids`; at least the last id is left to compute.

        Args:
            ids: the whole prompt.
            keeps_tail: keep what the cache holds beyond that for another prompt, as when the user goes back to it.
            at_most: so many ids; None for no limit.
        """
        entry, common = self._best(ids)
        if at_most is not None and at_most < common:
            # States of recurrent models can't be truncated.
            common = 0 if self.kind is CacheKind.WHOLE else at_most
        if entry is None or not common:
            return Lent(cache_layers.fresh(self._config))
        self._clock += 1
        entry.used = self._clock
        if self.kind is CacheKind.WHOLE:
            return Lent(cache_layers.copy_whole(entry.cache), common)
        dropped = len(entry.ids) - common
        if keeps_tail and dropped >= _TAIL_WORTH_KEEPING_TOKENS and self._has_room_for(entry):
            copied = cache_layers.copy_start(entry.cache, common)
            if copied is not None:
                return Lent(copied, common)
        self._remove(entry)
        if cache_layers.cut_to(entry.cache, common):
            return Lent(entry.cache, common, dropped)
        return Lent(cache_layers.fresh(self._config), 0, len(entry.ids))

    def keep(
        self,
        cache: Cache,
        ids: Sequence[int],
        tokens: int | None = None,
        *,
        start: int | None = None,
    ) -> None:
        """Keep a cache that was taken, as far as all of it has the same rotary frequencies.

        Args:
            cache: what was taken and extended.
            ids: what it was extended over, or more.
            tokens: how many of these it holds; None to ask the cache, which one of a recurrent model can't tell.
            start: the length that its start was computed for, as a chunk of a longer prompt is; None for what it holds.
        """
        held = cache_layers.length(cache) if tokens is None else tokens
        start = held if start is None else start
        if held and start is not None and (alike := self.rotary.alike(start, held)) < held:
            held = alike if cache_layers.cut_to(cache, alike) else 0
        if not held or held > len(ids) or cache_layers.length(cache) not in (None, held):
            return
        self._clock += 1
        key = self.rotary.key(held if start is None else start)
        entry = _Entry(cache, list(ids[:held]), footprint.cache_bytes(cache), self._clock, key)
        if self.kind is CacheKind.CUTTABLE:
            # The longer one can do all that the shorter can.
            self._entries = [
                one
                for one in self._entries
                if one.key != entry.key or not _is_start(one.ids, entry.ids)
            ]
        else:
            self._entries = [
                one for one in self._entries if (one.key, one.ids) != (entry.key, entry.ids)
            ]
        self._entries.append(entry)
        self._make_room()

    def keep_copy(self, cache: Cache, ids: Sequence[int], tokens: int) -> None:
        """Keep a copy of a cache that holds the first tokens of a prompt and is about to be extended, where it can't be cut back."""
        if self.kind is CacheKind.WHOLE and tokens:
            self.keep(cache_layers.copy_whole(cache), ids, tokens, start=len(ids))

    def covers(self, ids: Sequence[int]) -> int:
        """Return how many ids at the start of a prompt would not be computed again."""
        return self._best(ids)[1]

    def drop(self) -> None:
        """Forget all caches; their memory is free when no one else holds them."""
        self._entries.clear()
        self.bytes = 0

    @property
    def tokens(self) -> int:
        """How many tokens the newest cache holds."""
        return len(max(self._entries, key=lambda one: one.used).ids) if self._entries else 0

    @property
    def entries(self) -> int:
        """The number of caches."""
        return len(self._entries)

    def _best(self, ids: Sequence[int]) -> tuple[_Entry | None, int]:
        """Return the entry with the most to reuse, the newest of equals, and how many ids that is."""
        best, most = None, 0
        key = self.rotary.key(len(ids))
        for entry in sorted(self._entries, key=lambda one: one.used):
            if entry.key != key:
                continue
            common = min(common_prefix(entry.ids, ids), len(ids) - 1)
            if self.kind is CacheKind.WHOLE and common < len(entry.ids):
                continue
            if common >= max(most, 1):
                best, most = entry, common
        return best, most

    def _has_room_for(self, entry: _Entry) -> bool:
        """Return whether a copy of an entry fits the budget beside it; the others may have to go."""
        return 2 * entry.bytes <= self._budget_bytes()

    def _make_room(self) -> None:
        """Bring the pool back into its budget: first the past of windows goes, then the caches that were used longest ago."""
        allowed = self._budget_bytes()
        by_age = sorted(self._entries, key=lambda one: one.used)
        if sum(one.bytes for one in by_age) > allowed:
            for entry in by_age:
                cache_layers.forget_past(entry.cache)
                entry.bytes = footprint.cache_bytes(entry.cache)
        while len(by_age) > 1 and (
            len(by_age) > _MOST_ENTRIES or sum(one.bytes for one in by_age) > allowed
        ):
            by_age.pop(0)
        self._entries = by_age
        self._count()

    def _remove(self, entry: _Entry) -> None:
        self._entries = [one for one in self._entries if one is not entry]
        self._count()

    def _count(self) -> None:
        self.bytes = sum(one.bytes for one in self._entries)


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many ids at the start of both are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _is_start(short: Sequence[int], long: Sequence[int]) -> bool:
    return len(short) <= len(long) and list(long[: len(short)]) == list(short)


def budget(device: str, own_bytes: Callable[[], int]) -> int:
    """Return what the pool may take on a device now: a quarter of what nobody else uses there, within bounds.

    Args:
        device: as torch names it.
        own_bytes: returns what the pool takes already.
    """
    reading = memory.read(device)
    if not reading.total:
        return _DEFAULT_BUDGET_BYTES
    free = reading.total - reading.used + own_bytes()
    return max(_LEAST_BUDGET_BYTES, min(_GREATEST_BUDGET_BYTES, free // 4))


def proven_kind(model: TextModel, device: torch.device) -> CacheKind:
    """Return how a model's cache can be used; where that isn't plain, only when it is shown to go on exactly.

    Args:
        model: of which kind; costs it a few short passes when it isn't plain.
        device: of its inputs.
    """
    kind = cache_layers.kind_of(model)
    if kind is CacheKind.NONE or not _masks_windows(model):
        return CacheKind.NONE
    is_plain = kind is CacheKind.CUTTABLE and _is_plain(model)
    return kind if is_plain or _goes_on_exactly(model, device) else CacheKind.NONE


def _is_plain(model: TextModel) -> bool:
    """Return whether a cache needs no proof: transformers relies on it where it compiles, and `generate` does nothing of its own."""
    is_compiled = bool(getattr(model, "_can_compile_fullgraph", False))
    return is_compiled and habits.gives_positions(model, cache_layers.argument_of(model))


def _masks_windows(model: TextModel) -> bool:
    """Return whether layers whose cache keeps a window only see one, too. Where they see more, texts in pieces see less of it."""
    if not any(
        hasattr(layer, "sliding_window") for layer in cache_layers.fresh(model.config).layers
    ):
        return True
    modules = {type(module).__module__ for module in model.modules()}
    return any(
        hasattr(sys.modules.get(name), name_of) for name in modules for name_of in _WINDOW_MASKS
    )


def _goes_on_exactly(model: TextModel, device: torch.device) -> bool:
    """Return whether a cache gives the same logits in one piece and in several."""
    import torch

    cache = cache_layers.fresh(model.config)
    try:
        forward = Forward(model, cache_layers.argument_of(model))
        with torch.inference_mode():
            whole = torch.tensor([_proof_ids(model.config)], device=device)
            expected = _log_probabilities(forward.alone(whole, 0))
            forgetful = _log_probabilities(forward.alone(whole[:, 9:], 9))
            for start, stop in ((0, 5), (5, 9), (9, _PROOF_TOKENS)):
                logits = forward(whole[:, start:stop], cache, start)
            found = _log_probabilities(logits)
    except Exception:  # noqa: BLE001 - code of many models: one has a cache of its own, another goes on by one token only
        return False
    difference = (expected - found).abs().max()
    # What the state is worth here; one that is passed over must not go unnoticed where it matters little.
    worth = (expected - forgetful).abs().max()
    tolerance = 1e-4 if logits.dtype == torch.float32 else 0.25
    return bool(difference <= tolerance and difference <= worth / 10)


def _proof_ids(config: PreTrainedConfig) -> list[int]:
    """Return some tokens of a vocabulary, with the one for padding among them, which some models count apart."""
    text = config.get_text_config()
    # At its ends are those that stand for pictures and the like.
    middle = text.vocab_size // 2
    ids = list(range(middle, middle + _PROOF_TOKENS))
    padding = getattr(text, "pad_token_id", None)
    if isinstance(padding, int) and limits.is_count(padding, text.vocab_size - 1):
        ids[2] = padding
    return ids


def _log_probabilities(logits: Tensor) -> Tensor:
    return logits[-1].float().log_softmax(-1)
