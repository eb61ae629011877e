"""Puts a LoRA adapter on a loaded model. peft does the work; it is optional."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any, Final

from tui.engine import facts
from tui.engine.base import ModelLoadError
from tui.engine.local.progress import Reporter

_log = logging.getLogger(__name__)

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
    if not folder.is_dir() and _is_path(adapter):
        raise ModelLoadError(
            f"There is no folder {folder}, so there is no adapter.",
            "Check the spelling, or load the model without the adapter.",
        )
    if folder.is_dir() and not (folder / _CONFIG).is_file():
        raise ModelLoadError(
            f"The folder {folder} has no {_CONFIG}, so it holds no adapter.",
            "Name the folder that the adapter was saved to.",
        )


def check_fits(adapter: str, model_folder: Path) -> None:
    """Check, as far as headers of files tell, that an adapter in a folder was made for a model in another.

    Raises:
        ModelLoadError: its config can't be read, or its matrices have other widths than the model's.
    """
    folder = Path(adapter).expanduser()
    if not folder.is_dir():
        return
    try:
        is_config = isinstance(json.loads((folder / _CONFIG).read_bytes()), dict)
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadError(
            f"{folder / _CONFIG} can't be read.", "Copy the adapter again."
        ) from error
    if not is_config:
        raise ModelLoadError(f"{folder / _CONFIG} holds no adapter.", "Copy the adapter again.")
    if facts.quantization_method(facts.read_config(model_folder)):
        # Its matrices are packed, and their shapes tell nothing.
        return
    known = _shapes(model_folder)
    for name, (_, shape) in _shapes(folder).items():
        layer, is_inner, _ = name.removeprefix("base_model.model.").partition(".lora_A.")
        base = known.get(f"{layer}.weight")
        if is_inner and base is not None and len(shape) == 2 and shape[1] not in base[1]:
            raise _does_not_go(adapter)


def _shapes(folder: Path) -> dict[str, tuple[str, facts.Shape]]:
    found: dict[str, tuple[str, facts.Shape]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        # What is broken is found out by those who read it.
        with contextlib.suppress(OSError, ValueError):
            found |= facts.safetensors_header(path)
    return found


def _is_path(adapter: str) -> bool:
    """Return whether this can only be a folder: a Hub id has at most one slash, between two names."""
    return adapter.startswith(("/", ".", "~")) or adapter.count("/") > 1 or "\\" in adapter


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
        _log.warning("the adapter %s can't be attached", adapter, exc_info=True)
        if not path.is_dir() and isinstance(error, OSError | ValueError):
            raise ModelLoadError(
                f"There is no folder {adapter}, and no adapter of that name could be had from the Hub.",
                "Check the spelling, or load the model without the adapter.",
            ) from error
        raise _does_not_go(adapter) from error
    reporter.check()
    # A merged model is as fast as one without an adapter; quantised weights can't take the sum and keep it beside them.
    if getattr(model, "is_quantized", False):
        return wrapped.get_base_model()
    return wrapped.merge_and_unload()


def _does_not_go(adapter: str) -> ModelLoadError:
    return ModelLoadError(
        f"The adapter {adapter} does not go with this model.{_made_for(Path(adapter).expanduser())}",
        "Load the model that it was made for, or no adapter.",
    )


def _made_for(folder: Path) -> str:
    try:
        base = json.loads((folder / _CONFIG).read_bytes()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return ""
    return f" It was made for {base}." if isinstance(base, str) and base else ""
