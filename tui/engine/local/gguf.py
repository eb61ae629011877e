"""Turns a GGUF file into a folder that transformers loads in a second, once, in the cache folder.

transformers parses GGUF in pure Python, which takes half a minute even for a small model. The weights are unpacked to
16 bits on the way. A conversion becomes visible under its key only when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import mmap
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.local.progress import Bar, Reporter

_FORMAT: Final = 1
"""Changes when conversions of an older version of this module must not be used any more."""

_AGAIN: Final = "It is cut short or damaged: download it again."
_VERSIONS: Final = (2, 3)
_SCALAR_BYTES: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING_TYPE: Final = 8
_ARRAY_TYPE: Final = 9
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself.

    Attributes:
        architecture: as llama.cpp names it.
        tensors: how many there are.
        parameters: how many numbers they hold.
        end: where the last of them ends, in bytes from the start of the file.
    """

    architecture: str
    tensors: int
    parameters: int
    end: int


def check(path: Path) -> Header:
    """Return a file's header after checking that the file is whole.

    Raises:
        ModelLoadError: it can't be read, is not GGUF, or is cut short.
    """
    try:
        size = path.stat().st_size
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            header = _Reader(data).header()
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except (ValueError, KeyError, struct.error) as error:
        raise ModelLoadError(f"{path} is not a whole GGUF file ({error}).", _AGAIN) from error
    if header.end > size:
        raise ModelLoadError(
            f"{path} is not a whole GGUF file: {size:,} of {header.end:,} bytes are there.", _AGAIN
        )
    return header


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
    header = check(path)
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
    reporter.step(stage, 0, header.tensors, "tensors")
    try:
        config = AutoConfig.from_pretrained(**place)
        reporter.check()
        tokenizer: Any = AutoTokenizer.from_pretrained(**place)
        reporter.check()
        with reporter.weights(stage), _gguf_bar(reporter, stage):
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
    model.to(torch.bfloat16).save_pretrained(folder)
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


class _Reader:
    """Reads a GGUF header; values other than the architecture and the alignment are skipped over."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> Header:
        if self._data[:4] != b"GGUF":
            raise ValueError("it does not start as one")
        self._at = 4
        (version,) = self._take("<I")
        if version not in _VERSIONS:
            raise ValueError(f"its version {version} is not known")
        tensor_count, value_count = self._take("<QQ")
        architecture, alignment = "", 32
        for _ in range(value_count):
            key = self._string()
            (kind,) = self._take("<I")
            if key == "general.architecture" and kind == _STRING_TYPE:
                architecture = self._string()
            elif key == "general.alignment" and kind == 4:
                (alignment,) = self._take("<I")
            else:
                self._skip(kind)
        return self._tensors(architecture, alignment, tensor_count)

    def _tensors(self, architecture: str, alignment: int, count: int) -> Header:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        if alignment < 1:
            raise ValueError("its alignment is not valid")
        last, parameters = 0, 0
        for _ in range(count):
            self._string()
            (dimensions,) = self._take("<I")
            elements = 1
            for length in self._take(f"<{min(dimensions, 8)}Q"):
                elements *= length
            kind, offset = self._take("<IQ")
            block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
            last = max(last, offset + elements // block * block_bytes)
            parameters += elements
        start = (self._at + alignment - 1) // alignment * alignment
        return Header(architecture, count, parameters, start + last)

    def _take(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self._data, self._at)
        self._at += struct.calcsize(layout)
        return values

    def _string(self) -> str:
        (length,) = self._take("<Q")
        self._advance(length)
        return self._data[self._at - length : self._at].decode("utf-8", "replace")

    def _advance(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("it ends in the middle of its header")

    def _skip(self, kind: int, depth: int = 0) -> None:
        if kind == _STRING_TYPE:
            (length,) = self._take("<Q")
            self._advance(length)
        elif kind == _ARRAY_TYPE and depth < _MAX_DEPTH:
            element, count = self._take("<IQ")
            if element in _SCALAR_BYTES:
                self._advance(_SCALAR_BYTES[element] * count)
            else:
                for _ in range(count):
                    self._skip(element, depth + 1)
        elif kind in _SCALAR_BYTES:
            self._advance(_SCALAR_BYTES[kind])
        else:
            raise ValueError(f"it holds a value of unknown type {kind}")
