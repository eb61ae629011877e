"""Loads a model's parts from a folder: tokenizer, weights, and what is known about them.

Finding the folder (download, GGUF conversion) and freeing the former model is the engine's business.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tui.engine.base import LoadRequest, ModelInfo, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.local import checkpoint, quantization
from tui.engine.local.prefix_cache import PrefixCache
from tui.engine.local.progress import Reporter
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.reasoning import CLOSING, OPENING
from tui.engine.local.stopping import end_of_turn_ids
from tui.parameters import Value, readable

_DTYPES: Final = ("bfloat16", "float16", "float32")
_NO_LIMIT: Final = 10**9
_CPU_CHUNK_BYTES: Final = 72 * 2**30
_CHUNK_TOKENS: Final = (64, 256)
_GPU_CHUNK_TOKENS: Final = 1024


@dataclass(slots=True)
class LoadedModel:
    """A model that is ready to reply, and what replying needs."""

    model: Any
    tokenizer: Any
    info: ModelInfo
    cache: PrefixCache
    prompts: PromptBuilder
    end_ids: frozenset[int]
    silent_ids: frozenset[int]
    model_settings: Any
    """The generation config that came with the model."""
    input_device: Any
    prefill_chunk_tokens: int
    last_logits_only: Mapping[str, int]
    """Arguments that keep a forward pass from computing the logits of every position."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """All that could be found out before weights are read."""

    source: ModelSource
    folder: Path
    request: LoadRequest
    config: Any
    tokenizer: Any
    device: str
    dtype: Any
    method: str
    """How the checkpoint is already quantised; empty when it is not."""


def prepare(
    source: ModelSource, folder: Path, request: LoadRequest, reporter: Reporter
) -> Preparation:
    """Check a folder, and read its config and tokenizer.

    Raises:
        ModelLoadError: it holds no whole model.
        Cancelled: the job was cancelled.
        Exception: whatever transformers raised.
    """
    from transformers import AutoConfig, AutoTokenizer

    reporter.step("Reading config")
    raw = checkpoint.read_config(folder)
    checkpoint.check_weights(folder)
    options = _options(request)
    config = AutoConfig.from_pretrained(folder, **options)
    _check_writes_text(config, raw, source)
    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device, config)
    reporter.step("Tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    reporter.check()
    method = checkpoint.quantization_method(raw)
    return Preparation(source, folder, request, config, tokenizer, device, dtype, method)


def load(prepared: Preparation, reporter: Reporter) -> LoadedModel:
    """Read the weights.

    Raises:
        Cancelled: the job was cancelled.
        Exception: whatever transformers raised.
    """
    import torch
    from transformers import AutoModelForCausalLM

    request, device = prepared.request, prepared.device
    is_spread = request.device == "auto" and device == "cuda:0" and torch.cuda.device_count() > 1
    options: dict[str, Any] = {
        "config": prepared.config,
        "dtype": prepared.dtype,
        **_options(request),
    }
    if not prepared.method and request.quantization != "none":
        options["quantization_config"] = quantization.config(
            request.quantization, prepared.dtype, "auto" if is_spread else device
        )
    if is_spread:
        options["device_map"] = "auto"
    elif device != "cpu" or "quantization_config" in options or prepared.method:
        options["device_map"] = {"": device}
    reporter.step("Loading weights")
    with reporter.weights("Loading weights"):
        model: Any = AutoModelForCausalLM.from_pretrained(prepared.folder, **options)
    model.eval()
    return _assembled(prepared, model)


def _check_writes_text(config: Any, raw: Mapping[str, Any], source: ModelSource) -> None:
    """Check that there is a model for text generation of this config's kind, here or in the repository's own code."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    own = raw.get("auto_map")
    if type(config) in MODEL_FOR_CAUSAL_LM_MAPPING or (
        isinstance(own, Mapping) and "AutoModelForCausalLM" in own
    ):
        return
    raise ModelLoadError(
        f"{source.name} is not a model that writes text (it is a {config.model_type} model).",
        "Choose a model made for text generation.",
    )


def _options(request: LoadRequest) -> dict[str, Any]:
    """Return what every `from_pretrained` is given; code that is trusted may live in another repository."""
    trusted = request.trust_remote_code
    return {"trust_remote_code": trusted, "local_files_only": not trusted}


def choose_device(wanted: str) -> str:
    """Return the torch device to use.

    Raises:
        ModelLoadError: there is no such device here.
    """
    import torch

    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.insert(0, "mps")
    for kind, interface in (("xpu", torch.xpu), ("cuda", torch.cuda)):
        if interface.is_available():
            here[:0] = [f"{kind}:{index}" for index in range(interface.device_count())]
    if wanted == "auto":
        return here[0]
    named = f"{wanted}:0" if wanted in ("cuda", "xpu") else wanted
    if named not in here:
        raise ModelLoadError(
            f"There is no device {wanted!r} here.", f"Choose auto or one of: {', '.join(here)}."
        )
    return named


def choose_dtype(wanted: str, device: str, config: Any) -> Any:
    """Return the torch dtype of the weights: 16 bits wherever the device computes with them.

    Raises:
        ModelLoadError: there is no dtype of that name.
    """
    import torch

    if wanted != "auto":
        if wanted not in _DTYPES:
            raise ModelLoadError(
                f"There is no dtype {wanted!r}.", f"Choose auto or one of: {', '.join(_DTYPES)}."
            )
        return getattr(torch, wanted)
    stored = getattr(config.get_text_config(), "dtype", None) or torch.float32
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "mps":
        return torch.float16
    if device.startswith("xpu") or torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001
        return torch.bfloat16
    # Half precision has no fast kernels on a CPU; bfloat16 at least keeps its memory.
    return torch.float32 if stored == torch.float16 else stored


def model_defaults(settings: Any) -> dict[str, Value]:
    """Return the parameters that a model's generation config sets, as far as they are valid."""
    values = settings.to_dict()
    found = readable(values)
    if values.get("do_sample") is False:
        found["temperature"] = 0.0
    return found


def context_tokens(config: Any, tokenizer: Any) -> int:
    """Return the longest context that a model takes; 0 when nothing limits it."""
    text_config = config.get_text_config()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        value = getattr(text_config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    limit = getattr(tokenizer, "model_max_length", None)
    return int(limit) if isinstance(limit, int) and 0 < limit < _NO_LIMIT else 0


def _assembled(prepared: Preparation, model: Any) -> LoadedModel:
    tokenizer = prepared.tokenizer
    prompts = PromptBuilder(tokenizer)
    settings = model.generation_config
    end_ids = end_of_turn_ids(model, tokenizer)
    # The model's own settings would fill in what a reply's config leaves open.
    model.generation_config = type(settings)()
    weights_bytes = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    input_device = model.get_input_embeddings().weight.device
    cache = PrefixCache(model)
    shown = {
        token for tag in (OPENING, CLOSING) if (token := _token_id(tokenizer, tag)) is not None
    }
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        info=_info(prepared, model, settings, prompts, weights_bytes),
        cache=cache,
        prompts=prompts,
        end_ids=end_ids,
        silent_ids=frozenset(set(tokenizer.all_special_ids) - shown),
        model_settings=settings,
        input_device=input_device,
        prefill_chunk_tokens=_chunk_tokens(str(input_device), weights_bytes),
        last_logits_only=(
            {"logits_to_keep": 1}
            if "logits_to_keep" in inspect.signature(model.forward).parameters
            else {}
        ),
    )


def _info(
    prepared: Preparation, model: Any, settings: Any, prompts: PromptBuilder, weights_bytes: int
) -> ModelInfo:
    request, method = prepared.request, prepared.method
    locked = f"the checkpoint is already quantised ({method})" if method else ""
    return ModelInfo(
        model=prepared.source.model,
        name=prepared.source.name,
        device=str(model.get_input_embeddings().weight.device),
        dtype=str(prepared.dtype).removeprefix("torch."),
        quantization=method or request.quantization,
        quantization_locked=locked,
        context_tokens=context_tokens(model.config, prepared.tokenizer),
        weights_bytes=weights_bytes,
        defaults=model_defaults(settings),
        has_chat_template=prompts.has_template,
        notes=tuple(_notes(prepared, model, prompts)),
    )


def _notes(prepared: Preparation, model: Any, prompts: PromptBuilder) -> list[str]:
    notes = []
    if prepared.method and prepared.request.quantization != "none":
        notes.append(
            f"This checkpoint is already quantised ({prepared.method}); the chosen quantization is not used."
        )
    if prepared.source.kind in (ModelKind.GGUF, ModelKind.DEMO):
        notes.append(
            "The GGUF weights were unpacked to 16 bits, so they take more memory than the file."
        )
    if not prompts.has_template:
        notes.append(
            "This model has no chat template: it continues your text rather than answer it."
        )
    elif not prompts.takes_system:
        notes.append(
            "This model's chat template has no system role: the system prompt goes into your first message."
        )
    places = {str(place) for place in (getattr(model, "hf_device_map", None) or {}).values()}
    if places & {"cpu", "disk"} and len(places) > 1:
        notes.append("The model does not fit on the GPU: a part of it runs on the CPU, slowly.")
    return notes


def _chunk_tokens(device: str, weights_bytes: int) -> int:
    """Return how many tokens of a prompt to compute between two looks at the cancel flag.

    It depends on the model alone, so that the same chat is computed the same way each time.
    """
    if device != "cpu":
        return _GPU_CHUNK_TOKENS
    least, most = _CHUNK_TOKENS
    wanted = _CPU_CHUNK_BYTES // max(weights_bytes, 1)
    return max(least, min(most, 1 << max(wanted.bit_length() - 1, 0)))


def _token_id(tokenizer: Any, token: str) -> int | None:
    known = tokenizer.get_added_vocab().get(token)
    return int(known) if known is not None else None
