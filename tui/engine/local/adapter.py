"""Attaches a LoRA adapter to a loaded model with peft, which is optional."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import (
    checkpoint,
    facts,
    failures,
    limits,
    model_files,
    pickled_weights,
    plausibility,
    safetensors_header,
    stand_ins,
)
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.local import adapter_patterns, problems
from tui.engine.local.progress import Reporter
from tui.files import is_file, is_folder, typed_path

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tui.engine.local.text_model import TextModel

_log = logging.getLogger(__name__)

_MOST_RANK: Final = 1024
_MOST_ROUNDS: Final = 64
"""Those in use have 4 to 16."""
_ROUNDS: Final = re.compile(r"_niter_([0-9]+)")
_CONFIG: Final = "adapter_config.json"
_WEIGHTS: Final = "adapter_model.safetensors"
FILES: Final = (_CONFIG, _WEIGHTS, "adapter_model.bin")
"""What is fetched of an adapter on the Hub."""
NOT_LOOKED_FOR: Final[Mapping[str, str]] = {"subfolder": "config.json"}
"""What `from_pretrained` takes as `adapter_kwargs`, so that it doesn't put an adapter on by itself that lies in the model's folder.

It looks for one in this folder below the model's, which can't be there: a file has its name.
"""
_KINDS: Final = frozenset((
    "LORA", "ADALORA", "BOFT", "C3A", "DELORA", "FOURIERFT", "GRALORA", "HIRA", "HRA", "IA3", "LN_TUNING", "LOHA", "LOKR", "MISS",
    "OFT", "PVERA", "RANDLORA", "ROAD", "SHIRA", "TRAINABLE_TOKENS", "VBLORA", "VERA", "WAVEFT",
))  # fmt: skip
"""Adapters that can become a part of the weights. Of the others some load further models or adapters by name."""


def check(adapter: str) -> None:
    """Check that an adapter can be used, before the model that it belongs to is loaded; imports nothing.

    Raises:
        ModelLoadError: peft is not installed, or the folder holds no adapter.
    """
    if importlib.util.find_spec("peft") is None:
        raise ModelLoadError(
            "A LoRA adapter requires the package peft, which isn't installed.",
            "Install it (pip install peft), or load the model without the adapter.",
        )
    folder = typed_path(adapter)
    if is_file(folder):
        raise ModelLoadError(
            f"{folder} is a file, but an adapter must be a folder that contains {_CONFIG}.",
            "Use the folder that the adapter was saved to. For an adapter in a .gguf file, use the original format instead.",
        )
    if not is_folder(folder) and _is_path(adapter):
        raise ModelLoadError(
            f"The adapter folder {folder} doesn't exist.",
            "Check the spelling, or load the model without the adapter.",
        )
    if is_folder(folder) and not (folder / _CONFIG).is_file():
        raise ModelLoadError(
            f"The folder {folder} has no {_CONFIG}, so it isn't an adapter.",
            "Use the folder that the adapter was saved to.",
        )


def check_fits(adapter: str, folder: Path, model_folder: Path) -> None:
    """Check, as far as headers of files tell, that an adapter was made for a model.

    Args:
        adapter: what the user called it.
        folder: holds it.
        model_folder: contains the model.

    Raises:
        ModelLoadError: it can't be used or be true, or its matrices have other widths than the model's.
    """
    if not (folder / _CONFIG).exists():
        raise ModelLoadError(
            f"{adapter} has no {_CONFIG}, so it isn't an adapter.",
            "Check the spelling, or load the model without the adapter.",
        )
    # It is looked at like a model's folder: a pipe in it would block whoever opens it.
    plausibility.check_folder(folder, {})
    for path in sorted(folder.glob("adapter_model.*")):
        stand_ins.check(path)
    pickled_weights.check_folder(folder)
    if (weights := folder / _WEIGHTS).is_file():
        checkpoint.check_safetensors(weights)
    check_config(folder)
    shapes = _shapes(folder)
    _check_ranks(_config(folder), folder, shapes)
    if facts.quantization_method(facts.read_config(model_folder)):
        # Its matrices are packed, and their shapes tell nothing.
        return
    known = _shapes(model_folder)
    for name, (_, shape) in shapes.items():
        layer, is_inner, _ = name.removeprefix("base_model.model.").partition(".lora_A.")
        base = known.get(f"{layer}.weight")
        if is_inner and base is not None and len(shape) == 2 and shape[1] not in base[1]:
            raise _does_not_go(adapter, folder)


def check_config(folder: Path) -> None:
    """Check that the config of an adapter leads to no code, and to no work without end.

    Raises:
        ModelLoadError: it does, or it can't be read.
    """
    config = _config(folder)
    kind = config.get("peft_type", "LORA")
    if kind not in _KINDS:
        raise ModelLoadError(
            f"The adapter in {folder} is of an unsupported type ({str(kind)[:40]}).",
            "Use a LoRA adapter.",
        )
    if config.get("megatron_config"):
        # peft imports the module that `megatron_core` names.
        raise ModelLoadError(
            f"The adapter in {folder} requires importing a module, which isn't allowed.",
            "Use an adapter that was not made for Megatron.",
        )
    if field := adapter_patterns.wrong_field(config):
        raise ModelLoadError(
            f"{folder / _CONFIG} selects layers in {field[:40]} with a pattern that could take too long to match.",
            "Replace the pattern with a plain list of layer names, or use another adapter.",
        )
    if not _is_quick_start(config):
        raise ModelLoadError(
            f"{folder / _CONFIG} requires far too many initialization steps.",
            "Download or copy the adapter again, or use another one.",
        )
    if not _is_replication(config.get("layer_replication")):
        raise ModelLoadError(
            f"{folder / _CONFIG} specifies more layers than any model has.",
            "Download or copy the adapter again.",
        )


def _is_quick_start(config: Mapping[str, Any]) -> bool:
    """Return whether an adapter's matrices are begun with in few rounds, where their way to begin has rounds at all."""
    rounds = [int(found[:9]) for found in _ROUNDS.findall(str(config.get("init_lora_weights")))]
    quantized = config.get("loftq_config")
    if isinstance(quantized, Mapping):
        rounds.append(quantized.get("loftq_iter", 1))
    return all(limits.is_count(count, _MOST_ROUNDS) for count in rounds)


def _is_replication(value: Any) -> bool:
    """Return whether a value can say which layers of a model are repeated: a list of first numbers and ends."""
    if value is None:
        return True
    if not isinstance(value, list) or not all(
        isinstance(one, list) and len(one) == 2 for one in value
    ):
        return False
    if not all(limits.is_count(number, limits.LAYERS) for one in value for number in one):
        return False
    return limits.is_count(sum(max(end - start, 0) for start, end in value), limits.LAYERS)


def notes(adapter: str, folder: Path | None, model_folder: Path) -> list[str]:
    """Return notes for the user about a model's adapters.

    Args:
        adapter: what the user called the one that was put on; empty for none.
        folder: holds it.
        model_folder: holds the model, and perhaps another adapter.
    """
    found = [f"Using the adapter {Path(adapter).name}."] if adapter else []
    if (model_folder / _CONFIG).is_file() and folder != model_folder:
        found.append(
            "The model's folder also contains an adapter (LoRA), which isn't used. To use it, set the adapter to this folder."
        )
    return found


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / _CONFIG
    try:
        config = model_files.read_json(path)
    except (OSError, ValueError) as error:
        raise ModelLoadError(
            f"{path} can't be read.", "Download or copy the adapter again."
        ) from error
    if not isinstance(config, dict):
        raise ModelLoadError(
            f"{path} doesn't contain an adapter.", "Download or copy the adapter again."
        )
    return config


def _check_ranks(
    config: Mapping[str, Any], folder: Path, shapes: Mapping[str, tuple[str, limits.Shape]]
) -> None:
    """Check that no matrices are made that are larger than those in the files: peft makes them before it reads."""
    there = [shape[0] for name, (_, shape) in shapes.items() if ".lora_A." in name and shape]
    pattern = config.get("rank_pattern")
    ranks = [config.get("r"), *(pattern.values() if isinstance(pattern, Mapping) else ())]
    most = max(there, default=_MOST_RANK)
    if any(rank is not None and not limits.is_count(rank, most) for rank in ranks):
        raise ModelLoadError(
            f"{folder / _CONFIG} specifies a rank that doesn't match the adapter's matrices.",
            "Download or copy the adapter again.",
        )


def _shapes(folder: Path) -> dict[str, tuple[str, limits.Shape]]:
    found: dict[str, tuple[str, limits.Shape]] = {}
    for path in model_files.entries(folder, "*.safetensors"):
        # Readers report broken files.
        with contextlib.suppress(OSError, ValueError):
            found |= safetensors_header.read_header(path)
    return found


def _is_path(adapter: str) -> bool:
    """Return whether this can only be a folder: a Hub ID has at most one slash, between two names."""
    return adapter.startswith(("/", ".", "~")) or adapter.count("/") > 1 or "\\" in adapter


def attach(model: PreTrainedModel, adapter: str, folder: Path, reporter: Reporter) -> TextModel:
    """Return the model with an adapter attached.

    Args:
        model: the model.
        adapter: the adapter's name as the user entered it.
        folder: holds it, and passed `check_fits`.
        reporter: takes the progress.

    Raises:
        ModelLoadError: the adapter is broken or was made for another model.
        Cancelled: the job was cancelled.
        Exception: memory ran out, or the GPU gave up.
    """
    from peft import PeftModel

    reporter.step("Adapter")
    if not _has_tokens(model, _config(folder)):
        raise _does_not_go(adapter, folder)
    try:
        wrapped: Any = PeftModel.from_pretrained(model, str(folder))
        reporter.check()
        # A merged model is as fast as one without an adapter; quantized weights can't take the sum and keep it beside them.
        if getattr(model, "is_quantized", False):
            made: TextModel = wrapped.get_base_model()
        else:
            made = wrapped.merge_and_unload()
        return made
    except Cancelled:
        raise
    except Exception as error:
        if problems.is_out_of_memory(error) or problems.gave_up(error):
            raise
        # Each kind of adapter fails in its own way over what it did not expect in its files.
        failures.log(_log, logging.WARNING, f"the adapter {adapter} can't be attached", error)
        raise _does_not_go(adapter, folder) from error


def _has_tokens(model: PreTrainedModel, config: Mapping[str, Any]) -> bool:
    """Return whether a model has all tokens that an adapter changes: a GPU that is asked for others does nothing more."""
    named = config.get("trainable_token_indices")
    lists = [*named.values()] if isinstance(named, Mapping) else [named]
    wanted = [
        token
        for tokens in (config.get("token_indices"), *lists)
        if tokens is not None
        for token in (tokens if isinstance(tokens, list) else [tokens])
    ]
    if not wanted:
        return True
    layers = _token_layers(config, named)
    fewest = min(
        (
            module.weight.shape[0]
            for name, module in model.named_modules()
            if getattr(getattr(module, "weight", None), "ndim", 0) == 2
            and (module is model.get_input_embeddings() or _is_among(name, layers))
        ),
        default=0,
    )
    return all(limits.is_count(token, fewest - 1) for token in wanted)


def _token_layers(config: Mapping[str, Any], named: Any) -> list[str]:
    """Return the names of the layers of which an adapter changes single tokens, as far as it names them."""
    layers = list(named) if isinstance(named, Mapping) else []
    if config.get("token_indices") is not None:
        target = config.get("target_modules")
        layers += target if isinstance(target, list) else [target]
    return [layer for layer in layers if isinstance(layer, str) and layer]


def _is_among(name: str, layers: Sequence[str]) -> bool:
    """Return whether a layer is meant: by its name, the end of that, or a pattern, which `check_config` has looked at."""
    for layer in layers:
        if name == layer or name.endswith(f".{layer}"):
            return True
        with contextlib.suppress(re.error):
            if re.fullmatch(layer, name):
                return True
    return False


def _does_not_go(adapter: str, folder: Path) -> ModelLoadError:
    return ModelLoadError(
        f"The adapter {adapter} doesn't fit this model.{_made_for(folder)}",
        "Load the model that it was made for, or load this model without the adapter.",
    )


def _made_for(folder: Path) -> str:
    try:
        base = model_files.read_json(folder / _CONFIG).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError):
        return ""
    return f" It was made for {base}." if isinstance(base, str) and base else ""
