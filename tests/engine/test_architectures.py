"""One model of each kind of architecture: it loads, and its replies are those of `generate`, over turns and edits.

`python -m benchmarks.architectures` tries all that transformers has.
"""

import dataclasses

import pytest

from tests.engine import stock, tiny
from tests.engine.conftest import ask, chat, load

PLAIN = {
    "sees": tiny.seeing,
    "hears": tiny.hearing,
    "a cache of its own": tiny.own_cache,
    "a window that is not masked": tiny.unmasked_window,
    "recurrent": tiny.recurrent,
    "an encoder told to decode": lambda folder: tiny.read_both_ways(folder, is_decoder=True),
}
ROTARY = {
    "longrope": tiny.longrope,
    "longrope with experts": tiny.longrope_experts,
    "longrope that keeps its cache": tiny.longrope_kept,
    "dynamic frequencies": tiny.dynamic_rope,
    "dynamic frequencies in some layers": tiny.rope_by_layers,
    "longrope in some layers": lambda folder: tiny.rope_by_layers(folder, "longrope"),
}
KINDS = PLAIN | ROTARY
TURNS = (
    # Below 64 tokens, where frequencies change; then over it in the reply, in the next prompt, and from what is kept.
    (chat("a" * 20), 8),
    (chat("a" * 40), 40),
    (chat("a" * 40, "b" * 9, "c"), 12),
    (chat("x" * 130), 12),
    (chat("x" * 130, "y", "z"), 12),
    (chat("x" * 129 + "q"), 12),
    (chat("a" * 20, "b", "c"), 12),
)


@pytest.mark.parametrize("kind", KINDS)
def test_replies_are_those_of_generate(engine, tmp_path, monkeypatch, kind):
    folder = KINDS[kind](tmp_path / "model")
    load(engine, folder, dtype="float32")
    loaded = engine._loaded
    loaded.prefill = dataclasses.replace(loaded.prefill, chunk_tokens=16)
    said = stock.record(monkeypatch)
    for messages, count in TURNS if kind in ROTARY else TURNS[1:4]:
        ask(engine, messages, max_new_tokens=count)
        assert said[-1] == stock.replied(engine, folder, messages, count)
