"""The pool of KV caches against a plain model that always computes everything: whatever is done to it, logits are the same."""

import functools

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from transformers import AutoModelForCausalLM

from tests.engine import tiny
from tui.engine.demo import demo_model
from tui.engine.local import cache_layers, footprint, gguf
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.prefill import Forward, Prefill
from tui.engine.local.prefix_cache import PrefixCache, proven_kind
from tui.engine.local.progress import Reporter

# Few ids, so that prompts have starts in common; long enough to leave a window of 16 far behind.
IDS = st.lists(st.integers(3, 5), min_size=1, max_size=12)
CHUNKS = st.sampled_from([3, 8, 64])
KINDS = {
    "full": tiny.llama,
    "sliding": tiny.sliding,
    "mixed": tiny.mixed,
    "recurrent": tiny.recurrent,
    "hybrid": tiny.hybrid,
}


class Plain:
    """A model that keeps nothing."""

    def __init__(self, model):
        self.model = model
        self.known = {}

    def logits(self, ids):
        ids = tuple(ids)
        if ids not in self.known:
            with torch.inference_mode():
                made = self.model(input_ids=torch.tensor([ids]), use_cache=False)
            self.known[ids] = made.logits[0, -1].log_softmax(-1)
        return self.known[ids]


class CacheMachine(RuleBasedStateMachine):
    """Prompts of a growing tree of chats, in any order, with everything that can come between."""

    model = None
    tolerance = 1e-4
    prompts = Bundle("prompts")

    @initialize()
    def start(self):
        self.budget = 10**9
        self.plain = Plain(self.model)
        self.pool = PrefixCache(self.model, budget_bytes=lambda: self.budget)
        self.forward = Forward(self.model, self.pool.argument)

    def tensor(self, ids):
        return torch.tensor([ids])

    def same(self, logits, ids):
        found = logits[-1].log_softmax(-1)
        difference = (found - self.plain.logits(ids)).abs().max()
        assert difference <= self.tolerance, f"{difference} after {len(ids)} ids"

    @rule(target=prompts, ids=IDS)
    def begin(self, ids):
        return tuple(ids * 3)

    @rule(target=prompts, prompt=prompts, more=IDS)
    def next_turn(self, prompt, more):
        return (*prompt, *more)[:90]

    @rule(target=prompts, prompt=prompts, share=st.floats(0, 1), other=IDS)
    def edit(self, prompt, share, other):
        return (*prompt[: int(len(prompt) * share)], *other)

    @rule(prompt=prompts, reply=IDS, chunk=CHUNKS, tail=st.booleans())
    def reply(self, prompt, reply, chunk, tail):
        """A prompt is computed and a reply decoded, token by token."""
        with torch.inference_mode():
            cache = self.computed(prompt, chunk, tail)
            known = list(prompt)
            for token in reply:
                known.append(token)
                logits = self.forward(self.tensor([token]), cache, len(known) - 1)
                self.same(logits, known)
        self.pool.keep(cache, known, len(known))

    def computed(self, prompt, chunk, tail=True):
        lent = self.pool.take(prompt, keeps_tail=tail)
        assert 0 <= lent.tokens < len(prompt)
        prefill = Prefill(self.forward, self.pool.kind, self.pool.rotary, chunk)
        ids, start = self.tensor(prompt), lent.tokens
        if self.pool.kind is CacheKind.WHOLE and start < len(prompt) - 1:
            start = prefill(ids, lent.cache, start, len(prompt) - 1, lambda: False).tokens
            self.pool.keep_copy(lent.cache, prompt, start)
        done = prefill(ids, lent.cache, start, len(prompt), lambda: False)
        assert done.tokens == len(prompt)
        self.same(done.logits, prompt)
        return lent.cache

    @precondition(lambda self: self.pool.kind is CacheKind.CUTTABLE)
    @rule(prompt=prompts, draft=IDS, right=st.integers(0, 12))
    def draft(self, prompt, draft, right):
        """Tokens are drafted, and the wrong ones taken back."""
        with torch.inference_mode():
            cache = self.computed(prompt, 64)
            rows = self.forward(self.tensor(draft), cache, len(prompt), logits=len(draft))
            self.same(rows, (*prompt, *draft))
            right = min(right, len(draft))
            assert cache_layers.cut_to(cache, len(prompt) + right)
            known = (*prompt, *draft[:right], 4)
            self.same(self.forward(self.tensor([4]), cache, len(known) - 1), known)
        self.pool.keep(cache, known)

    @rule(prompt=prompts, looks=st.integers(0, 12), chunk=CHUNKS)
    def stop(self, prompt, looks, chunk):
        """Reading a prompt is stopped at any place, also between two layers."""
        left = [looks]

        def cancelled():
            left[0] -= 1
            return left[0] < 0

        lent = self.pool.take(prompt)
        prefill = Prefill(self.forward, self.pool.kind, self.pool.rotary, chunk)
        with torch.inference_mode():
            done = prefill(self.tensor(prompt), lent.cache, lent.tokens, len(prompt), cancelled)
        self.pool.keep(lent.cache, prompt, done.tokens)

    @rule(prompt=prompts)
    def fail(self, prompt):
        """A cache that was taken never comes back, half extended."""
        lent = self.pool.take(prompt)
        with torch.inference_mode():
            self.forward(self.tensor(prompt[lent.tokens :]), lent.cache, lent.tokens)

    @rule(share=st.sampled_from([0, 0.5, 1]))
    def memory(self, share):
        self.budget = int(self.pool.bytes * share) if share < 1 else 10**9

    @rule()
    def drop(self):
        self.pool.drop()
        assert self.pool.bytes == 0

    @invariant()
    def counts(self):
        if hasattr(self, "pool"):
            assert self.pool.bytes == sum(
                footprint.cache_bytes(one.cache) for one in self.pool._entries
            )
            assert all(
                cache_layers.length(one.cache) in (None, len(one.ids)) for one in self.pool._entries
            )


@functools.cache
def model_of(make, folder):
    return AutoModelForCausalLM.from_pretrained(make(folder), dtype=torch.float32).eval()


def try_out(name, model, *, examples, tolerance=1e-4):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        machine = type(name, (CacheMachine,), {"model": model, "tolerance": tolerance})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples, stateful_step_count=20, deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", KINDS)
def test_the_pool_gives_the_logits_of_a_model_that_computes_everything(kind, tmp_path):
    model = model_of(KINDS[kind], tmp_path / "model")
    assert proven_kind(model, "cpu") is not CacheKind.NONE
    try_out(kind, model, examples=10)


def test_the_pool_gives_the_logits_of_the_real_model(demo, converted):
    """In float32: 16 bits round a token otherwise alone and among many, with any cache and with none."""
    folder = gguf.convert(demo_model(), converted, Reporter(lambda _event: None, lambda: False))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    assert model.config.num_hidden_layers == demo._loaded.model.config.num_hidden_layers
    try_out("real", model, examples=3, tolerance=1e-3)
