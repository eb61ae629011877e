"""Makes one reply with a loaded model: prompt, prefill in chunks, decoding, and what it cost."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tui.conversation.turn import ReplyStats
from tui.engine.base import (
    Cancelled,
    Emit,
    Finished,
    GenerateRequest,
    IsCancelled,
    Progress,
    PromptReady,
    StopReason,
)
from tui.engine.local import problems, settings
from tui.engine.local.loading import LoadedModel
from tui.engine.local.prompt import Prompt
from tui.engine.local.reasoning import Splitter, TemplateSplitter, ThinkSplitter
from tui.engine.local.stopping import CancelCriteria, StopTexts, cancellable_layers
from tui.engine.local.streamer import ReplyStreamer, detokenizer
from tui.parameters import Value

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Clock:
    """When a reply was asked for, and what its prompt is."""

    asked_s: float
    prompt_tokens: int = 0
    cached_tokens: int = 0

    def stats(self, streamer: ReplyStreamer | None) -> ReplyStats:
        if streamer is None or not streamer.new_tokens:
            return ReplyStats(prompt_tokens=self.prompt_tokens, cached_tokens=self.cached_tokens)
        return ReplyStats(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.cached_tokens,
            new_tokens=streamer.new_tokens,
            reasoning_tokens=streamer.reasoning_tokens,
            ttft_s=streamer.first_token_s - self.asked_s,
            decode_s=streamer.last_token_s - streamer.first_token_s,
            reasoning_s=streamer.reasoning_s,
        )


def reply(
    loaded: LoadedModel, request: GenerateRequest, emit: Emit, cancelled: IsCancelled
) -> Finished:
    """Make a reply; see `Engine.generate`. The KV cache is kept only when nothing was raised.

    Raises:
        GenerationError: the chat doesn't fit, the template refuses it, or the model failed.
    """
    clock = _Clock(time.perf_counter())
    prompt = loaded.prompts.build(request.messages, request.continue_last, request.template)
    clock.prompt_tokens = len(prompt.ids)
    values = settings.in_force_for(loaded, request, prompt)
    splitter, silent = _splitter(loaded, prompt)
    stops = StopTexts(values["stop_strings"] or (), emit)
    streamer = ReplyStreamer(
        detokenizer(loaded.tokenizer, prompt.ids if prompt.continues else ()),
        splitter,
        stops.take,
        ends=settings.end_ids(loaded, values),
        silent=silent,
    )
    try:
        reason = _run(
            loaded,
            prompt,
            values,
            streamer,
            clock,
            emit,
            cancelled=lambda: cancelled() or stops.found,
        )
    except Exception as error:
        streamer.finish()
        stops.finish()
        raise problems.generation_error(error, clock.stats(streamer)) from error
    streamer.finish()
    stops.finish()
    if stops.found:
        reason = StopReason.END
    return Finished(clock.stats(streamer), reason)


def _splitter(loaded: LoadedModel, prompt: Prompt) -> tuple[Splitter, Collection[int]]:
    """Return what parts the reply, and the special ids that it must not see."""
    if getattr(loaded.tokenizer, "response_template", None) is not None:
        try:
            parser = loaded.tokenizer.get_response_parser(prefix=list(prompt.ids))
            return TemplateSplitter(parser), ()
        except (AttributeError, TypeError, ValueError):
            _log.warning("the model's response template can't be used", exc_info=True)
    return ThinkSplitter(prompt.opens_reasoning), loaded.silent_ids


def _run(
    loaded: LoadedModel,
    prompt: Prompt,
    values: Mapping[str, Value],
    streamer: ReplyStreamer,
    clock: _Clock,
    emit: Emit,
    cancelled: IsCancelled,
) -> StopReason:
    import torch

    cache = None
    if loaded.cache.is_usable:
        cache, clock.cached_tokens = loaded.cache.take(prompt.ids)
    emit(PromptReady(len(prompt.ids), clock.cached_tokens, dict(values)))
    ids = torch.tensor([prompt.ids], device=loaded.input_device)
    with torch.inference_mode():
        if cache is not None:
            _prefill(loaded, ids, cache, clock.cached_tokens, emit, cancelled)
        if cancelled():
            return _kept(loaded, cache, prompt.ids, StopReason.CANCELLED)
        torch.manual_seed(int(values["seed"] or 0))
        stopping = CancelCriteria(cancelled)
        options: dict[str, Any] = {
            "attention_mask": torch.ones_like(ids),
            "generation_config": settings.generation_config(loaded, values),
            "stopping_criteria": [stopping],
            "streamer": streamer,
        }
        if cache is not None:
            loaded.model.generate(ids, past_key_values=cache, **options)
        else:
            try:
                with cancellable_layers(loaded.model, cancelled):
                    loaded.model.generate(ids, **options)
            except Cancelled:
                return StopReason.CANCELLED
    reason = StopReason.END if streamer.ended else StopReason.LENGTH
    if reason is StopReason.LENGTH and stopping.fired:
        reason = StopReason.CANCELLED
    return _kept(loaded, cache, (*prompt.ids, *streamer.ids), reason)


def _kept(loaded: LoadedModel, cache: Any, ids: Sequence[int], reason: StopReason) -> StopReason:
    if cache is not None:
        loaded.cache.keep(cache, ids)
    return reason


def _prefill(
    loaded: LoadedModel, ids: Any, cache: Any, done: int, emit: Emit, cancelled: IsCancelled
) -> None:
    """Compute the prompt up to a last chunk, which `generate` computes; end early when cancelled."""
    import torch

    total, chunk = ids.shape[1], loaded.prefill_chunk_tokens
    start = done
    while total - done > chunk and not cancelled():
        emit(Progress("Reading the prompt", done - start, total - start, "tokens"))
        loaded.model(
            input_ids=ids[:, done : done + chunk],
            attention_mask=torch.ones((1, done + chunk), dtype=ids.dtype, device=ids.device),
            past_key_values=cache,
            use_cache=True,
            **loaded.last_logits_only,
        )
        done += chunk
    if done > start:
        emit(Progress("Reading the prompt", done - start, total - start, "tokens"))
