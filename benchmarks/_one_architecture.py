"""Tests one kind of model in the engine and prints the result as JSON: `python -m benchmarks._one_architecture KIND CLASS`."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import torch
import transformers

from benchmarks import _tiny_configs
from tests.compiled_kernels import lay_kernels
from tests.engine import stock, tiny
from tests.engine.conftest import ask, chat, load
from tui.engine import facts, failures, fit
from tui.engine.base import ModelLoadError
from tui.engine.local.cpu.linear import FastLinear
from tui.engine.local.engine import LocalEngine

NEW_TOKENS: Final = 12
_QUANTIZATIONS: Final = ("int8", "int4", "8bit", "4bit", "4bit-fp4", "torchao-int8", "torchao-int4")
_LONG: Final = " ".join(f"On day {day} the fox slept near the river." for day in range(8))
_QUESTION: Final = f"{_LONG} Who slept?"
_KEPT_AS_MADE: Final = ("conv", "A_log", "dt_", "time_", "router", "gate.weight", "vision", "visual", "audio")  # fmt: skip
Row = dict[str, Any]


def main(kind: str, class_name: str) -> None:
    """Test one kind."""
    torch.set_num_threads(1)
    row: Row = {"kind": kind, "class": class_name, "cells": {}, "errors": {}}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        try:
            _tried(Path(place), row)
        finally:
            row["seconds"] = round(time.perf_counter() - began, 1)
            print(json.dumps(row).replace(f"{place}/", ""))


def _tried(place: Path, row: Row) -> None:
    folder = place / "model"
    try:
        _build(folder, row["kind"], row["class"])
        _check_generates(folder, row["class"])
    except Exception as error:  # noqa: BLE001 - of code of hundreds of models
        row["untestable"] = _said(error)
        return
    lay_kernels(place / "cache")
    engine = LocalEngine(place / "cache")
    if not _step(row, "loads", partial(_load, engine, folder, row, dtype="float32")):
        return
    loaded: Any = engine._loaded  # noqa: SLF001 - what it holds is what is looked at here
    row["cache"], row["notes"] = str(loaded.cache.kind), list(loaded.info.notes)
    del loaded
    with pytest.MonkeyPatch.context() as patch:
        _step(row, "equals generate", lambda: _compare(engine, folder, stock.record(patch)))
    engine.unload()
    for name in ("auto", *_QUANTIZATIONS):
        _step(row, name, partial(_held, engine, folder, row, name))
        engine.unload()


def _step(row: Row, name: str, do: Callable[[], object]) -> bool:
    """Record whether something works, and how it fails."""
    try:
        do()
        row["cells"][name] = "yes"
    except ModelLoadError as error:
        row["cells"][name] = "refused"
        cause = error.__cause__
        is_told = cause is None or isinstance(cause, ModelLoadError)
        row["errors"][name] = error.message if is_told else f"{error.message} <- {_said(cause)}"
    except Exception as error:  # noqa: BLE001 - of code of hundreds of models
        row["cells"][name] = "no"
        row["errors"][name] = _said(error)
    return row["cells"][name] == "yes"


def _said(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {failures.words(error)}" if error is not None else ""


def _build(folder: Path, kind: str, class_name: str) -> None:
    """Save a checkpoint in 16 bits whose replies depend on the whole context."""
    torch.manual_seed(7)
    model = getattr(transformers, class_name)(_tiny_configs.tiny(kind)).eval()
    drawn = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            is_plain = weight.dim() >= 2 and not any(part in name for part in _KEPT_AS_MADE)
            if is_plain and weight.float().std() < 0.06:
                noise = torch.randn(weight.shape, generator=drawn) * 0.12
                weight.copy_(noise.to(weight.dtype))
    _narrow(model)
    model.generation_config = transformers.GenerationConfig(eos_token_id=2, pad_token_id=2)
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)


def _narrow(model: Any) -> None:
    """Convert a model to 16 bits except for what its code keeps in 32, as in published checkpoints."""
    names = getattr(model, "_keep_in_fp32_modules_strict", None) or ()
    kept = re.compile("|".join(rf"(^|\.){re.escape(name)}(\.|$)" for name in names) or "(?!)")
    wide = {name: weight.data for name, weight in model.named_parameters() if kept.search(name)}
    model.to(torch.bfloat16)
    for name, weight in model.named_parameters():
        weight.data = wide.get(name, weight.data)


def _check_generates(folder: Path, class_name: str) -> None:
    """Raise if transformers itself can't generate with the model."""
    model = getattr(transformers, class_name).from_pretrained(folder, dtype=torch.float32).eval()
    ids = torch.arange(40, 80)[None]
    with torch.inference_mode():
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)


def _load(engine: LocalEngine, folder: Path, row: Row, **options: Any) -> None:
    info = load(engine, folder, **options)
    quantization = str(options.get("quantization", "none"))
    estimate = fit.weights_bytes(
        facts.folder_facts(folder), quantization, dtype=info.dtype, device=info.device
    )
    loaded: Any = engine._loaded  # noqa: SLF001 - what it holds is what is looked at here
    held = info.weights_bytes - _table_bytes(loaded.model)
    row.setdefault("fit", {})[quantization] = round(100 * (estimate / held - 1), 1)


def _table_bytes(model: Any) -> int:
    """Return the size of tables that a model computes itself, for example for positions: much of a tiny model, and a percent of
    a real one.
    """
    return sum(
        buffer.nbytes
        for module in model.modules()
        if not isinstance(module, FastLinear)
        for name, buffer in module.named_buffers(recurse=False)
        if name in module._non_persistent_buffers_set  # noqa: SLF001 - torch has no other way to tell
    )


def _compare(engine: LocalEngine, folder: Path, said: list[list[int]]) -> None:
    """Raise if a reply differs from that of `generate`: a first turn, a second, an edit, and back."""
    first = chat(_QUESTION)
    second = chat(_QUESTION, "The fox.", "And why?")
    edited = chat(_QUESTION.replace("day 5", "day 9"), "The fox.", "And why?")
    wrong = []
    for name, messages in {"turn 1": first, "turn 2": second, "edit": edited, "back": second}.items():  # fmt: skip
        ask(engine, messages, max_new_tokens=NEW_TOKENS)
        wanted = stock.replied(engine, folder, messages, NEW_TOKENS)
        if said[-1] != wanted:
            same = next((at for at, pair in enumerate(zip(said[-1], wanted, strict=False)) if pair[0] != pair[1]), len(wanted))  # fmt: skip
            wrong.append(f"{name} from token {same}")
    if wrong:
        raise AssertionError(f"other tokens in {', '.join(wrong)}")


def _held(engine: LocalEngine, folder: Path, row: Row, name: str) -> None:
    """Load in the automatic dtype, or in a quantization, and reply twice."""
    if name == "auto":
        load(engine, folder)
    else:
        _load(engine, folder, row, quantization=name)
    reply = ask(engine, chat(_QUESTION), max_new_tokens=4).text
    ask(engine, chat(_QUESTION, reply or "?", "And why?"), max_new_tokens=4)


if __name__ == "__main__":
    main(*sys.argv[1:3])
