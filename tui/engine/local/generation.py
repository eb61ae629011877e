"""Generates one reply with a loaded model: prompt, chunked prefill, decoding, and statistics."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Final

from tui.conversation.thoughts import ThinkSplitter
from tui.conversation.turn import ReplyStats
from tui.dataclass import dataclass
from tui.engine import failures
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
from tui.engine.local import cache_layers, problems, settings, soundness, vocabulary
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.decoding import Decoder
from tui.engine.local.detokenizer import detokenizer
from tui.engine.local.held_to_schema import SchemaMask
from tui.engine.local.history import LastReply
from tui.engine.local.loaded import LoadedModel
from tui.engine.local.prefill import Pass, Prefilled
from tui.engine.local.prefix_cache import Lent
from tui.engine.local.prompt import Prompt
from tui.engine.local.reasoning import Splitter, TemplateSplitter
from tui.engine.local.response_parsing import ResponseParsing
from tui.engine.local.soundness import NotFiniteError, NothingLeftError, Soundness
from tui.engine.local.stopping import CancelCriteria, cancellable_layers
from tui.engine.local.streamer import ReplyStreamer
from tui.engine.local.text_model import input_weights
from tui.engine.stop_texts import StopTexts
from tui.parameters import Value, texts, whole

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import Cache, GenerationConfig

_log = logging.getLogger(__name__)

_READING: Final = "Reading the prompt"
_OWN_MODES: Final = ("greedy_search", "sample")
"""What is decoded here; the other ways of `generate` are its own."""


@dataclass(slots=True)
class _Account:
    """What a reply costs, so far."""

    asked_s: float
    prompt_tokens: int = 0
    lent: Lent | None = None
    rewritten_tokens: int = 0
    prefill_s: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0

    def stats(self, streamer: ReplyStreamer | None) -> ReplyStats:
        made = ReplyStats(
            prompt_tokens=self.prompt_tokens,
            cached_tokens=self.lent.tokens if self.lent else 0,
            dropped_tokens=self.lent.dropped_tokens if self.lent else 0,
            rewritten_tokens=self.rewritten_tokens,
            prefill_s=self.prefill_s,
            drafted_tokens=self.drafted_tokens,
            accepted_tokens=self.accepted_tokens,
        )
        if streamer is None or not streamer.new_tokens:
            return made
        return replace(
            made,
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
    account = _Account(time.perf_counter())
    try:
        prompt = loaded.prompts.build(
            request.messages, request.continue_last, request.template, cancelled
        )
        vocabulary.check_prompt(prompt.ids, loaded.beyond)
        rows = input_weights(loaded.model).shape[0]
        vocabulary.check_settings(request.parameters, rows)
        splitter, silent = _splitter(loaded, prompt, cancelled)
        masks = _masks(loaded, request, splitter, rows)
    except Cancelled:
        return Finished(account.stats(None), StopReason.CANCELLED)
    account.prompt_tokens = len(prompt.ids)
    values = settings.in_force_for(loaded, request, prompt)
    stops = StopTexts(texts(values, "stop_strings"), emit, loaded.end_texts)
    streamer = ReplyStreamer(
        detokenizer(loaded.tokenizer, prompt.ids if prompt.continues else ()),
        splitter,
        stops.take,
        ends=settings.end_ids(loaded, values),
        silent=silent,
    )
    job = _Job(
        loaded,
        request,
        prompt,
        values,
        streamer,
        account,
        emit,
        lambda: cancelled() or stops.found,
        masks,
    )
    try:
        reason = job.run_within_memory()
    except Cancelled:
        reason = StopReason.CANCELLED
    except Exception as error:
        streamer.finish()
        stops.finish()
        if isinstance(error, NotFiniteError):
            loaded.forget_computed()
            raise soundness.generation_error(loaded.info, account.stats(streamer)) from error
        if isinstance(error, NothingLeftError):
            raise soundness.nothing_left(account.stats(streamer)) from error
        if problems.is_out_of_memory(error):
            # The caches kept for later turns take the memory that this one needs.
            loaded.cache.drop()
        raise problems.generation_error(error, account.stats(streamer)) from error
    streamer.finish()
    stops.finish()
    if stops.found:
        reason = StopReason.END
    elif reason is StopReason.END and not prompt.continues:
        ids = (*prompt.ids, *streamer.ids)
        loaded.last_reply = LastReply(request.messages, streamer.answer, ids)
    return Finished(account.stats(streamer), reason)


def _splitter(
    loaded: LoadedModel, prompt: Prompt, cancelled: IsCancelled
) -> tuple[Splitter, Collection[int]]:
    """Return what parts the reply, and the special ids that it must not see."""
    if getattr(loaded.tokenizer, "response_template", None) is not None:
        try:
            parser = ResponseParsing(loaded.tokenizer, prompt.ids, cancelled)
            return TemplateSplitter(parser), ()
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - the template is a stranger's; without it the reply is parted as any other
            failures.log(_log, logging.WARNING, "the response template can't be used", error)
    splitter = ThinkSplitter(
        prompt.opened, loaded.prompts.marks, is_over=prompt.is_over, said=prompt.said
    )
    return splitter, loaded.silent_ids


def _masks(
    loaded: LoadedModel, request: GenerateRequest, splitter: Splitter, rows: int
) -> list[SchemaMask]:
    """Return what holds a reply to the schema that it has to fit, if there is one."""
    if request.schema is None:
        return []
    mask = loaded.grammars.mask(
        request.schema, loaded.tokenizer, loaded.end_ids, rows, lambda: splitter.in_reasoning
    )
    return [mask]


@dataclass(slots=True)
class _Job:
    """One reply under way."""

    loaded: LoadedModel
    request: GenerateRequest
    prompt: Prompt
    values: Mapping[str, Value]
    streamer: ReplyStreamer
    account: _Account
    emit: Emit
    cancelled: IsCancelled
    masks: Sequence[SchemaMask] = ()
    """What rules tokens out before one is chosen."""
    watch: Soundness = field(init=False)

    def __post_init__(self) -> None:
        """Watch the numbers of this reply."""
        self.watch = Soundness(bool(self.values["remove_invalid_values"]))

    def run_within_memory(self) -> StopReason:
        """Make the reply; when memory runs out before its first token, give up the kept KV caches and try once more."""
        pool = self.loaded.cache
        try:
            return self.run()
        except Exception as error:
            kept = pool.entries or (self.account.lent and self.account.lent.tokens)
            if self.streamer.ids or not kept or not problems.is_out_of_memory(error):
                raise
            _log.warning("out of memory; releasing the saved KV caches")
            problems.release(error)
        pool.drop()
        problems.free_device_memory()
        return self.run()

    def run(self) -> StopReason:
        """Make the reply; return why it ended."""
        import torch

        config = settings.generation_config(self.loaded, self.values)
        ids = torch.tensor([self.prompt.ids], device=self.loaded.input_device)
        torch.manual_seed(whole(self.values, "seed") or 0)
        with torch.inference_mode():
            if self.loaded.cache.is_usable and not config.cache_implementation:
                return self._with_cache(ids, config)
            return self._without_cache(ids, config)

    # -- with a cache that is kept

    def _with_cache(self, ids: Tensor, config: GenerationConfig) -> StopReason:
        prompt_ids, cache = self.prompt.ids, self.loaded.cache
        before = self.loaded.last_reply
        self.account.rewritten_tokens = before.rewritten_by(self.request.messages, prompt_ids)
        lent = cache.take(
            prompt_ids,
            keeps_tail=not self.account.rewritten_tokens,
            at_most=self.request.cached_at_most,
        )
        self.account.lent = lent
        self._announce()
        decodes_here = config.get_generation_mode().value in _OWN_MODES
        done = self._prefill(ids, lent, len(prompt_ids) - (0 if decodes_here else 1))
        if done.tokens < len(prompt_ids) - 1 or self.cancelled():
            self._keep(lent.cache, prompt_ids, done.tokens, start=len(prompt_ids))
            return StopReason.CANCELLED
        if decodes_here:
            assert done.logits is not None
            return self._decode(ids, config, lent.cache, done.logits)
        stopping = CancelCriteria(self.cancelled)
        self.loaded.model.generate(
            ids,
            attention_mask=_all_ones(ids),
            generation_config=config,
            logits_processor=[*self.masks, self.watch],
            stopping_criteria=[stopping],
            streamer=self.streamer,
            **{cache.argument: lent.cache},
        )
        self._keep(lent.cache, (*prompt_ids, *self.streamer.ids), start=len(prompt_ids))
        return self._reason(stopping)

    def _announce(self) -> None:
        account = self.account
        self.emit(
            PromptReady(
                account.prompt_tokens,
                account.lent.tokens if account.lent else 0,
                dict(self.values),
                dropped_tokens=account.lent.dropped_tokens if account.lent else 0,
                rewritten_tokens=account.rewritten_tokens,
                notes=self.prompt.notes,
            )
        )

    def _prefill(self, ids: Tensor, lent: Lent, stop: int) -> Prefilled:
        began = time.perf_counter()
        total = stop - lent.tokens

        def on_progress(tokens: int) -> None:
            self.emit(Progress(_READING, tokens - lent.tokens, total, "tokens"))

        if total > self.loaded.prefill.chunk_tokens:
            on_progress(lent.tokens)
        pool = self.loaded.cache

        def prefill(start: int, stop: int) -> Prefilled:
            return self.loaded.prefill(
                ids, lent.cache, start, stop, self.cancelled, on_progress, self.watch
            )

        done = Prefilled(lent.tokens)
        if pool.kind is CacheKind.WHOLE and lent.tokens < len(self.prompt.ids) - 1:
            # A state of its own for the prompt, so that the reply can be made again.
            stop_before = len(self.prompt.ids) - 1
            done = prefill(lent.tokens, stop_before)
            if done.tokens == stop_before and self.watch.is_sound:
                pool.keep_copy(lent.cache, self.prompt.ids, done.tokens)
        if done.tokens < stop and not self.cancelled():
            done = prefill(done.tokens, stop)
        self.account.prefill_s = time.perf_counter() - began
        return done

    def _decode(
        self, ids: Tensor, config: GenerationConfig, cache: Cache, logits: Tensor
    ) -> StopReason:
        stopping = CancelCriteria(self.cancelled)
        drafter = self.loaded.speculation.drafter(
            self.request.speculation,
            whole(self.values, "prompt_lookup_num_tokens"),
            whole(self.values, "max_matching_ngram_size") or 0,
        )
        with self._pass_over(cache) as forward:
            rotary = self.loaded.cache.rotary
            anew = self._anew if self.loaded.gives_up_cache else None
            decoder = Decoder(
                forward, cache, logits, self.streamer.take, drafter, self.watch, rotary, anew
            )
            try:
                self.loaded.model.generate(
                    ids,
                    attention_mask=_all_ones(ids),
                    generation_config=config,
                    logits_processor=list(self.masks),
                    stopping_criteria=[stopping],
                    custom_generate=decoder,
                )
            finally:
                self.account.drafted_tokens = decoder.drafted_tokens
                self.account.accepted_tokens = decoder.accepted_tokens
        all_ids = (*self.prompt.ids, *self.streamer.ids)
        held = min(decoder.held_tokens, len(all_ids) - 1)
        if held == decoder.held_tokens or cache_layers.cut_to(decoder.cache, held):
            self._keep(decoder.cache, all_ids, held, start=decoder.start)
        return self._reason(stopping)

    def _keep(
        self, cache: Cache, ids: Sequence[int], tokens: int | None = None, *, start: int
    ) -> None:
        """Keep a cache unless what is in it is no numbers, which would spoil other replies; see `PrefixCache.keep`."""
        if self.watch.is_sound:
            self.loaded.cache.keep(cache, ids, tokens, start=start)
        else:
            self.loaded.forget_computed()

    def _anew(self, ids: Tensor) -> tuple[Cache, Tensor]:
        """Compute prompt and reply so far from their start; return the cache and the logits of the last token.

        Raises:
            Cancelled: the job was cancelled.
        """
        cache = cache_layers.fresh(self.loaded.model.config)
        done = self.loaded.prefill(ids, cache, 0, ids.shape[1], self.cancelled, watch=self.watch)
        if done.logits is None or done.tokens < ids.shape[1]:
            raise Cancelled
        return cache, done.logits

    def _pass_over(self, cache: Cache) -> contextlib.AbstractContextManager[Pass]:
        """Lend the pass that decodes with a cache that holds the prompt."""
        compiled, held = self.loaded.compiled, len(self.prompt.ids)
        limit = whole(self.values, "max_new_tokens") or 0
        rotary = self.loaded.cache.rotary
        last = held + (limit or self.loaded.info.context_tokens)
        if compiled is None or rotary.key(held) != rotary.key(last):
            return contextlib.nullcontext(self.loaded.prefill.forward)

        def on_compile(size: int) -> None:
            self.emit(Progress(f"Compiling for {size:,} tokens"))

        return compiled.over(cache, held, limit, on_compile)

    # -- without

    def _without_cache(self, ids: Tensor, config: GenerationConfig) -> StopReason:
        self._announce()
        if self.cancelled():
            return StopReason.CANCELLED
        stopping = CancelCriteria(self.cancelled)
        try:
            with cancellable_layers(self.loaded.model, self.cancelled):
                self.loaded.model.generate(
                    ids,
                    attention_mask=_all_ones(ids),
                    generation_config=config,
                    logits_processor=[*self.masks, self.watch],
                    stopping_criteria=[stopping],
                    streamer=self.streamer,
                )
        except Cancelled:
            return StopReason.CANCELLED
        return self._reason(stopping)

    def _reason(self, stopping: CancelCriteria) -> StopReason:
        if self.streamer.ended:
            return StopReason.END
        return StopReason.CANCELLED if stopping.fired else StopReason.LENGTH


def _all_ones(ids: Tensor) -> Tensor:
    """Return the mask of a prompt without padding."""
    import torch

    return torch.ones_like(ids)
