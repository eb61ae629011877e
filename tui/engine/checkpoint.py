"""Looks at a model folder before anything is loaded: are its weights all there, and whole?

Only headers and sizes are read, so that a broken model is found out while the former one is still there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tui.engine.base import ModelLoadError
from tui.engine.facts import safetensors_header

_AGAIN: Final = "Download or copy it again."
_INDEXES: Final = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
_SINGLE_FILES: Final = ("model.safetensors", "pytorch_model.bin")


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
            return _listed(folder / name)
    hint = "Name a folder that holds model.safetensors, or download the model again."
    raise ModelLoadError(f"The folder {folder} has a config.json but no weights.", hint)


def _listed(path: Path) -> list[str]:
    try:
        index = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} is not valid JSON ({error}).", _AGAIN) from error
    mapping = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise ModelLoadError(f"{path} lists no weights.", _AGAIN)
    return sorted({str(file) for file in mapping.values()})


def _check_safetensors(path: Path) -> None:
    try:
        safetensors_header(path)
    except OSError as error:
        raise ModelLoadError(
            f"The weights file {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"The weights file {path} is broken or cut short.", _AGAIN) from error
