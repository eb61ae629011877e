"""What transformers' own `generate` replies, to hold the engine against."""

from __future__ import annotations

import torch
import transformers
from transformers import GenerationConfig

from tui.engine.local import generation


def record(monkeypatch):
    """Return a list that always ends with the ids of the last reply, each reply a list."""
    said = []

    class Recorded(generation.ReplyStreamer):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            said.append(self.ids)

    monkeypatch.setattr(generation, "ReplyStreamer", Recorded)
    return said


def replied(engine, folder, messages, max_new_tokens):
    """Return the ids of the greedy reply of a fresh model, computed in float32 and without anything kept."""
    loaded = engine._loaded
    kind = getattr(transformers, type(loaded.model).__name__)
    model = kind.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config = GenerationConfig()
    ids = torch.tensor([list(loaded.prompts.build(messages).ids)])
    config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(loaded.end_ids),
        pad_token_id=min(loaded.end_ids),
    )
    with torch.inference_mode():
        made = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    return made[0, ids.shape[1] :].tolist()
