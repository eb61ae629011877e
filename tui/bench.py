"""What `chat-tui bench` does: runs a model in every way that it can be held in here, shows what each is worth, and keeps the best."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from tui.console import complain, write_out
from tui.conversation import Message, ReplyStats
from tui.dataclass import dataclass
from tui.engine.base import Engine, EngineError, GenerateRequest, LoadRequest, Speculation
from tui.engine.llama import choice as engines
from tui.engine.quantization import NONE, QUANTIZATIONS, availability
from tui.errors import UserError
from tui.json_types import Json
from tui.logs import start_logging
from tui.parser import Parser
from tui.sanitize import sanitize_line
from tui.settings.config import read_config, write_settings
from tui.settings.paths import AppPaths
from tui.settings.schema import SETTINGS
from tui.settings.state import AppState, load_state, save_state
from tui.widgets.figures import bytes_text, seconds_text

FAILED: Final = 2
STOPPED: Final = 130
"""As a shell counts what Ctrl+C ended."""
_NOT_COMPILED: Final = "Not compiled"
"""How the engine's note begins that says why."""
_NEW_TOKENS: Final = 32
_SENTENCE: Final = (
    "The river runs past the old mill, and the children of the village play there all day. "
)
_LONG: Final = 40
_QUESTION: Final = "Tell me a long story about a river."


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to run a model.

    Attributes:
        name: in the table.
        request: what is asked of the engine.
    """

    name: str
    request: LoadRequest


@dataclass(frozen=True, slots=True)
class Measured:
    """What a choice is worth.

    Attributes:
        choice: what was measured.
        weights_bytes: in memory.
        tokens_per_s: while a reply is written.
        prompt_tokens_per_s: while a prompt is read.
        first_token_s: of the next turn after a long one.
        lookup_gain: how many times as fast a text is repeated with prompt lookup; 0 when not known.
        device: that the model went to.
        problem: why it could not be measured; empty when it was.
    """

    choice: Choice
    weights_bytes: int = 0
    tokens_per_s: float = 0.0
    prompt_tokens_per_s: float = 0.0
    first_token_s: float = 0.0
    lookup_gain: float = 0.0
    device: str = ""
    problem: str = ""


def parser() -> argparse.ArgumentParser:
    """Return the parser of `chat-tui bench`."""
    made = Parser(
        prog="chat-tui bench",
        examples=(
            "chat-tui bench",
            "chat-tui bench Qwen/Qwen3-4B --only none,4bit",
            "chat-tui bench demo --keep",
        ),
        description="Measure how fast a model runs on this machine in each quantization available here. On a GPU, compiled "
        "decoding is measured too; on a CPU, other data types and thread counts.",
    )
    made.add_argument(
        "model",
        nargs="?",
        default="",
        metavar="MODEL",
        help="a Hub ID, a folder, a .gguf file or demo; default: the last used model",
    )
    made.add_argument(
        "--only",
        default="",
        metavar="NAMES",
        help="the quantizations to measure, separated by commas",
    )
    keep = made.add_mutually_exclusive_group()
    keep.add_argument(
        "--keep", action="store_true", help="save the fastest settings without asking"
    )
    keep.add_argument("--no-keep", action="store_true", help="don't save anything, and don't ask")
    return made


def choices(model: str, device: str, only: Sequence[str] = ()) -> list[Choice]:
    """Return the ways to run a model on a device.

    Args:
        model: its name.
        device: as torch names it.
        only: quantizations to restrict them to; all that can be used without any.
    """
    here = _in_transformers(model)
    found = [
        Choice(name, replace(here, quantization=name))
        for name in QUANTIZATIONS
        if availability(name, device).ok and (not only or name in only)
    ]
    if device != "cpu" and (not only or NONE in only):
        found.insert(1, Choice("none, compiled", replace(here, compile=True)))
    if device == "cpu" and (not only or NONE in only):
        found.insert(0, Choice("none, PyTorch's kernels", replace(here, kernels=False)))
        found.append(Choice("none, float32", replace(here, dtype="float32")))
    if not only and here.gguf == engines.TRANSFORMERS and engines.is_installed():
        found.append(Choice(engines.LLAMA_CPP, LoadRequest(model, gguf=engines.LLAMA_CPP)))
    return found


def _in_transformers(model: str) -> LoadRequest:
    """Return a request for a model, which names transformers where it could be another engine."""
    in_llama = LoadRequest(model, gguf=engines.LLAMA_CPP)
    with contextlib.suppress(UserError):
        if engines.is_installed() and engines.takes(in_llama):
            return LoadRequest(model, gguf=engines.TRANSFORMERS)
    return LoadRequest(model)


def thread_choices(best: Choice, cores: int) -> list[Choice]:
    """Return a way to run a model with other numbers of threads: one for each core but one, and half of that many.

    Args:
        best: the way, with as many threads as there are cores.
        cores: of the CPU.
    """
    return [
        Choice(
            f"{best.name}, {count} thread{'' if count == 1 else 's'}",
            replace(best.request, threads=count),
        )
        for count in sorted({cores - 1, cores // 2} - {0, cores}, reverse=True)
    ]


def measure(engine: Engine, choice: Choice, trusted: tuple[str, ...] = ()) -> Measured:
    """Load a model in one way, and have it reply; the engine is left without a model.

    Args:
        engine: without a model.
        choice: the way.
        trusted: whose code the user has agreed to run, as in a `LoadRequest`.
    """
    request = replace(choice.request, trusted=trusted)
    try:
        info = engine.load(request, lambda _event: None, lambda: False)
        if problem := next((note for note in info.notes if note.startswith(_NOT_COMPILED)), ""):
            return Measured(choice, problem=problem)
        _ask(engine, _QUESTION, 4)
        short = _ask(engine, _QUESTION, _NEW_TOKENS)
        text = f"{_SENTENCE * _LONG}{_QUESTION}"
        long = _ask(engine, text, 4)
        again = _ask(engine, f"{text} And then?", 4)
        gain = _lookup_gain(engine)
        return Measured(
            choice, info.weights_bytes, short.tokens_per_s, long.prefill_tokens_per_s, again.ttft_s,
            gain, info.device,
        )  # fmt: skip
    except EngineError as error:
        return Measured(choice, problem=str(error))
    finally:
        engine.unload()


def _ask(engine: Engine, text: str, limit: int, how: Speculation = Speculation.OFF) -> ReplyStats:
    request = GenerateRequest(
        (Message("user", text),), {"temperature": 0.0, "max_new_tokens": limit}, speculation=how
    )
    return engine.generate(request, lambda _event: None, lambda: False).stats


def _lookup_gain(engine: Engine) -> float:
    """Return how many times as fast a text is repeated with prompt lookup as without."""
    text = f"Repeat this text word by word: {_SENTENCE * 3}"
    without = _ask(engine, text, _NEW_TOKENS).tokens_per_s
    with_it = _ask(engine, text, _NEW_TOKENS, Speculation.AUTO).tokens_per_s
    return with_it / without if without else 0.0


def table(measured: Sequence[Measured]) -> str:
    """Return the figures as lines of text, one way to run the model each."""
    head = ("", "weights", "writes", "reads", "next turn", "lookup")
    lines = [head, *(_cells(one) for one in measured if not one.problem)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    shown = [
        "  ".join(
            cell.ljust(width) if not place else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    problems = [
        f"{one.choice.name}: {sanitize_line(one.problem)}" for one in measured if one.problem
    ]
    return "\n".join(shown + problems)


def _cells(one: Measured) -> tuple[str, ...]:
    return (
        one.choice.name,
        bytes_text(one.weights_bytes),
        f"{one.tokens_per_s:.1f} tok/s",
        f"{one.prompt_tokens_per_s:.0f} tok/s",
        seconds_text(one.first_token_s),
        f"x{one.lookup_gain:.1f}" if one.lookup_gain else "",
    )


def fastest(measured: Sequence[Measured]) -> Measured | None:
    """Return the choice that writes fastest; None when nothing could be measured."""
    known = [one for one in measured if not one.problem]
    return max(known, key=lambda one: one.tokens_per_s, default=None)


def run(
    arguments: Sequence[str],
    make_engine: Callable[[AppPaths], Engine] | None = None,
    ask: Callable[[str], str] = input,
) -> int:
    """Run `chat-tui bench`.

    Args:
        arguments: what was given after `bench`.
        make_engine: makes the engine to measure; None for the one that the app has.
        ask: asks the user a question.

    Returns:
        the exit code: 0, 2 with a sentence on stderr, or 130 when the user stopped it.
    """
    given = parser().parse_args(arguments)
    paths = AppPaths.default()
    state, _problem = load_state(paths.state)
    model = given.model or state.model or "demo"
    only = [name for name in given.only.split(",") if name]
    if unknown := [name for name in only if name not in QUANTIZATIONS]:
        complain(
            f"chat-tui bench: There is no quantization {unknown[0]!r}. Choose from: {', '.join(QUANTIZATIONS)}."
        )
        return FAILED
    engine = (make_engine or _engine)(paths)
    measured: list[Measured] = []
    try:
        for one in _measured(engine, model, only, state.trusted):
            measured.append(one)
            _tell(one.problem or _cells(one)[2], end="\n")
    except KeyboardInterrupt:
        _tell("stopped", end="\n")
        if measured:
            write_out(table(measured))
        return STOPPED
    write_out(table(measured))
    best = fastest(measured)
    if best is None:
        complain(f"chat-tui bench: {model} can't be measured.")
        return FAILED
    if given.keep or (not given.no_keep and _wants(best, ask)):
        return _keep(best.choice, paths, state)
    return 0


def _keep(choice: Choice, paths: AppPaths, state: AppState) -> int:
    request = choice.request
    wanted: dict[str, Json] = {
        "model.threads": request.threads,
        "model.dtype": request.dtype,
        "model.kernels": request.kernels,
        "model.compile": request.compile,
    }
    if request.gguf != engines.AUTO:
        wanted["model.gguf"] = request.gguf
    now = read_config(paths.config_file).values
    changes = {
        key: None if value == SETTINGS[key].default else value
        for key, value in wanted.items()
        if value != now.get(key, SETTINGS[key].default)
    }
    remembered = replace(state, model=request.model, quantization=request.quantization)
    try:
        save_state(paths.state, remembered)
        if changes:
            write_settings(paths.config_file, changes)
    except UserError as error:
        complain(f"chat-tui bench: {error}")
        return FAILED
    write_out(f"Saved: chat-tui will start with {sanitize_line(request.model)}, {choice.name}.")
    return 0


def _measured(
    engine: Engine, model: str, only: Sequence[str], trusted: tuple[str, ...]
) -> Iterator[Measured]:
    """Measure all choices; which there are depends on where the model goes, which the first load that succeeds tells."""
    known: list[Measured] = []

    def measured(choice: Choice) -> Measured:
        _tell(f"{choice.name}:", end=" ")
        known.append(measure(engine, choice, trusted))
        return known[-1]

    for name in only or (NONE,):
        first = measured(Choice(name, replace(_in_transformers(model), quantization=name)))
        yield first
        if not first.problem:
            break
    else:
        return
    tried = [one.choice.request for one in known]
    for choice in choices(model, first.device, only):
        if choice.request not in tried:
            yield measured(choice)
    best = fastest(known)
    if best is not None and first.device == "cpu":
        for choice in thread_choices(best.choice, os.cpu_count() or 1):
            yield measured(choice)


def _tell(text: str, end: str) -> None:
    """Say how far it is, beside the table, which is for stdout."""
    with contextlib.suppress(OSError):
        print(sanitize_line(text), end=end, file=sys.stderr, flush=True)


def _engine(paths: AppPaths) -> Engine:
    from tui.engine.engines import Engines
    from tui.engine.llama.process import LlamaProcess
    from tui.engine.local.engine import LocalEngine

    # What libraries have to say would stand between the figures.
    with contextlib.suppress(UserError):
        paths.ensure()
        hook = sys.excepthook
        start_logging(paths.logs)
        # Unlike the app, it has a terminal to say on what nobody expected.
        sys.excepthook = hook
    return Engines(
        LocalEngine(paths.cache),
        lambda: LocalEngine(paths.cache),
        lambda: LlamaProcess(paths.cache),
    )


def _wants(best: Measured, ask: Callable[[str], str]) -> bool:
    if not sys.stdin.isatty():
        return False
    question = f"The fastest is {best.choice.name}. Use it from now on? [y/N] "
    try:
        return ask(question).strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        _tell("", end="\n")
        return False
