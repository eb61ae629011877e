"""Loads a model's parts from a folder: tokenizer, weights, and what is known about them.

Finding the folder (download, GGUF conversion) and freeing the former model is the engine's business.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import checkpoint, facts, fit
from tui.engine.base import LoadRequest, ModelInfo, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.local import adapter, assistant, footprint, quantization, weights
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.history import LastReply
from tui.engine.local.prefill import Forward, Prefill
from tui.engine.local.prefix_cache import PrefixCache, proven_kind
from tui.engine.local.progress import Reporter
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.reasoning import CLOSING, OPENING
from tui.engine.local.speculation import Speculator
from tui.engine.local.stopping import cancellable_layers, end_of_turn_ids
from tui.engine.quantization import INT4, INT8, NONE, QUANTIZATIONS
from tui.parameters import Value, readable

if TYPE_CHECKING:
    from tui.engine.local.compiled import Compiled
    from tui.engine.local.kernels import Installed
    from tui.engine.local.native import Native

_log = logging.getLogger(__name__)

NOT_COMPILED: Final = "Not compiled"
"""How a model's note begins that could not be compiled."""
SPREADS: Final = ("balanced", "balanced_low_0", "sequential")
"""Ways to spread a model over devices that a request can name as its device."""
_DTYPES: Final = ("bfloat16", "float16", "float32")
_TOKENIZER_FILES: Final = (
    "tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt", "tekken.json",
)  # fmt: skip
_AMPERE: Final = 8
_FLASH_DIMENSIONS: Final = 256
_LONGEST_REASON: Final = 200
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
    prefill: Prefill
    speculation: Speculator
    last_reply: LastReply = field(default_factory=LastReply)
    installed: Installed | None = None
    """The faster layers that were put into it."""
    assistant: LoadedModel | None = None
    """The model that drafts for it."""
    compiled: Compiled | None = None
    """Its compiled decoding pass, if the user wants one."""


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
    raw = facts.read_config(folder)
    checkpoint.check_weights(folder)
    options = _options(request)
    config = AutoConfig.from_pretrained(folder, **options)
    _check_writes_text(config, raw, source)
    device = choose_device(request.device)
    dtype = choose_dtype(request.dtype, device, config)
    method = facts.quantization_method(raw)
    if not method:
        quantization.check(request.quantization, device)
    reporter.step("Tokenizer")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except (ImportError, OSError, ValueError, TypeError, KeyError) as error:
        if any((folder / name).is_file() for name in _TOKENIZER_FILES):
            raise
        raise ModelLoadError(
            f"{source.name} has no tokenizer: there is no tokenizer.json in {folder}.",
            "Download or copy the tokenizer's files of the same model into it.",
        ) from error
    weights.check_limit(folder, request, device, dtype, source)
    if request.adapter:
        adapter.check_fits(request.adapter, folder)
    reporter.check()
    return Preparation(source, folder, request, config, tokenizer, device, dtype, method)


def load(
    prepared: Preparation,
    reporter: Reporter,
    native: Callable[[], Native | None],
    compiled_folder: Path,
) -> LoadedModel:
    """Read the weights.

    Args:
        prepared: what `prepare` found out.
        reporter: takes the progress.
        native: returns the products that were compiled for this CPU, if there are any; called when they are of use.
        compiled_folder: where what torch compiles is kept.

    Raises:
        Cancelled: the job was cancelled.
        Exception: whatever transformers raised.
    """
    request, device = prepared.request, prepared.device
    # First, since the fastest kernels are chosen for the threads that there will be.
    _use_threads(request.threads)
    spread = _spread(request, device)
    options: dict[str, Any] = {
        "config": prepared.config,
        "dtype": prepared.dtype,
        **_options(request),
    }
    if not prepared.method and request.quantization != NONE:
        made = quantization.config(request, prepared.dtype, "auto" if spread else device)
        if made is not None:
            options["quantization_config"] = made
    if spread:
        options["device_map"] = spread
        if request.max_memory:
            options["max_memory"] = _device_limits(request.max_memory)
    elif device != "cpu" or "quantization_config" in options or prepared.method:
        options["device_map"] = {"": device}
    if attention := choose_attention(request, device, prepared.dtype, prepared.config):
        options["attn_implementation"] = attention
    reporter.step("Loading weights")
    reporter.run(lambda: _import_needed(prepared), alone=False)
    with reporter.weights("Loading weights"):
        model = weights.read(
            prepared.source, prepared.folder, prepared.request, prepared.method, options
        )
    if request.adapter:
        model = adapter.attach(model, request.adapter, reporter)
    model.eval()
    installed = _with_kernels(prepared, model, reporter, native)
    loaded = _assembled(prepared, model)
    loaded.installed = installed
    _warm_up(loaded, reporter)
    if request.compile:
        _compile(loaded, reporter, compiled_folder)
        if loaded.compiled is None and loaded.installed is None:
            as_it_is = replace(prepared, request=replace(request, compile=False))
            loaded.installed = _with_kernels(as_it_is, model, reporter, native)
    return loaded


def _compile(loaded: LoadedModel, reporter: Reporter, folder: Path) -> None:
    """Have the decoding pass compiled; a model for which that can't be done stays as it is, with a note that says why."""
    from tui.engine.local.compiled import Compiled, forget, why_not

    if loaded.installed is not None:
        reason = "its products are compiled here already"
    else:
        reason = why_not(loaded.model, loaded.cache.kind)
    if not reason:
        # On this thread, since a GPU's recorded graphs belong to the one that made them: a cancel waits for the end.
        reporter.step("Compiling (a minute or two the first time)")
        made = Compiled(loaded.prefill.forward, loaded.info.context_tokens)
        try:
            made.warm_up(folder)
            loaded.compiled = made
        except Exception as error:  # noqa: BLE001 - compilers fail in many ways, and nobody needs them
            _log.warning("the model can't be compiled", exc_info=True)
            reason = str(error).strip().partition("\n")[0][:_LONGEST_REASON] or type(error).__name__
        if reason or reporter.is_cancelled():
            loaded.compiled = None
            forget()
        reporter.check()
    note = f"{NOT_COMPILED}: {reason.rstrip('.')}." if reason else "The decoding pass is compiled."
    loaded.info = replace(loaded.info, notes=(*loaded.info.notes, note))


def _import_needed(prepared: Preparation) -> None:
    """Import what `from_pretrained` would: that takes a second or two, in which it could not be cancelled."""
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

    # What is not there is refused by those who need it.
    with contextlib.suppress(KeyError, ImportError):
        MODEL_FOR_CAUSAL_LM_MAPPING[type(prepared.config)]
        if package := QUANTIZATIONS[prepared.request.quantization].package:
            importlib.import_module(package)


def take_assistant(loaded: LoadedModel, small: LoadedModel) -> None:
    """Have a second model draft for one that is loaded.

    Raises:
        ModelLoadError: it can't.
    """
    if not loaded.speculation.can_cut or small.cache.kind is not CacheKind.CUTTABLE:
        raise ModelLoadError(
            f"{small.info.name} can't draft for {loaded.info.name}: recurrent models take no drafts back.",
            "Choose another assistant, or none.",
        )
    if small.tokenizer.get_vocab() == loaded.tokenizer.get_vocab():
        loaded.speculation.assistant = assistant.ModelDrafter(
            small.prefill.forward, small.cache.take((0, 0)).cache, small.input_device
        )
    else:
        loaded.speculation.assistant = assistant.TranslatingDrafter(
            small.model, small.tokenizer, loaded.tokenizer, small.input_device
        )
    loaded.assistant = small


def _with_kernels(
    prepared: Preparation, model: Any, reporter: Reporter, native: Callable[[], Native | None]
) -> Installed | None:
    """Put faster linear layers into a model on the CPU, in fewer bits where that was asked for; return None elsewhere."""
    from tui.engine.local import kernels

    name = "" if prepared.method else prepared.request.quantization
    wanted = prepared.request.kernels and not prepared.request.compile
    if not kernels.is_for(model) or not (wanted or name in (INT4, INT8)):
        return None
    reporter.step("Choosing kernels")
    made = native() if prepared.request.kernels else None
    tell = partial(reporter.step, "Quantising the weights", unit="layers")
    return kernels.install(model, name, made, tell)


def _warm_up(loaded: LoadedModel, reporter: Reporter) -> None:
    """Compute one token, so that the first reply does not pay for what backends set up at their first use.

    Raises:
        Cancelled: the job was cancelled.
    """
    import torch

    reporter.step("Warming up")
    start = min(loaded.end_ids, default=0)
    ids = torch.tensor([[start]], device=loaded.input_device)
    with torch.inference_mode(), cancellable_layers(loaded.model, reporter.is_cancelled):
        loaded.model(input_ids=ids, use_cache=False)
    reporter.check()


@cache
def _own_threads() -> int:
    """Return how many threads torch took before it was told."""
    import torch

    return torch.get_num_threads()


def _use_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count or _own_threads())


def _spread(request: LoadRequest, device: str) -> str:
    """Return the way in which a model is spread over devices; empty when it goes to one."""
    import torch

    if request.device in SPREADS:
        return request.device
    several = device == "cuda:0" and torch.cuda.device_count() > 1
    if request.device == "auto" and device != "cpu" and (several or request.max_memory):
        return "auto"
    return ""


def _device_limits(limits: Mapping[str, str]) -> dict[int | str, str]:
    """Return limits as accelerate wants them: GPUs by their number."""
    found: dict[int | str, str] = {}
    for name, limit in limits.items():
        number = name.rpartition(":")[2]
        found[int(number) if number.isdigit() else name] = limit
    return found


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
    if wanted == "auto" or wanted in SPREADS:
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
    return getattr(torch, fit.held_dtype(str(stored).removeprefix("torch."), half_dtype(device)))


def choose_attention(request: LoadRequest, device: str, dtype: Any, config: Any) -> str:
    """Return the attention implementation to load with, in transformers' names; empty for transformers' own choice.

    That is `sdpa`. FlashAttention is taken where its package is installed: on CUDA, in 16 bits, for models whose code takes it, and
    not for a compiled pass, which needs a cache that it does not know.
    """
    import torch
    from transformers import MODEL_FOR_CAUSAL_LM_MAPPING
    from transformers.utils.import_utils import is_flash_attn_2_available

    if request.attention or request.compile or not device.startswith("cuda"):
        return request.attention
    if dtype not in (torch.bfloat16, torch.float16) or not is_flash_attn_2_available():
        return ""
    # What FlashAttention 2 itself asks for.
    text = config.get_text_config()
    heads = max(getattr(text, "num_attention_heads", None) or 1, 1)
    dimensions = getattr(text, "head_dim", None) or getattr(text, "hidden_size", 0) // heads
    if torch.cuda.get_device_capability(device)[0] < _AMPERE or dimensions > _FLASH_DIMENSIONS:
        return ""
    known = type(config) in MODEL_FOR_CAUSAL_LM_MAPPING
    kind = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)] if known else None
    return "flash_attention_2" if getattr(kind, "_supports_flash_attn", False) else ""


def half_dtype(device: str) -> str:
    """Return the 16-bit type that a device computes with as fast as it can; empty for a CPU that has none."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device == "mps":
        return "float16"
    is_fast = device.startswith("xpu") or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001
    return "bfloat16" if is_fast else ""


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
    weights_bytes = footprint.model_bytes(model)
    input_device = model.get_input_embeddings().weight.device
    cache = PrefixCache(model, kind=proven_kind(model, input_device))
    accepts = frozenset(inspect.signature(model.forward).parameters)
    forward = Forward(model, cache.argument, accepts)
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
        prefill=Prefill(forward, cache.kind, _chunk_tokens(str(input_device), weights_bytes)),
        speculation=Speculator(
            can_cut=cache.kind is CacheKind.CUTTABLE,
            early_exit=assistant.early_exit(
                forward, cache.kind, getattr(settings, "assistant_early_exit", None), input_device
            ),
        ),
    )


def _info(
    prepared: Preparation, model: Any, settings: Any, prompts: PromptBuilder, weights_bytes: int
) -> ModelInfo:
    request, method = prepared.request, prepared.method
    known = facts.folder_facts(prepared.folder)
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
        template_switches=prompts.switches,
        notes=tuple(_notes(prepared, model, prompts)),
        revision=prepared.folder.name if prepared.source.kind is ModelKind.HUB else "",
        parameters=known.parameters,
        is_mixture=known.is_mixture,
    )


def _notes(prepared: Preparation, model: Any, prompts: PromptBuilder) -> list[str]:
    notes = []
    if prepared.method and prepared.request.quantization != NONE:
        notes.append(
            f"This checkpoint is already quantised ({prepared.method}); the chosen quantization is not used."
        )
    stored = str(getattr(prepared.config.get_text_config(), "dtype", "")).removeprefix("torch.")
    held = str(prepared.dtype).removeprefix("torch.")
    if (stored, held) == ("float16", "float32") and not prepared.method:
        notes.append(
            "The float16 weights of this checkpoint are held as float32, in twice the memory: there are no fast products "
            "of float16 on this device."
            if prepared.request.dtype == "auto"
            else "The float16 weights of this checkpoint are held as float32, in twice the memory."
        )
    if prepared.source.kind in (ModelKind.GGUF, ModelKind.DEMO):
        notes.append(
            "The GGUF weights were unpacked to 16 bits, so they take more memory than the file."
        )
    if prepared.request.revision and prepared.source.kind is not ModelKind.HUB:
        notes.append(
            f"The revision {prepared.request.revision} is not used: only models of the Hub have revisions."
        )
    if prepared.request.adapter:
        notes.append(f"With the adapter {Path(prepared.request.adapter).name}.")
    if not prompts.has_template:
        notes.append(
            "This model has no chat template: it continues your text rather than answer it."
        )
    elif prompts.problem:
        notes.append(
            f"This model's chat template is broken ({prompts.problem}): no reply can be made with it."
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
    """Return how many tokens of a prompt to compute at a time.

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
