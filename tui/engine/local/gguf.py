"""Turns a GGUF file into a folder that transformers loads in a second, once, in the cache folder.

transformers parses GGUF in pure Python, which takes half a minute even for a small model. The weights are unpacked to
16 bits on the way. A conversion becomes visible under its key only when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.gguf_header import Header, read_header
from tui.engine.local.progress import Bar, Reporter

_SHARD_SIZE: Final = "512MB"
_FORMAT: Final = 1
"""Changes when conversions of an older version of this module must not be used any more."""


def converted_folder(path: Path, cache_folder: Path) -> Path:
    """Return the folder that a file's conversion has, whether it is there yet or not."""
    status = path.stat()
    identity = f"{_FORMAT}:{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
    key = hashlib.sha256(identity.encode()).hexdigest()[:24]
    return cache_folder / "gguf" / key


def convert(path: Path, cache_folder: Path, reporter: Reporter) -> Path:
    """Return a folder with the model of a GGUF file, made now unless it was made before.

    Raises:
        ModelLoadError: the file is not whole, of an architecture that transformers can't read, or there is no room.
        Cancelled: the job was cancelled; nothing is left behind.
    """
    header = read_header(path)
    folder = converted_folder(path, cache_folder)
    if (folder / "config.json").is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_room(folder.parent, header)
        with _whole_or_nothing(folder) as unfinished:
            _convert_into(path, unfinished, header, reporter)
    except OSError as error:
        raise ModelLoadError(
            f"The converted model can't be written to {folder.parent} ({error.strerror or error}).",
            "Make room there, or choose another cache folder.",
        ) from error
    return folder


@contextlib.contextmanager
def _whole_or_nothing(folder: Path) -> Iterator[Path]:
    """Give a private folder that takes the name of `folder` when the block ended well."""
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".part", dir=folder.parent))
    try:
        yield unfinished
        try:
            unfinished.rename(folder)
        except OSError:
            # Another process may have converted the same file meanwhile.
            if not (folder / "config.json").is_file():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _check_room(folder: Path, header: Header) -> None:
    needed = header.parameters * 2
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise ModelLoadError(
            f"Unpacking this GGUF file takes {needed / 1e9:.1f} GB in {folder}, where {free / 1e9:.1f} GB are free.",
            "Make room there, or choose another cache folder.",
        )


def _convert_into(source: Path, folder: Path, header: Header, reporter: Reporter) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    stage = "Converting GGUF (once)"
    place = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    reporter.step(stage, 0, len(header.tensors), "tensors")
    try:
        config = reporter.run(lambda: AutoConfig.from_pretrained(**place))
        tokenizer: Any = reporter.run(lambda: AutoTokenizer.from_pretrained(**place))
        with reporter.alone(), reporter.weights(stage), _gguf_bar(reporter, stage):
            model: Any = AutoModelForCausalLM.from_pretrained(
                **place, config=config, dtype=torch.bfloat16
            )
    except (ValueError, KeyError, NotImplementedError) as error:
        raise ModelLoadError(
            f"The GGUF file {source.name} can't be used ({error}).",
            f"transformers can't read every GGUF architecture (this one is {header.architecture}): "
            "choose the model's original weights instead.",
        ) from error
    reporter.step("Saving the converted model")
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    # Small shards: a cancel is looked at between two of them.
    with reporter.alone(), reporter.weights("Saving the converted model", "files"):
        model.to(torch.bfloat16).save_pretrained(folder, max_shard_size=_SHARD_SIZE)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


@contextlib.contextmanager
def _gguf_bar(reporter: Reporter, stage: str) -> Iterator[None]:
    """Stand in for the bar of transformers' GGUF loader, which knows no hook and writes to the terminal."""
    from transformers import modeling_gguf_pytorch_utils as loader

    def bar(*args: Any, **kwargs: Any) -> Bar:
        return Bar(reporter, stage, "tensors", *args, **kwargs)

    former: Callable[..., Any] | None = getattr(loader, "tqdm", None)
    if former is None:
        yield
        return
    setattr(loader, "tqdm", bar)  # noqa: B010 - mypy sees an imported class
    try:
        yield
    finally:
        setattr(loader, "tqdm", former)  # noqa: B010
