"""Assembles everything needed for replies once a model's weights are loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from tui.engine import context, facts, limits
from tui.engine.base import Capabilities, ModelInfo, ModelLoadError
from tui.engine.catalog import ModelKind
from tui.engine.local import (
    assistant,
    attention_names,
    footprint,
    habits,
    held_to_schema,
    load_notes,
    load_plan,
    model_settings,
    role_marks,
    vocabulary,
)
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.loaded import LoadedModel, Preparation
from tui.engine.local.placement import input_device
from tui.engine.local.prefill import Forward, Prefill
from tui.engine.local.prefix_cache import PrefixCache, proven_kind
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.speculation import Speculator
from tui.engine.local.stopping import end_of_turn_ids
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedConfig, PreTrainedTokenizerBase

    from tui.engine.local.text_model import TextModel

_NO_LIMIT: Final = 10**9
_CPU_CHUNK_BYTES: Final = 72 * 2**30
_CHUNK_TOKENS: Final = (64, 256)
_GPU_CHUNK_TOKENS: Final = 1024


def context_tokens(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the longest context that a model takes; 0 when nothing limits it."""
    own = {"tokens": getattr(tokenizer, "model_max_length", None)}
    text = config.get_text_config()
    said = context.longest({name: getattr(text, name, None) for name in context.SETTINGS})
    return said or limits.count(own, _NO_LIMIT - 1, "tokens")


def assembled(prepared: Preparation, model: TextModel, plan: load_plan.Plan) -> LoadedModel:
    """Return a model whose weights were read with all that replying needs."""
    tokenizer = prepared.tokenizer
    prompts = PromptBuilder(tokenizer)
    settings = model.generation_config
    kept = frozenset(mark for row in prompts.marks for mark in row.tokens)
    ends = role_marks.found_in(
        prompts.behind_replies(),
        prompts.template_ids,
        tokenizer,
        kept | role_marks.marks_in(prompts.unwritten_head()),
    )
    end_ids = end_of_turn_ids(model, tokenizer, ends.ids)
    rows = input_weights(model).shape[0]
    beyond = vocabulary.tokens_beyond(tokenizer, rows)
    model_settings.drop_nonsense(settings, rows)
    # The model's own settings would fill in what a reply's config leaves open.
    model.generation_config = type(settings)()
    weights_bytes = footprint.model_bytes(model)
    device = input_device(model)
    cache = PrefixCache(model, kind=proven_kind(model, device))
    forward = Forward(model, cache.argument)
    rotary = cache.rotary
    chunk_tokens = _chunk_tokens(str(device), weights_bytes)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        info=_with_notes(
            _info(prepared, model, settings, prompts, weights_bytes, plan),
            vocabulary.note(_worth_telling(prepared, beyond), rows),
            attention_names.note(prepared.wished_attention, model.config),
        ),
        cache=cache,
        prompts=prompts,
        end_ids=end_ids,
        end_texts=ends.texts,
        silent_ids=frozenset(
            token
            for token in tokenizer.all_special_ids
            # A special token that the vocabulary lacks, as an empty one, has no id.
            if token is not None and str(tokenizer.convert_ids_to_tokens(token)) not in kept
        ),
        beyond=beyond,
        model_settings=settings,
        input_device=device,
        prefill=Prefill(forward, cache.kind, rotary, chunk_tokens),
        gives_up_cache=any(
            habits.gives_up_cache(model, cache.argument, limit) for limit in rotary.limits
        ),
        speculation=Speculator(
            can_cut=cache.kind is CacheKind.CUTTABLE,
            early_exit=assistant.early_exit(
                forward, cache.kind, getattr(settings, "assistant_early_exit", None), device
            ),
        ),
    )


def _worth_telling(prepared: Preparation, beyond: Mapping[int, str]) -> Mapping[int, str]:
    """Return those tokens without a row that a user should know of: transformers adds one of its own to those of a GGUF file."""
    special = set(prepared.tokenizer.all_special_ids)
    is_gguf = prepared.parts.source.kind in (ModelKind.GGUF, ModelKind.DEMO)
    return {} if is_gguf and beyond.keys() <= special else beyond


def _with_notes(info: ModelInfo, *notes: str) -> ModelInfo:
    return replace(info, notes=(*info.notes, *(note for note in notes if note)))


def _info(
    prepared: Preparation,
    model: TextModel,
    settings: GenerationConfig,
    prompts: PromptBuilder,
    weights_bytes: int,
    plan: load_plan.Plan,
) -> ModelInfo:
    request, method = prepared.request, prepared.method
    known = facts.folder_facts(prepared.parts.folder)
    locked = f"the checkpoint is already quantized ({method})" if method else ""
    return ModelInfo(
        model=prepared.parts.source.model,
        name=prepared.parts.source.name,
        device=str(input_device(model)),
        dtype=str(prepared.dtype).removeprefix("torch."),
        quantization=method or request.quantization,
        quantization_locked=locked,
        context_tokens=context_tokens(model.config, prepared.tokenizer),
        weights_bytes=weights_bytes,
        defaults=model_settings.defaults(settings),
        has_chat_template=prompts.has_template,
        template_switches=prompts.switches,
        notes=(*plan.notes, *load_notes.notes(prepared, model, prompts)),
        revision=prepared.parts.folder.name if prepared.parts.source.kind is ModelKind.HUB else "",
        parameters=known.parameters,
        is_mixture=known.is_mixture,
        capabilities=Capabilities(holds_schema=held_to_schema.is_possible(prepared.tokenizer)),
    )


def _chunk_tokens(device: str, weights_bytes: int) -> int:
    """Return how many tokens of a prompt to compute at a time.

    It depends on the model alone, so that the same chat is computed the same way each time.
    """
    if device != "cpu":
        return _GPU_CHUNK_TOKENS
    least, most = _CHUNK_TOKENS
    wanted = _CPU_CHUNK_BYTES // max(weights_bytes, 1)
    return max(least, min(most, 1 << max(wanted.bit_length() - 1, 0)))


def take_assistant(loaded: LoadedModel, small: LoadedModel) -> None:
    """Have a second model draft for one that is loaded.

    Raises:
        ModelLoadError: it can't.
    """
    if not loaded.speculation.can_cut or small.cache.kind is not CacheKind.CUTTABLE:
        raise ModelLoadError(
            f"{small.info.name} can't draft for {loaded.info.name}: recurrent models can't discard drafted tokens.",
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
