"""Loads a model's parts from a folder: tokenizer, weights, and what is known about them.

Finding the folder (download, GGUF conversion) and freeing the former model is the engine's business.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tui.engine import (
    checkpoint,
    config_values,
    facts,
    failures,
    pickled_weights,
    plausibility,
    purposes,
    stale_quantization,
    template_files,
)
from tui.engine.base import Cancelled, LoadRequest, ModelLoadError
from tui.engine.local import (
    adapter,
    assembling,
    attention_names,
    blueprint,
    configs,
    hub_kernels,
    load_plan,
    model_classes,
    narrowing,
    placement,
    problems,
    quantization,
    stored_quantization,
    tokenizer_check,
    tokenizer_reading,
    vocabulary,
    weights,
)
from tui.engine.local.code_cache import CodeCache
from tui.engine.local.loaded import LoadedModel, Parts, Preparation
from tui.engine.local.progress import Reporter
from tui.engine.local.stopping import cancellable_layers
from tui.engine.quantization import INT4, INT8, NONE, QUANTIZATIONS

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from tui.engine.local.cpu.kernels import Installed
    from tui.engine.local.cpu.native import Native
    from tui.engine.local.cpu.timings import Timings

_log = logging.getLogger(__name__)

NOT_COMPILED: Final = "Not compiled"
"""The start of the note about a model that could not be compiled."""
_LONGEST_REASON: Final = 200


def prepare(parts: Parts, request: LoadRequest, reporter: Reporter) -> Preparation:
    """Check a folder, and read its config and tokenizer.

    Raises:
        ModelLoadError: it holds no whole model.
        Cancelled: the job was cancelled.
        Exception: an error from transformers.
    """
    source, folder, code = parts.source, parts.folder, parts.code
    reporter.step("Reading config")
    hub_kernels.refuse(request.attention)
    written = facts.read_written_config(folder)
    raw = configs.with_kind(config_values.mended(written), source.name)
    purposes.check(folder, raw, source.name)
    found = checkpoint.find_weights(folder)
    raw, said = stale_quantization.without(raw, found.tensors), raw
    # Custom code may interpret it differently.
    is_as_written = raw is written or bool(code.model)
    if found.suffix == ".bin":
        for name in found.files:
            pickled_weights.check_file(folder / name)
    plausibility.check_folder(folder, raw)
    template = template_files.find(folder)
    with configs.blamed(source.name, raw):
        config = configs.read(code.folder, raw, _options(code.model), as_written=is_as_written)
    model_classes.check(config, raw, source.name)
    weights.check_names(folder, found, config)
    hub_kernels.forget_choices(config)
    device = placement.choose_device(request.device)
    attention_names.check(request.attention, device)
    dtype = placement.choose_dtype(request.dtype, device, config)
    method = facts.quantization_method(raw)
    with problems.blamed_on("quantization", source.name):
        stored_quantization.check(raw, found.tensors, method, device, source.name)
    if not method:
        quantization.check(request.quantization, device)
    if model_classes.is_known(config):
        with configs.blamed(source.name, raw):
            blueprint.check(folder, config, method, source.name)
    reporter.step("Tokenizer")
    tokenizer_check.check_files(folder, source.name)
    if not code.tokenizer:
        # Custom code may interpret it differently.
        tokenizer_check.check_packages(folder, source.name)
    with problems.blamed_on("tokenizer", source.name):
        options = _options(code.tokenizer) | ({} if is_as_written else {"config": config})
        tokenizer = tokenizer_reading.read(code.folder, folder, options, source.name)
    if template is not None:
        tokenizer.chat_template = template.text
    tokenizer_check.check(tokenizer, source.name)
    with problems.blamed_on("tokenizer", source.name):
        vocabulary.check(tokenizer, config, source.name)
    weights.check_limit(folder, request, device, dtype, source)
    if parts.adapter is not None:
        adapter.check_fits(request.adapter, parts.adapter, folder)
    reporter.check()
    wished = "" if request.attention else attention_names.wished_attention(raw)
    stale = facts.quantization_method(said) if raw is not said else ""
    return Preparation(
        parts, request, config, tokenizer, device, dtype, method, wished, template, stale
    )


def load(
    prepared: Preparation,
    reporter: Reporter,
    native: Callable[[], Native | None],
    code: CodeCache,
    timings: Timings | None = None,
    *,
    keeps_towers: bool = False,
) -> LoadedModel:
    """Read the weights.

    Args:
        prepared: what `prepare` found out.
        reporter: takes the progress.
        native: returns the products that were compiled for this CPU, if there are any; called when they are of use.
        code: keeps what torch compiles.
        timings: keeps how long kernels take on this machine.
        keeps_towers: whether to keep what a model sees and hears with, which a chat of text has no use for.

    Raises:
        Cancelled: the job was cancelled.
        Exception: an error from transformers.
    """
    request, device = prepared.request, prepared.device
    # First, since the fastest kernels are chosen for the threads that there will be.
    placement.use_threads(request.threads)
    attention = placement.choose_attention(request, device, prepared.dtype, prepared.config)
    plan = load_plan.Plan(prepared.dtype, attention, keeps_towers)
    while True:
        # Reading changes a config.
        tried = replace(prepared, config=copy.deepcopy(prepared.config), dtype=plan.dtype)
        try:
            loaded = _read(tried, plan, reporter, native, timings)
            break
        except Exception as error:
            other = load_plan.after(plan, error, request, prepared.parts.source.name)
            if other is None:
                raise
            failures.log(_log, logging.WARNING, f"trying {other} instead of {plan}", error)
            failure = error
        problems.release(failure)
        weights.check_limit(
            prepared.parts.folder, request, device, other.dtype, prepared.parts.source
        )
        plan = other
    if request.compile:
        _compile(loaded, reporter, code)
        if loaded.compiled is None and loaded.installed is None:
            as_it_is = replace(tried, request=replace(request, compile=False))
            loaded.installed = _with_kernels(as_it_is, loaded.model, reporter, native, timings)
    return loaded


def _read(
    prepared: Preparation,
    plan: load_plan.Plan,
    reporter: Reporter,
    native: Callable[[], Native | None],
    timings: Timings | None,
) -> LoadedModel:
    """Read the weights as a plan says, and compute a first token."""
    request, device, name = prepared.request, prepared.device, prepared.parts.source.name
    is_quantized = not prepared.method and request.quantization != NONE
    spread = placement.spread(request, device)
    model_class, config = _class_and_config(prepared, plan)
    options: dict[str, Any] = {
        "config": config,
        "dtype": prepared.dtype,
        "adapter_kwargs": adapter.NOT_LOOKED_FOR,
        **_options(prepared.parts.code.model),
    }
    if is_quantized:
        left = _layers_left(prepared, model_class, config, reporter)
        made = quantization.config(request, prepared.dtype, "auto" if spread else device, left)
        if made is not None:
            options["quantization_config"] = made
    if spread:
        options["device_map"] = spread
        if request.max_memory:
            options["max_memory"] = placement.device_limits(request.max_memory)
    elif device != "cpu" or "quantization_config" in options or prepared.method:
        options["device_map"] = {"": device}
    if plan.attention:
        options["attn_implementation"] = plan.attention
    reporter.step("Loading weights")
    reporter.run(lambda: _import_needed(prepared), alone=False)
    blamed = problems.blamed_on("weights", prepared.parts.source.name)
    with blamed, reporter.weights("Loading weights"):
        model = weights.read(
            prepared.parts.source,
            prepared.parts.code.folder,
            model_class,
            prepared.request,
            prepared.method,
            options,
        )
        weights.secure(model, prepared.parts.folder, reporter.check)
    if prepared.parts.adapter is not None:
        model = adapter.attach(model, request.adapter, prepared.parts.adapter, reporter)
    model.eval()
    installed = _with_kernels(prepared, model, reporter, native, timings)
    loaded = assembling.assembled(prepared, model, plan)
    loaded.installed = installed
    with problems.blamed_on("config.json", prepared.parts.source.name):
        try:
            _warm_up(loaded, reporter)
        except Exception as error:
            if not is_quantized or isinstance(error, Cancelled) or problems.is_known(error, name):
                raise
            raise quantization.failure(request, device, name, error) from error
    return loaded


def _layers_left(
    prepared: Preparation,
    model_class: type[PreTrainedModel],
    config: PreTrainedConfig,
    reporter: Reporter,
) -> list[str]:
    """Return the layers that a quantization leaves as they are; nothing of models of code of their own, which show it later."""
    from tui.engine.local import skipping

    name = prepared.request.quantization
    if not QUANTIZATIONS[name].package or not model_classes.is_known(prepared.config):
        return []
    reporter.step("Inspecting the layers")
    with problems.blamed_on("config.json", prepared.parts.source.name):
        return skipping.layers(model_class, config, name, prepared.device)


def _class_and_config(
    prepared: Preparation, plan: load_plan.Plan
) -> tuple[type[PreTrainedModel], PreTrainedConfig]:
    """Return what a model is loaded as, and the config for it."""
    import transformers

    config = prepared.config
    raw = facts.read_config(prepared.parts.folder)
    if own := model_classes.own_code(config, raw):
        return getattr(transformers, own), config
    model_class = model_classes.class_of(config)
    config = model_classes.config_for(model_class, config)
    is_narrowed = model_classes.is_multimodal(config) and not plan.keeps_towers
    return narrowing.for_text(model_class) if is_narrowed else model_class, config


def _compile(loaded: LoadedModel, reporter: Reporter, code: CodeCache) -> None:
    """Have the decoding pass compiled; a model for which that can't be done stays as it is, with a note that says why."""
    from tui.engine.local.compiled import Compiled, forget, why_not

    if loaded.installed is not None:
        reason = "its matrix products are already compiled"
    else:
        reason = why_not(loaded.model, loaded.cache.kind)
    if not reason:
        # On this thread, since a GPU's recorded graphs belong to the one that made them: a cancel waits for the end.
        reporter.step("Compiling (a minute or two the first time)")
        made = Compiled(loaded.prefill.forward, loaded.info.context_tokens, keep_code=code.seal)
        try:
            made.warm_up()
            loaded.compiled = made
        except Exception as error:  # noqa: BLE001 - compilers fail in many ways, and nobody needs them
            failures.log(_log, logging.WARNING, "the model can't be compiled", error)
            reason = failures.words(error, _LONGEST_REASON, first_line=True)
        if reason or reporter.is_cancelled():
            loaded.compiled = None
            forget()
        reporter.check()
    note = f"{NOT_COMPILED}: {reason.rstrip('.')}." if reason else "The decoding pass is compiled."
    loaded.info = replace(loaded.info, notes=(*loaded.info.notes, note))


def _import_needed(prepared: Preparation) -> None:
    """Import what `from_pretrained` would: that takes a second or two, in which it could not be cancelled."""
    # Code that needs a missing file reports it.
    with contextlib.suppress(KeyError, ImportError):
        if package := QUANTIZATIONS[prepared.request.quantization].package:
            importlib.import_module(package)


def _with_kernels(
    prepared: Preparation,
    model: PreTrainedModel,
    reporter: Reporter,
    native: Callable[[], Native | None],
    timings: Timings | None,
) -> Installed | None:
    """Put faster linear layers into a model on the CPU, in fewer bits where that was asked for; return None elsewhere."""
    from tui.engine.local.cpu import kernels

    name = "" if prepared.method else prepared.request.quantization
    wanted = prepared.request.kernels and not prepared.request.compile
    if not kernels.is_for(model) or not (wanted or name in (INT4, INT8)):
        return None
    reporter.step("Choosing kernels")
    made = native() if prepared.request.kernels else None
    tell = partial(reporter.step, "Quantizing the weights", unit="layers")
    return kernels.install(model, name, made, tell, timings)


def _warm_up(loaded: LoadedModel, reporter: Reporter) -> None:
    """Compute one token, so that the first reply does not pay for what backends set up at their first use.

    Raises:
        Cancelled: the job was cancelled.
        ModelLoadError: it can't do with text alone.
    """
    import torch

    reporter.step("Warming up")
    start = min(loaded.end_ids, default=0)
    ids = torch.tensor([[start]], device=loaded.input_device)
    try:
        with torch.inference_mode(), cancellable_layers(loaded.model, reporter.is_cancelled):
            loaded.model(input_ids=ids, use_cache=False)
    except (TypeError, ValueError, IndexError) as error:
        is_other = not model_classes.is_multimodal(loaded.model.config)
        if is_other or model_classes.failed_within(
            model_classes.language_model(loaded.model), error
        ):
            raise
        kind = loaded.model.config.model_type
        raise ModelLoadError(
            f"{loaded.info.name} only generates text from images or audio ({kind}) and can't chat in text.",
            "Choose a model made for chats.",
        ) from error
    reporter.check()


def _options(runs_code: bool) -> dict[str, Any]:
    """Return what every `from_pretrained` is given: all that may run has been fetched."""
    return {"trust_remote_code": runs_code, "local_files_only": True}
