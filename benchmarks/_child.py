"""One contestant in a separate process: reads requests as lines of JSON, and answers each with a line of figures.

    python _child.py stock FOLDER [bfloat16]        transformers' generate, as it comes
    python _child.py engine NAME CACHE QUANTIZATION  this program's engine
    python _child.py llama FILE.gguf                 llama-cpp-python

Only `engine` imports this program; the others run in any environment.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Ask = Callable[[list[dict[str, str]], int, float], dict[str, Any]]
"""Takes messages, the limit of new tokens, and the number of seconds after which to stop (0 for never); returns figures."""


class Times:
    """The times at which tokens arrived."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.first = self.last = 0.0
        self.tokens = 0

    def note(self, count: int = 1) -> None:
        """Record new tokens."""
        self.last = time.perf_counter()
        self.first = self.first or self.last
        self.tokens += count

    def figures(self, **more: Any) -> dict[str, Any]:
        """Return the figures."""
        return {
            "ttft_s": self.first - self.began if self.first else 0.0,
            "decode_s": self.last - self.first,
            "new_tokens": self.tokens,
            **more,
        }


def stock(folder: str, dtype: str = "bfloat16") -> Ask:
    """Return transformers' own `generate`."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def ask(messages: list[dict[str, str]], limit: int, _stop_after_s: float) -> dict[str, Any]:
        times = Times()
        ids = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )

        class Streamer:
            is_prompt = True

            def put(self, value: Any) -> None:
                if not self.is_prompt:
                    times.note(value.numel())
                self.is_prompt = False

            def end(self) -> None:
                pass

        model.generate(
            **ids,
            max_new_tokens=limit,
            min_new_tokens=limit,
            do_sample=False,
            temperature=None,
            top_p=None,
            streamer=Streamer(),
        )
        return times.figures(prompt_tokens=ids["input_ids"].shape[1])

    return ask


def engine(name: str, cache: str, quantization: str) -> Ask:
    """Return this program's engine, with a quantization, or with the GGUF file in llama.cpp."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from tui.conversation.turn import Message
    from tui.engine.base import Engine, GenerateRequest, LoadRequest, TextDelta

    made: Engine
    if quantization == "llama.cpp":
        from tui.engine.llama.engine import LlamaEngine

        made = LlamaEngine(Path(cache) / "llama")
        made.load(LoadRequest(name), lambda _event: None, lambda: False)
    else:
        from tui.engine.local.engine import LocalEngine

        made = LocalEngine(Path(cache))
        made.load(LoadRequest(name, quantization), lambda _event: None, lambda: False)

    def ask(messages: list[dict[str, str]], limit: int, stop_after_s: float) -> dict[str, Any]:
        began = time.perf_counter()
        asked_to_stop = [0.0]
        said: list[str] = []

        def emit(event: Any) -> None:
            if isinstance(event, TextDelta):
                said.append(event.text)

        def cancelled() -> bool:
            if stop_after_s and time.perf_counter() - began > stop_after_s:
                asked_to_stop[0] = asked_to_stop[0] or began + stop_after_s
                return True
            return False

        request = GenerateRequest(
            tuple(Message(one["role"], one["content"]) for one in messages),
            {"temperature": 0.0, "max_new_tokens": limit},
        )
        stats = made.generate(request, emit, cancelled).stats
        ended = time.perf_counter()
        return {
            "ttft_s": stats.ttft_s,
            "decode_s": stats.decode_s,
            "new_tokens": stats.new_tokens,
            "prompt_tokens": stats.prompt_tokens,
            "cached_tokens": stats.cached_tokens,
            "stop_s": ended - asked_to_stop[0] if asked_to_stop[0] else 0.0,
            "text": "".join(said),
        }

    return ask


def llama(path: str) -> Ask:
    """Return llama-cpp-python, which automatically keeps the longest common prefix of the prompt."""
    import os

    from llama_cpp import Llama

    model = Llama(path, n_ctx=4096, n_threads=os.cpu_count(), verbose=False)

    def ask(messages: list[dict[str, str]], limit: int, _stop_after_s: float) -> dict[str, Any]:
        times = Times()
        pieces: Iterator[Any] = model.create_chat_completion(
            messages, max_tokens=limit, temperature=0.0, stream=True
        )
        said = []
        for piece in pieces:
            text = piece["choices"][0]["delta"].get("content")
            if text:
                times.note()
                said.append(text)
        return times.figures(text="".join(said))

    return ask


def main() -> None:
    """Answer requests until the input ends."""
    kind, *arguments = sys.argv[1:]
    answers = sys.stdout
    # Output of libraries must not mix with the answers.
    sys.stdout = sys.stderr
    ask = {"stock": stock, "engine": engine, "llama": llama}[kind](*arguments)
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        figures = ask(request["messages"], request["limit"], request.get("stop_after_s", 0.0))
        print(json.dumps(figures), file=answers, flush=True)


main()
