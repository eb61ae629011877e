"""Looks at a model folder before anything is loaded: is it whole, and what does its config say?

Only headers and sizes are read, so that a broken or mistyped model is found out while the former one is still there.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError

_AGAIN: Final = "Download or copy it again."
_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE_FILES: Final = ("model.safetensors", "pytorch_model.bin")
_HEADER_LIMIT_BYTES: Final = 100_000_000


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's config.json.

    Raises:
        ModelLoadError: there is none, or it can't be read.
    """
    config = _read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise ModelLoadError(f"The config.json in {folder} holds no model config.", _AGAIN)
    return config


def quantization_method(config: Mapping[str, Any]) -> str:
    """Return the method by which a checkpoint is already quantised; empty when it is not."""
    for part in (config, config.get("text_config")):
        found = part.get("quantization_config") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping):
            method = str(found.get("quant_method") or "unknown")
            if method == "bitsandbytes":
                return "bitsandbytes 4-bit" if found.get("load_in_4bit") else "bitsandbytes 8-bit"
            return method
    return ""


def check_weights(folder: Path) -> None:
    """Check that the weights of a folder are all there and not cut short.

    Raises:
        ModelLoadError: a file is missing or broken, or there are no weights.
    """
    for name in _weight_files(folder):
        path = folder / name
        if not path.is_file():
            raise ModelLoadError(
                f"The weights in {folder} are not complete: {name} is missing.", _AGAIN
            )
        if path.suffix == ".safetensors":
            _check_safetensors(path)


def _weight_files(folder: Path) -> list[str]:
    for name in _SINGLE_FILES:
        if (folder / name).is_file():
            return [name]
    for name in _INDEXES:
        if (folder / name).is_file():
            index = _read_json(folder / name)
            mapping = index.get("weight_map") if isinstance(index, dict) else None
            if not isinstance(mapping, dict) or not mapping:
                raise ModelLoadError(f"{folder / name} lists no weights.", _AGAIN)
            return sorted({str(file) for file in mapping.values()})
    hint = "Name a folder that holds model.safetensors, or download the model again."
    raise ModelLoadError(f"The folder {folder} has a config.json but no weights.", hint)


def _check_safetensors(path: Path) -> None:
    broken = ModelLoadError(f"The weights file {path} is broken or cut short.", _AGAIN)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (header_size,) = struct.unpack("<Q", file.read(8))
            if header_size > min(size, _HEADER_LIMIT_BYTES):
                raise broken
            header = json.loads(file.read(header_size))
        ends = [
            entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"
        ]
    except OSError as error:
        raise ModelLoadError(
            f"The weights file {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    except (ValueError, struct.error, KeyError, TypeError, AttributeError, IndexError) as error:
        raise broken from error
    if 8 + header_size + max(ends, default=0) != size:
        raise broken


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelLoadError(
            f"The folder {path.parent} has no {path.name}, so it holds no model.",
            "Name the folder that holds config.json and the weights.",
        ) from error
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"{path} is not valid JSON ({error}).", _AGAIN) from error
