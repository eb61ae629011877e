"""Decodes with a pass compiled by torch: fewer, larger steps, which on a GPU are also launched as one.

Compiled code needs keys and values that stay where they are, in a cache of fixed size. The caches that are kept grow, and can be
cut and copied. So the start of a chat that is computed goes into the fixed cache before a reply is decoded, and what was added comes
back after it. What was compiled is kept by `code_cache`, from where it comes back in seconds. Imports torch and transformers: only to be
imported when a model is there.

See https://huggingface.co/docs/transformers/llm_optims for the static cache, and
https://docs.pytorch.org/tutorials/recipes/torch_compile_caching_tutorial.html for the folder.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import CompileConfig, StaticCache

from tui.dataclass import dataclass
from tui.engine import failures
from tui.engine.local import cache_layers, footprint
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.growing_layers import GrowingSlidingLayer
from tui.engine.local.prefill import Forward, Pass
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel

_log = logging.getLogger(__name__)

_KNOW_FIXED_CACHES: Final = ("sdpa", "eager")
"""Implementations of attention that leave out what is not written yet."""
_MOST_SIZES: Final = 64
_LEAST_TOKENS: Final = 1024
"""The smallest fixed cache; larger ones have twice the size of the one before."""
_ROOM_TOKENS: Final = 1024
"""A cache is chosen in which so long a reply has room."""
_WARM_UP_PASSES: Final = 3
"""The first one compiles, and on a GPU the next ones are recorded."""


def why_not(model: PreTrainedModel, kind: CacheKind) -> str:
    """Return the reason why a model's pass can't be compiled, as part of a sentence; empty if it can."""
    quantizer = getattr(model, "hf_quantizer", None)
    places = set((getattr(model, "hf_device_map", None) or {}).values())
    layers = cache_layers.fresh(model.config).layers if kind is CacheKind.CUTTABLE else []
    attention = getattr(model.config, "_attn_implementation", "")
    if attention not in _KNOW_FIXED_CACHES:
        return f"the attention {attention} doesn't support a fixed-size cache"
    if not layers or any(isinstance(layer, GrowingSlidingLayer) for layer in layers):
        return "its KV cache doesn't have a fixed size"
    if not getattr(model, "_can_compile_fullgraph", False):
        return f"the code of {type(model).__name__} doesn't support compilation"
    if quantizer is not None and not quantizer.is_compileable:
        return "its quantization can't be compiled"
    if len(places) > 1:
        return "it is spread over several devices"
    return ""


@dataclass(slots=True)
class Compiled:
    """The compiled pass of one model, and its fixed cache.

    Attributes:
        forward: runs the model as it is, for passes over several tokens.
        longest: the context in tokens; 0 for no limit.
        options: how to compile.
        keep_code: called when code was compiled, which a later process may want.
    """

    forward: Forward
    longest: int
    options: CompileConfig = field(default_factory=lambda: CompileConfig(dynamic=False))
    keep_code: Callable[[], None] = lambda: None
    cache: StaticCache | None = None
    """The fixed cache, a `StaticCache`; None when nothing was decoded yet."""
    size: int = 0
    """Of it in tokens."""
    bytes: int = 0
    """What it takes in memory; readable from any thread."""
    _known: set[int] = field(default_factory=set)
    """Sizes that there is compiled code for."""
    _unusable: set[int] = field(default_factory=set)
    """Sizes for which that failed."""

    def warm_up(self) -> None:
        """Compile for the smallest cache.

        Raises:
            Exception: an error from the compiler.
        """
        import torch._inductor.config as inductor

        # Processes of its own would write to the terminal.
        inductor.compile_threads = 1
        # They lie in a folder with a guessable name that all users share; see `code_cache`, which may have come too late.
        inductor.cpp_cache_precompile_headers = False
        # Sizes of several models, each compiled for again.
        torch._dynamo.config.recompile_limit = _MOST_SIZES  # noqa: SLF001 - its only name
        model = self.forward.model
        cache = cache_layers.fresh(model.config)
        ids = torch.zeros((1, 1 + _WARM_UP_PASSES), dtype=torch.long, device=self._device)
        with torch.inference_mode():
            self.forward(ids[:, :1], cache, 0)
            self._fill(cache, 1, self._size_for(2))
            for past in range(1, 1 + _WARM_UP_PASSES):
                self.step(ids[:, past : past + 1], past, 1)
            self._known.add(self.size)
        self.keep_code()

    @contextlib.contextmanager
    def over(
        self,
        cache: Cache,
        held: int,
        new: int,
        on_compile: Callable[[int], None] = lambda _size: None,
    ) -> Iterator[Pass]:
        """Lend a pass that extends a cache, which has all that was computed when the block is left without an error.

        Args:
            cache: a growing cache.
            held: how many tokens it holds.
            new: how many may be added at most.
            on_compile: told for how many tokens of context code has to be compiled first, which takes a while.
        """
        wanted = held + min(max(new, 1), _ROOM_TOKENS)
        size = self._size_for(wanted)
        if size < wanted or not self._is_filled(cache, held, size, on_compile):
            yield self.forward
            return
        steps = _Steps(self, cache, held)
        yield steps
        steps.bring_back()

    def _size_for(self, tokens: int) -> int:
        size = _LEAST_TOKENS
        while size < tokens:
            size *= 2
        return min(size, self.longest) if self.longest else size

    def _is_filled(
        self, cache: Cache, held: int, size: int, on_compile: Callable[[int], None]
    ) -> bool:
        """Make the fixed cache ready for a reply, and see to it that there is code for it; return False where that fails."""
        if size in self._unusable:
            return False
        try:
            self._fill(cache, held, size)
            if size not in self._known:
                on_compile(size)
                # Now, so that it does not count as the time of a token.
                self.step(torch.zeros((1, 1), dtype=torch.long, device=self._device), held, 1)
                self.set_length(held)
                self._known.add(size)
                self.keep_code()
        except Exception as error:  # noqa: BLE001 - memory may be short, and compilers fail in many ways: it goes without
            failures.log(_log, logging.WARNING, f"nothing was compiled for {size} tokens", error)
            self._unusable.add(size)
            self.drop_cache()
            return False
        return True

    def set_length(self, tokens: int) -> None:
        """Have the fixed cache hold its first tokens; what comes is written over the others."""
        for layer in _layers(self.cache):
            layer.cumulative_length.fill_(tokens)

    def drop_cache(self) -> None:
        """Free the fixed cache; the next reply makes another."""
        self.cache, self.size, self.bytes = None, 0, 0

    def forget_code(self) -> None:
        """Record that all compiled code was discarded."""
        self._known.clear()

    @property
    def _device(self) -> torch.device:
        return input_weights(self.forward.model).device

    def _fill(self, cache: Cache, held: int, size: int) -> None:
        if self.cache is None or self.size != size:
            # Free the old one first: both may not fit in memory.
            self.drop_cache()
            self.cache = StaticCache(config=self.forward.model.config, max_cache_len=size)
            self.size = size
        for fixed, layer in zip(_layers(self.cache), _layers(cache), strict=True):
            keys, values = layer.keys[..., :held, :], layer.values[..., :held, :]
            if not fixed.is_initialized:
                fixed.lazy_initialization(keys, values)
            fixed.keys[..., :held, :] = keys
            fixed.values[..., :held, :] = values
        self.set_length(held)
        self.bytes = footprint.cache_bytes(self.cache)

    def step(self, ids: torch.Tensor, past: int, logits: int) -> torch.Tensor:
        """Run over tokens after the first `past`."""
        count = ids.shape[1]
        options: dict[str, Any] = {"past_key_values": self.cache, "logits_to_keep": logits}
        options["position_ids"] = torch.arange(past, past + count, device=ids.device).unsqueeze(0)
        model = self.forward.model
        # Cut out of a longer one it has another stride in each reply, for which it would be compiled again.
        own = ids.flatten().clone().unsqueeze(0)
        run = model.get_compiled_call(self.options) if count == 1 else model
        made = run(input_ids=own, use_cache=True, return_dict=True, **options)
        found: torch.Tensor = made.logits
        return found[0, -logits:]


@dataclass(slots=True)
class _Steps:
    """The passes of one reply over the fixed cache; a reply that outgrows it goes on over the growing one."""

    compiled: Compiled
    cache: Cache
    held: int
    _brought: int = field(init=False)
    _has_left: bool = False

    def __post_init__(self) -> None:
        self._brought = self.held

    def __call__(self, ids: torch.Tensor, cache: Cache, past: int, logits: int = 1) -> torch.Tensor:
        """Extend what is held; see `Forward`."""
        if not self._has_left and past + ids.shape[1] > self.compiled.size:
            self.held = min(self.held, past)
            self.bring_back()
            self._has_left = True
        if self._has_left:
            return self.compiled.forward(ids, cache, past, logits)
        if past != self.held:
            self.compiled.set_length(past)
        made = self.compiled.step(ids, past, logits)
        self.held = past + ids.shape[1]
        return made

    def bring_back(self) -> None:
        """Append what was computed to the growing cache."""
        fixed = self.compiled.cache
        if self._has_left or fixed is None or self.held <= self._brought:
            return
        start, stop = self._brought, self.held
        for layer, one in zip(_layers(self.cache), _layers(fixed), strict=True):
            layer.update(one.keys[..., start:stop, :], one.values[..., start:stop, :])
        self._brought = stop


def _layers(cache: Cache | None) -> list[Any]:
    """Return the layers of a cache, of a fixed or a growing one, which both have keys and values."""
    return [] if cache is None else list(cache.layers)


def forget() -> None:
    """Free what compiled code holds; the memory of a GPU's recorded graphs above all."""
    torch.compiler.reset()
