"""Recognizes parts of diffusion pipelines (diffusers): they have a config.json and weights but can't chat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tui.engine import model_files
from tui.engine.base import ModelLoadError

_INDEX: Final = "model_index.json"
"""Lies beside the parts of a pipeline, each in a folder of its own, and names these."""
_LONGEST: Final = 60


def part(config: Mapping[str, Any]) -> str:
    """Return the class of the part that a config describes; empty where it describes none."""
    said = config.get("_class_name")
    is_model = config.get("model_type") or isinstance(config.get("auto_map"), Mapping)
    return said[:_LONGEST] if isinstance(said, str) and not is_model else ""


def is_part(folder: Path) -> bool:
    """Return whether a folder holds a part, by its config.json."""
    config = _read(folder / "config.json")
    return bool(part(config))


def parts(folder: Path) -> frozenset[str]:
    """Return the names of the folders in a folder that are parts of the pipeline in it; none where there is no pipeline."""
    return frozenset(_read(folder / _INDEX))


def error(name: str, part: str) -> ModelLoadError:
    """Return the error for a model that is a part.

    Args:
        name: of the model.
        part: its class.
    """
    return ModelLoadError(
        f"{name} is part of a diffusion pipeline ({part}), which generates images or audio, not text.",
        "Choose a model made for text generation.",
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        said = model_files.read_json(path)
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}
