"""The sections of `gpu`: each measures one thing with one model, and says rows as it goes."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from benchmarks import _gpu_poisoned
from benchmarks._gpu_bench import Bench, Stock, Times, ask, offered, user
from benchmarks._shapes import prompt
from tui.conversation.turn import Message
from tui.engine.base import (
    Engine,
    EngineError,
    FailureCause,
    GenerateRequest,
    GenerationError,
    ModelLoadError,
    Speculation,
)
from tui.engine.fit import need
from tui.engine.process.engine import ProcessEngine
from tui.engine.quantization import NONE, QUANTIZATIONS, availability

SHORT_TOKENS: Final = 64
LONG_TOKENS: Final = 2000
NEW_TOKENS: Final = 64
FEWER_NEW_TOKENS: Final = 32
ROUNDS: Final = 4
FEWER_ROUNDS: Final = 3
TURNS: Final = 6
TURN_TOKENS: Final = 400
_LEAVE_BYTES: Final = 256 << 20
_TOO_LONG_TOKENS: Final = 40_000
_TRIED: Final = tuple(name for name in QUANTIZATIONS if name not in (NONE, "4bit-fp4"))
"""The quantizations; fp4 costs what nf4 costs."""
_NEEDED_S: Final = 20.0
"""A quantization isn't tried with less time than that."""
_SPEED, _SECONDS, _BYTES = "tokens/s", "s", "bytes"

Ask = Callable[[tuple[Message, ...], int], Times]


def memory(bench: Bench) -> None:
    """Memory as the app shows it, as torch counts it and as the driver says, from before the load to after the unload."""
    engine = bench.engine()
    bench.settle()
    engine.target_memory()
    before, before_smi = bench.used_bytes(), bench.smi_bytes()
    info, load_s = bench.load(engine, bench.request())
    bench.row("load", load_s, unit=_SECONDS, note=f"{info.dtype} on {info.device}")
    needed = need(bench.facts, context_tokens=LONG_TOKENS + NEW_TOKENS, device=bench.device)
    assert needed is not None
    bench.row("weights, estimated before the load", needed.weights_bytes, unit=_BYTES)
    bench.row("weights, as shown", engine.memory().weights, unit=_BYTES)
    allocated, reserved = bench.torch_bytes()
    if bench.is_cuda:
        bench.row("weights, allocated by torch", allocated, unit=_BYTES, note=_reserved(reserved))
    ask(engine, user(prompt(LONG_TOKENS)), NEW_TOKENS)
    bench.settle()
    shown = engine.memory()
    now, _ = bench.torch_bytes()
    bench.row("cache of a chat, estimated", needed.cache_bytes, unit=_BYTES)
    bench.row("cache of a chat, as shown", shown.cache, unit=_BYTES)
    if bench.is_cuda:
        bench.row("cache of a chat, allocated by torch", max(0, now - allocated), unit=_BYTES)
    bench.row("used, as shown", shown.used - before, unit=_BYTES, note="more than before the load")
    bench.row("used, by the driver", bench.used_bytes() - before, unit=_BYTES, note="the same")
    if smi := bench.smi_bytes():
        bench.row("used, by nvidia-smi", smi - before_smi, unit=_BYTES, note="the same")
    estimated = f"estimated {needed.total_bytes / 2**20:,.0f} MiB with room to work in"
    bench.row("own, as shown", shown.own, unit=_BYTES, note=estimated)
    engine.unload()
    bench.settle()
    allocated, reserved = bench.torch_bytes()
    if bench.is_cuda:
        bench.row("left after unloading, torch", allocated, unit=_BYTES, note=_reserved(reserved))
    bench.row("left after unloading, by the driver", bench.used_bytes() - before, unit=_BYTES)


def _reserved(reserved: int) -> str:
    return f"{reserved / 2**20:,.0f} MiB reserved"


def decode(bench: Bench) -> None:
    """The engine and transformers' own `generate` in turn, with a short and a long prompt."""
    stock, engine = Stock(bench), bench.engine()
    _, load_s = bench.load(engine, bench.request())
    bench.row("load, transformers", stock.load_s, unit=_SECONDS)
    bench.row("load, engine", load_s, unit=_SECONDS)
    asks = {"transformers generate": stock.ask, "engine": _asker(engine)}
    _pairs(bench, asks, ROUNDS, NEW_TOKENS)


def _asker(engine: Engine) -> Ask:
    """Return what has an engine reply to chats of which it has computed nothing before."""
    return lambda messages, limit: ask(engine, messages, limit, cached_at_most=0)


def _pairs(
    bench: Bench, asks: Mapping[str, Ask], rounds: int = FEWER_ROUNDS, limit: int = FEWER_NEW_TOKENS
) -> None:
    """Have two contestants reply in turn, and say the figures of the second beside those of the first.

    Args:
        bench: takes the rows.
        asks: the contestants by name.
        rounds: how many replies of each length; fewer where the time runs out.
        limit: tokens of a reply.
    """
    first, second = asks
    for tokens, start in ((SHORT_TOKENS, 0), (LONG_TOKENS, 100)):
        for one in asks.values():
            # What is made at the first use belongs to neither.
            one(user(prompt(tokens, 9999 - start)), 8)
        found: dict[str, list[Times]] = {name: [] for name in asks}
        for number in range(rounds):
            if number and bench.left_s < _NEEDED_S / 2:
                break
            for name in (first, second) if number % 2 == 0 else (second, first):
                found[name].append(asks[name](user(prompt(tokens, start + number)), limit))
        for what, unit, figure in (
            (f"decode at {tokens:,} tokens", _SPEED, "tokens_per_s"),
            (f"first token of {tokens:,}", _SECONDS, "ttft_s"),
        ):
            theirs, ours = ([getattr(one, figure) for one in found[name]] for name in asks)
            bench.row(f"{second}: {what}", *ours, unit=unit, other=first, beside=tuple(theirs))


def quantized(bench: Bench) -> None:
    """Each quantization that runs here, in turn with the engine without one."""
    reference = bench.engine()
    bench.load(reference, bench.request())
    for name in _TRIED:
        found = availability(name, bench.device)
        if not found.ok:
            bench.row(name, note=f"left out: {found.reason}")
        elif bench.left_s < _NEEDED_S:
            bench.row(name, note="left out: no time left")
        else:
            _quantized(bench, name, reference)


def _quantized(bench: Bench, name: str, reference: Engine) -> None:
    engine = bench.engine()
    try:
        bench.settle()
        before, _ = bench.torch_bytes()
        info, load_s = bench.load(engine, bench.request(name))
        bench.settle()
        held = bench.torch_bytes()[0] - before
        needed = need(bench.facts, name, device=bench.device)
        assert needed is not None
        bench.row(f"{name}: load", load_s, unit=_SECONDS)
        estimated = f"estimated {needed.weights_bytes / 2**20:,.0f} MiB"
        if bench.is_cuda:
            estimated += f"; allocated by torch {held / 2**20:,.0f} MiB"
        bench.row(f"{name}: weights, as shown", info.weights_bytes, unit=_BYTES, note=estimated)
        _pairs(bench, {NONE: _asker(reference), name: _asker(engine)})
    except EngineError as error:
        bench.row(name, note=f"failed: {error.message}")
    finally:
        engine.unload()


def compiled(bench: Bench) -> None:
    """The engine with a compiled decoding pass, in turn with the engine without."""
    reference, engine = bench.engine(), bench.engine()
    bench.load(reference, bench.request())
    info, first_s = bench.load(engine, bench.request(compile=True))
    bench.row("load and compile", first_s, unit=_SECONDS, note=" ".join(info.notes))
    _pairs(bench, {"engine": _asker(reference), "engine, compiled": _asker(engine)})
    engine.unload()
    if bench.left_s > first_s / 2:
        _, again_s = bench.load(engine, bench.request(compile=True))
        bench.row("load again, in the same process", again_s, unit=_SECONDS)


def prefix(bench: Bench) -> None:
    """A chat that grows: what the KV cache saves in each turn, and after an edit."""
    engine = bench.engine()
    bench.load(engine, bench.request())
    ask(engine, user(prompt(SHORT_TOKENS, 9999)), 8)
    chat: tuple[Message, ...] = ()
    kept: list[Times] = []
    anew: list[Times] = []
    for turn in range(TURNS):
        chat += user(prompt(TURN_TOKENS, 200 + turn))
        reply, times = _reply(engine, chat)
        again = ask(engine, chat, NEW_TOKENS, cached_at_most=0)
        if turn:
            kept.append(times)
            anew.append(again)
        chat += (Message("assistant", reply),)
    last = kept[-1]
    share = [100 * one.cached_tokens / one.prompt_tokens for one in kept]
    bench.row(
        f"prompt from the cache, turns 2 to {TURNS}", *share, unit="%",
        note=f"in the last one {last.cached_tokens:,} of {last.prompt_tokens:,} tokens",
    )  # fmt: skip
    bench.row(
        "first token, with the cache", *(one.ttft_s for one in kept), unit=_SECONDS,
        other="computed anew", beside=tuple(one.ttft_s for one in anew),
    )  # fmt: skip
    edited = (*chat[:-2], *user(prompt(TURN_TOKENS, 300)))
    times = ask(engine, edited, NEW_TOKENS)
    note = f"{times.cached_tokens:,} of {times.prompt_tokens:,} tokens from the cache"
    bench.row(
        "first token after an edit of the last message", times.ttft_s, unit=_SECONDS, note=note
    )


def _reply(engine: Engine, chat: tuple[Message, ...]) -> tuple[str, Times]:
    """Have the engine reply; return the text, too."""
    said: list[str] = []
    request = GenerateRequest(
        chat, {"temperature": 0.0, "max_new_tokens": NEW_TOKENS}, speculation=Speculation.OFF
    )
    done = engine.generate(
        request, lambda event: said.append(getattr(event, "text", "")), lambda: False
    )
    return "".join(said), Times.of(done.stats)


def out_of_memory(bench: Bench) -> None:
    """Memory that runs out while a model is loaded and while it replies: what is said and offered, and whether it goes on after."""
    engine = bench.engine()
    # Without a GPU there is nothing that could be filled up: the error is planted.
    with bench.filled(bench.shape.weights_bytes // 2), _planted(bench, while_loading=True):
        try:
            bench.load(engine, bench.request())
            bench.row("load without room", note="was loaded all the same")
        except ModelLoadError as error:
            _offers(bench, "load without room", engine, error, in_reply=False)
    bench.settle()
    if bench.is_cuda:
        bench.row("left by the failed load, torch", bench.torch_bytes()[0], unit=_BYTES)
    _, load_s = bench.load(engine, bench.request())
    bench.row("load with room again", load_s, unit=_SECONDS)
    ask(engine, user(prompt(SHORT_TOKENS, 9999)), 8)
    tokens = min(_TOO_LONG_TOKENS, bench.shape.positions - 2 * NEW_TOKENS)
    with bench.filled(_LEAVE_BYTES):
        with _planted(bench, while_loading=False):
            try:
                ask(engine, user(prompt(tokens, 400)), NEW_TOKENS)
                bench.row(f"reply to {tokens:,} tokens without room", note="was made all the same")
            except GenerationError as error:
                what = f"reply to {tokens:,} tokens without room"
                _offers(bench, what, engine, error, in_reply=True)
        times = ask(engine, user(prompt(SHORT_TOKENS, 401)), 8)
        bench.row("the next short reply, first token", times.ttft_s, unit=_SECONDS)
    engine.unload()


def _offers(bench: Bench, what: str, engine: Engine, error: EngineError, *, in_reply: bool) -> None:
    if error.cause is not FailureCause.MEMORY:
        bench.row(what, note=f"NOT taken for lack of memory: {error.message}")
        return
    bench.row(what, note=offered(bench, engine, error.message, in_reply=in_reply))


@contextlib.contextmanager
def _planted(bench: Bench, *, while_loading: bool) -> Iterator[None]:
    """Let memory run out where it can't be filled up, while a model is read or computes."""
    if bench.is_cuda:
        yield
        return
    import torch
    from torch.nn.modules.module import register_module_forward_pre_hook

    from tui.engine.local import loading

    def fails(*_given: Any, **_named: Any) -> Any:
        raise torch.OutOfMemoryError("planted: out of memory")

    if while_loading:
        load, loading.load = loading.load, fails
        try:
            yield
        finally:
            loading.load = load
        return
    hook = register_module_forward_pre_hook(fails)
    try:
        yield
    finally:
        hook.remove()


def process(bench: Bench) -> None:
    """The engine in a process of its own, as in the app: what unloading gives back, and a GPU that fails in the middle of a reply."""
    poison = bench.work / "poison"
    poison.unlink(missing_ok=True)
    os.environ[_gpu_poisoned.VARIABLE] = str(poison)
    command = (sys.executable, "-P", "-m", "benchmarks._gpu_poisoned", str(bench.work / "cache"))
    engine = ProcessEngine(bench.work / "cache", command)
    bench.settle()
    own, before = psutil.Process().memory_info().rss, bench.used_bytes()
    try:
        _, load_s = bench.load(engine, bench.request())
        bench.row("start and load", load_s, unit=_SECONDS)
        speeds = [
            ask(engine, user(prompt(SHORT_TOKENS, 500 + number)), NEW_TOKENS).tokens_per_s
            for number in range(FEWER_ROUNDS)
        ]
        bench.row(f"decode at {SHORT_TOKENS} tokens", *speeds, unit=_SPEED)
        _until_shown(engine)
        held, shown = bench.used_bytes() - before, engine.memory()
        bench.row("used, by the driver", held, unit=_BYTES, note="more than before the load")
        bench.row("weights and cache, as shown", shown.weights + shown.cache, unit=_BYTES)
        engine.unload()
        back = held - (bench.used_bytes() - before)
        note = f"{100 * back / held:.0f}% of what was taken" if held > 0 else ""
        bench.row("given back by unloading, by the driver", back, unit=_BYTES, note=note)
        more = psutil.Process().memory_info().rss - own
        bench.row("left in the app after unloading", more, unit=_BYTES)
        bench.load(engine, bench.request())
        _poisoned(bench, engine, poison)
    finally:
        engine.close()
        poison.unlink(missing_ok=True)
    bench.settle()
    bench.row("left when the engine is closed", bench.used_bytes() - before, unit=_BYTES)


def _until_shown(engine: Engine) -> None:
    """Wait until the process has said how much memory it takes."""
    until = time.monotonic() + 5
    while not engine.memory().cache and time.monotonic() < until:
        time.sleep(0.05)


def _poisoned(bench: Bench, engine: ProcessEngine, poison: Path) -> None:
    poison.touch()
    said: list[str] = []
    request = GenerateRequest(
        user(prompt(SHORT_TOKENS, 600)),
        {"temperature": 0.0, "max_new_tokens": NEW_TOKENS},
        speculation=Speculation.OFF,
    )
    began = time.perf_counter()
    try:
        engine.generate(
            request, lambda event: said.append(getattr(event, "text", "")), lambda: False
        )
        bench.row("a GPU that fails in a reply", note="the reply was made all the same")
        return
    except GenerationError as error:
        took = time.perf_counter() - began
        offers = (
            "a new engine" if error.cause is FailureCause.ENGINE else f"NOTHING ({error.cause})"
        )
        note = f"“{error.message} {error.hint}” Offered: {offers}; kept: {len(''.join(said))} characters"
        bench.row("until a failed GPU is told", took, unit=_SECONDS, note=note)
    poison.unlink()
    _, load_s = bench.load(engine, bench.request())
    times = ask(engine, user(prompt(SHORT_TOKENS, 601)), 8)
    note = f"then {times.new_tokens} tokens were written"
    bench.row("load again in a new process", load_s, unit=_SECONDS, note=note)


SECTIONS: Final[Mapping[str, Callable[[Bench], None]]] = {
    "memory": memory,
    "decode": decode,
    "process": process,
    "out-of-memory": out_of_memory,
    "prefix": prefix,
    "compiled": compiled,
    "quantized": quantized,
}
