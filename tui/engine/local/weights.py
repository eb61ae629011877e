"""Reads a model's weights with transformers; rejects weights of other models and weights over the user's limit.

transformers only maps a file of weights into memory on a CPU, and when a mapped file is cut short, the next look at a weight ends the
process. Where somebody else can do that, the weights are copied out of the file. That can add half to the time of a load, and the
system can't drop such weights when it needs room; so the user's own files stay mapped, and must not be written over while their model
is loaded. Nor does it help in the seconds between the mapping and the copy.
"""

from __future__ import annotations

import copy
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import checkpoint, facts, fit, foreign
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.catalog import ModelSource
from tui.engine.failures import words
from tui.engine.local import assembly, renamed_weights
from tui.engine.quantization import QUANTIZATIONS
from tui.files import OTHERS_MODE, is_users_alone

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from tui.engine.local.text_model import TextModel

_log = logging.getLogger(__name__)

_WEIGHTS: Final = tuple(
    f"{below}*{end}" for below in ("", "*/") for end in (".safetensors", ".bin")
)
"""Where a folder's files of weights may be; an index may name some below it."""
_HEAD: Final = re.compile(r"(^|\.)(lm_head|embed_out|output|head)\.(weight|bias)$")
_LONGEST: Final = 100
_PACKED: Final = ("state_dict", "model_state_dict", "model", "module")
"""Under which of these names programs of training keep the weights."""
_NEVER_PACKED: Final = re.compile(r"norm|embed_tokens|wte|wpe|ln_f")


def read(
    source: ModelSource,
    folder: Path,
    model_class: type[PreTrainedModel],
    request: LoadRequest,
    method: str,
    options: Mapping[str, Any],
) -> TextModel:
    """Return the model with its weights.

    Args:
        source: names the model.
        folder: holds it.
        model_class: what it is loaded as: a class of transformers, or one of its auto classes.
        request: the load.
        method: how the checkpoint is already quantized; empty if it isn't.
        options: for `from_pretrained`.

    Raises:
        ModelLoadError: the weights are not those of this model, or it can't be held in the chosen quantization.
        Exception: an error from transformers.
    """
    name, quantized_as = source.name, request.quantization
    found = checkpoint.find_weights(folder)
    if not found.is_usual:
        _log.info("taking the weights of %s from %s", folder, ", ".join(found.files)[:1000])
    try:
        with assembly.found_by_name(folder, found) as place:
            model, report = _made(model_class, place, options)
    except (RuntimeError, ValueError) as error:
        if "quantization_config" in options and "automatic conversion" in words(error, 10_000):
            raise _not_held(name, quantized_as) from error
        raise
    if "quantization_config" in options and are_taken_apart(model, report["missing_keys"]):
        _log.error("weights lost while loading: %s", sorted(report["missing_keys"]))
        raise _not_held(name, quantized_as)
    check_complete(model, report, name, method)
    return model


def _not_held(name: str, quantization: str) -> ModelLoadError:
    return ModelLoadError(
        f"{name} can't be quantized with {QUANTIZATIONS[quantization].label}: this quantization doesn't support its layers.",
        "Try another quantization, or load the model without one.",
    )


def are_taken_apart(model: PreTrainedModel, missing: Iterable[str]) -> bool:
    """Return whether missing weights are all parts of tensors that transformers takes apart while it reads them.

    A library that quantizes on the way may be given the first part only; the files lack nothing then.
    """
    lacking = list(missing)
    if not lacking:
        return False
    # transformers keeps its rules by the names of classes and by kinds.
    kinds = {
        kind
        for part in model.modules()
        if (config := getattr(part, "config", None)) is not None
        for kind in (
            *(one.__name__ for one in type(part).__mro__),
            getattr(config, "model_type", ""),
        )
    }
    parts = [
        re.compile(pattern)
        for kind in kinds
        for rule in _conversions(kind)
        if len(rule.target_patterns) > 1
        for pattern in rule.target_patterns
    ]
    return all(any(one.search(key) for one in parts) for key in lacking)


def _conversions(kind: str) -> Sequence[Any]:
    """Return transformers' rules for a kind or class of models: which tensors of a file become which weights."""
    from transformers import conversion_mapping

    mapping: Any = conversion_mapping.get_checkpoint_conversion_mapping
    return mapping(kind) or ()


def check_names(folder: Path, found: checkpoint.Weights, config: PreTrainedConfig) -> None:
    """Check that weights are called as transformers reads them: for a few kinds it knows the names of their makers, too.

    Args:
        folder: holds the weights.
        found: what is in it.
        config: transformers' own.

    Raises:
        ModelLoadError: they are called as in the files that the model's makers give out, and that is not known for this kind.
    """
    native = foreign.native_names(found.tensors)
    if not native:
        return
    known = [
        re.compile(pattern)
        for rule in _conversions(config.model_type)
        for pattern in rule.source_patterns
    ]
    if not all(any(pattern.search(name) for pattern in known) for name in native):
        raise ModelLoadError(
            f"{found.files[0]} contains the model in its developer's original format ({folder}), which transformers can't read.",
            "Download the model in Hugging Face format, with model.safetensors.",
        )


def _made(
    model_class: Any, place: Path, options: Mapping[str, Any]
) -> tuple[TextModel, dict[str, Any]]:
    """Return the model and transformers' report; where its weights have other names in the files, it is read once more."""
    config = copy.deepcopy(options["config"])
    model, report = model_class.from_pretrained(place, output_loading_info=True, **options)
    other = renamed_weights.renaming(report["missing_keys"], report["unexpected_keys"])
    if not other:
        return model, report
    _log.info("renamed weights: %s", other)
    del model
    again = {**options, "config": config, "key_mapping": other}
    made: tuple[TextModel, dict[str, Any]] = model_class.from_pretrained(
        place, output_loading_info=True, **again
    )
    return made


def check_complete(
    model: PreTrainedModel, report: Mapping[str, Any], name: str, method: str = ""
) -> None:
    """Check that a model has all its weights from its files: what is missing there is made up of random numbers.

    Args:
        model: as transformers made it.
        report: what transformers says of the load.
        name: of the model, for people.
        method: how the checkpoint is already quantized; empty if it isn't.

    Raises:
        ModelLoadError: some are missing.
    """
    missing = set(report["missing_keys"])
    sizes = {key: weight.numel() for key, weight in model.named_parameters()}
    lacking = missing & sizes.keys()
    # What a quantized checkpoint calls its weights is its library's business: only when most are missing it is another model's.
    # Embeddings and norms are stored as they are.
    too_many = sum(sizes.values()) // 2 if method else 0
    plain = any(_NEVER_PACKED.search(key) for key in lacking)
    if plain or sum(sizes[key] for key in lacking) > too_many:
        _log.error("missing weights: %s", sorted(lacking))
        raise _incomplete(lacking, len(sizes), set(report["unexpected_keys"]), name)


def _incomplete(lacking: set[str], count: int, others: set[str], name: str) -> ModelLoadError:
    """Return the error that says which weights are missing, and why where that can be told."""
    if renamed_weights.holds_adapter(others):
        return ModelLoadError(
            f"The weights of {name} contain an adapter (LoRA) that wasn't merged into the model.",
            f"Merge it first (merge_and_unload), or save the adapter in a separate folder. {foreign.ADAPTER_HINT}",
        )
    if others and not any("." in one for one in others):
        packed = next((one for one in _PACKED if one in others), min(others))
        return ModelLoadError(
            f"The weights of {name} are inside a training checkpoint, under {packed[:_LONGEST]!r}.",
            f"Save them separately, for example with: torch.save(torch.load(FILE)[{packed[:_LONGEST]!r}], 'pytorch_model.bin')",
        )
    said = f"{name} lacks {len(lacking)} of the {count} weights that its architecture requires, for example {min(lacking)}."
    if all(_HEAD.search(key) for key in lacking):
        return ModelLoadError(
            said,
            "The missing weights are its output layer. The model may be an embedding model, or its config.json should contain "
            '"tie_word_embeddings": true.',
        )
    if others and len(lacking) > count // 2:
        return ModelLoadError(
            f"{said} Its files contain {len(others)} others, for example {min(others)[:_LONGEST]}.",
            "They may belong to another model or another program. Download the model again.",
        )
    return ModelLoadError(
        said, "Its files may belong to different models. Download or copy the model again."
    )


def secure(model: PreTrainedModel, folder: Path, check: Callable[[], None]) -> None:
    """Copy a model's weights out of the files of a folder if others can change these; see `copy_out_of_files`."""
    # On systems without such owners, files aren't mapped either.
    if hasattr(os, "geteuid") and others_can_change(folder):
        copy_out_of_files(model, check)


def others_can_change(folder: Path) -> bool:
    """Return whether anybody but the user can write to the files of weights in a folder, or put others there."""
    paths = [path for kind in _WEIGHTS for path in folder.glob(kind)]
    folders = {folder, *(path.resolve().parent for path in paths)}
    return not all(is_users_alone(path.stat()) for path in paths) or any(
        path.stat().st_mode & OTHERS_MODE for path in folders
    )


def copy_out_of_files(model: PreTrainedModel, check: Callable[[], None]) -> None:
    """Give a model memory of its own for all weights that lie in a mapped file.

    One after the other, so that no more than one is there twice: what is only in the file, the system drops when it needs room.

    Args:
        model: a torch module on any device.
        check: called before each copy; may raise.
    """
    import torch

    # Weights that several layers share are the same parameter, and come once.
    for weight in (*model.parameters(), *model.buffers()):
        for tensor, put in _plain_tensors(weight):
            if not _is_mapped(tensor):
                continue
            check()
            with torch.no_grad():
                put(tensor.detach().clone())


def _plain_tensors(tensor: Tensor) -> Iterator[tuple[Tensor, Callable[[Tensor], None]]]:
    """Yield a tensor, or those that a quantized one is made of, each with what puts another in its place."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor, partial(setattr, tensor, "data")
        return
    for name in tensor.__tensor_flatten__()[0]:
        inner = getattr(tensor, name)
        if hasattr(inner, "__tensor_flatten__"):
            yield from _plain_tensors(inner)
        else:
            yield inner, partial(setattr, tensor, name)


def _is_mapped(tensor: Tensor) -> bool:
    """Return whether a tensor lies in memory that torch did not allocate, which it can't resize either."""
    return bool(tensor.device.type == "cpu" and not tensor.untyped_storage().resizable())


def check_limit(
    folder: Path, request: LoadRequest, device: str, dtype: torch.dtype, source: ModelSource
) -> None:
    """Check that a model on the CPU alone stays below the most memory that the user gives it.

    Raises:
        ModelLoadError: its weights take more.
    """
    limit = next((size for name, size in request.max_memory.items() if name == "cpu"), "")
    if device != "cpu" or not limit:
        return
    from accelerate.utils import convert_file_size_to_int

    held = str(dtype).removeprefix("torch.")
    needed = fit.weights_bytes(facts.folder_facts(folder), request.quantization, dtype=held)
    if needed > convert_file_size_to_int(limit):
        raise ModelLoadError(
            f"The weights of {source.name} take about {needed / 2**20:,.0f} MiB, more than the limit of {limit} for the CPU.",
            "Raise the limit, or choose a smaller model or a quantization.",
        )
