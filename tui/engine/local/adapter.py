"""Puts a LoRA adapter on a loaded model. peft does the work; it is optional."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.local.progress import Reporter

_CONFIG: Final = "adapter_config.json"


def check(adapter: str) -> None:
    """Check that an adapter can be used, before the model that it belongs to is loaded; imports nothing.

    Raises:
        ModelLoadError: peft is not installed, or the folder holds no adapter.
    """
    if importlib.util.find_spec("peft") is None:
        raise ModelLoadError(
            "A LoRA adapter needs the package peft, which is not installed.",
            "Install it with: pip install peft - or load the model without the adapter.",
        )
    folder = Path(adapter).expanduser()
    if folder.is_dir() and not (folder / _CONFIG).is_file():
        raise ModelLoadError(
            f"The folder {folder} has no {_CONFIG}, so it holds no adapter.",
            "Name the folder that the adapter was saved to.",
        )


def attach(model: Any, adapter: str, reporter: Reporter) -> Any:
    """Return the model with an adapter on it.

    Args:
        adapter: a folder or Hub id.

    Raises:
        ModelLoadError: the adapter is broken or was made for another model.
        Cancelled: the job was cancelled.
    """
    from peft import PeftModel

    reporter.step("Adapter")
    path = Path(adapter).expanduser()
    name = str(path) if path.is_dir() else adapter
    try:
        wrapped: Any = PeftModel.from_pretrained(model, name)
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise ModelLoadError(
            f"The adapter {adapter} does not go with this model ({_first_line(error)}).{_made_for(path)}",
            "Load the model that it was made for, or no adapter.",
        ) from error
    reporter.check()
    # A merged model is as fast as one without an adapter; quantised weights can't take the sum and keep it beside them.
    if getattr(model, "is_quantized", False):
        return wrapped.get_base_model()
    return wrapped.merge_and_unload()


def _made_for(folder: Path) -> str:
    try:
        base = json.loads((folder / _CONFIG).read_bytes()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return ""
    return f" It was made for {base}." if isinstance(base, str) and base else ""


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
