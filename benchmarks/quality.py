"""The loss of quality when weights are stored in fewer bits, compared with the same checkpoint in float32.

    python -m benchmarks.quality [--steps 400] [--tokens 4096] [--only NAME,NAME] [--json benchmarks/quality.json]

`make docs` generates docs/reference/quality.md from the last run that was written to `benchmarks/quality.json`.

There are two checkpoints. A small one is trained here on nine tenths of the documentation that comes with Python, and was never
quantized. The other is the demo model, whose file is already in 4 bits, so that it tells little about other 4-bit quantizations.
The figures: the perplexity of text that the model was not trained on, the Kullback-Leibler divergence of its next-token probabilities
from those in float32 (nats, mean over tokens), and how often both have the same most likely token.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._environments import model_cache
from benchmarks._tables import quality_markdown

CONTEXT = 256
BATCH = 16
SIZES = {
    "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": False,
}  # fmt: skip


def shipped_text() -> str:
    """Return the texts about the language that come with Python."""
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def train(folder: Path, text: str, steps: int) -> Path:
    """Train a small model on bytes of a text, and save it as a checkpoint in bfloat16."""
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    from tests.engine import tiny

    tokenizer = tiny.tokenizer()
    config = LlamaConfig(**SIZES, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id)
    config.bos_token_id = config.pad_token_id = None
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    ids = torch.tensor(tokenizer(text)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        starts = torch.randint(len(ids) - CONTEXT, (BATCH,))
        batch = torch.stack([ids[start : start + CONTEXT] for start in starts.tolist()])
        loss = model(input_ids=batch, labels=batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == steps - 1:
            print(f"  step {step}: loss {loss.item():.3f}", file=sys.stderr, flush=True)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def log_probabilities(engine: Any, text: str, tokens: int) -> Iterator[tuple[Any, Any]]:
    """Yield, one context at a time, the log-probabilities `(tokens, vocabulary)` of a loaded model, and the actual tokens."""
    import torch

    loaded = engine._loaded  # noqa: SLF001 - what crosses the engine's protocol are texts, never logits
    ids = loaded.tokenizer(text[: tokens * 8], add_special_tokens=False)["input_ids"][:tokens]
    for start in range(0, len(ids) - 1, CONTEXT):
        piece = torch.tensor([ids[start : start + CONTEXT + 1]])
        if piece.shape[1] < 2:
            return
        with torch.inference_mode():
            logits = loaded.model(input_ids=piece[:, :-1]).logits[0].float()
        yield logits.log_softmax(-1), piece[0, 1:]


def measure(model: str, text: str, tokens: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Return the figures of each quantization of a model."""
    from tui.engine.base import LoadRequest
    from tui.engine.local.engine import LocalEngine

    engine = LocalEngine(model_cache())
    found: dict[str, dict[str, float]] = {}
    requests = [("float32", LoadRequest(model, dtype="float32"))]
    requests += [(name, LoadRequest(model, name)) for name in names]
    exact: list[Any] = []
    for name, request in requests:
        print(f"{model}: {name}", file=sys.stderr, flush=True)
        engine.load(request, lambda _event: None, lambda: False)
        surprise = divergence = same = 0.0
        count = 0
        for number, (logs, came) in enumerate(log_probabilities(engine, text, tokens)):
            if name == "float32":
                exact.append(logs)
            expected = exact[number]
            surprise -= logs.gather(1, came.unsqueeze(1)).sum().item()
            divergence += (expected.exp() * (expected - logs)).sum().item()
            same += (logs.argmax(-1) == expected.argmax(-1)).sum().item()
            count += len(came)
        found[name] = {
            "perplexity": math.exp(surprise / count),
            "divergence": max(0.0, divergence / count),
            "same_token": same / count,
        }
        engine.unload()
    return found


def main() -> None:
    """Train, measure, print the table."""
    from tui.engine.quantization import QUANTIZATIONS, availability

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--only", default="", help="quantizations, separated by commas")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    only = [name for name in given.only.split(",") if name]
    names = [
        name for name in QUANTIZATIONS
        if availability(name, "cpu").ok and (not only or name in only)
    ]  # fmt: skip
    text = shipped_text()
    cut = len(text) * 9 // 10
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        own = train(Path(folder), text[:cut], given.steps)
        results["trained here"] = measure(str(own), text[cut:], given.tokens, names)
    results["demo"] = measure("demo", text[cut:], given.tokens, names)
    print(quality_markdown(results))
    if given.json is not None:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
