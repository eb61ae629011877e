"""Constrains a reply to a JSON Schema by allowing only tokens that lead to matching JSON.

The work is llguidance's, which is an extra. Reasoning before the answer is left free.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, cast

from tui.engine.base import GenerationError
from tui.json_types import Json

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

_LIBRARY: Final = "llguidance"
_STYLE: Final[Any] = {"whitespace_pattern": r"( |\n {0,16})?"}
"""JSON allows blanks without end, and models that lose their way write them."""
_NOT_HERE: Final = "Replies from this model can't be constrained to a JSON Schema"


def is_possible(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Return whether replies can be constrained to a schema: the library is installed and supports the tokenizer."""
    is_fast = getattr(tokenizer, "backend_tokenizer", None) is not None
    return is_fast and importlib.util.find_spec(_LIBRARY) is not None


def problem_of(schema: Json) -> str:
    """Return why a schema can't be used, as far as that can be told without a model; empty where nothing is wrong."""
    if importlib.util.find_spec(_LIBRARY) is None:
        return ""
    from llguidance import LLMatcher

    try:
        text = json.dumps(schema, allow_nan=False).encode("utf-8").decode()
        problem = LLMatcher.validate_grammar(
            LLMatcher.grammar_from_json_schema(text, defaults=_STYLE), None
        )
    except (ValueError, TypeError, RuntimeError, RecursionError) as error:
        return _lines(error)
    return _lines(problem)


class Grammars:
    """Builds the masks that constrain a model's replies to schemas; caches the expensive parts."""

    def __init__(self) -> None:
        self._vocabulary: Any = None

    def mask(
        self,
        schema: Json,
        tokenizer: PreTrainedTokenizerBase,
        ends: Collection[int],
        rows: int,
        is_free: Callable[[], bool],
    ) -> SchemaMask:
        """Return the token mask for one reply.

        Args:
            schema: a JSON Schema.
            tokenizer: the model's.
            ends: ids that end the reply.
            rows: how many ids the model has logits for.
            is_free: tells whether what comes next is not part of the answer, as in reasoning.

        Raises:
            GenerationError: the schema or the tokenizer can't be used.
        """
        if not is_possible(tokenizer):
            raise GenerationError(
                f"{_NOT_HERE}.", "Install chat-tui[schema], or use another model."
            )
        from llguidance import LLMatcher

        try:
            if self._vocabulary is None:
                self._vocabulary = _vocabulary(tokenizer, ends, rows)
            matcher = LLMatcher(
                self._vocabulary,
                LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults=_STYLE),
                log_level=0,
            )
        except (ValueError, TypeError, RuntimeError) as error:
            raise GenerationError(f"{_NOT_HERE} ({_first_line(error)}).") from error
        if problem := matcher.get_error():
            raise GenerationError(
                f"The JSON Schema can't be used ({_first_line(problem)}).",
                "Correct or simplify it.",
            )
        return SchemaMask(matcher, frozenset(ends), is_free)


class SchemaMask:
    """A logits processor of `generate` for one reply, which may only grow."""

    def __init__(self, matcher: Any, ends: frozenset[int], is_free: Callable[[], bool]) -> None:
        self._matcher = matcher
        self._ends = ends
        self._is_free = is_free
        self._taken = 0
        """How many ids, the prompt's included, the matcher has seen or need not see."""
        self._was_free = True
        """Whether what has come since the last call is no part of the answer: at first the prompt."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores of shape `(1, vocabulary)` of which only what may come next is left.

        Raises:
            GenerationError: a token came that does not fit.
        """
        count = input_ids.shape[1]
        was_free, self._was_free = self._was_free, self._is_free()
        if was_free:
            self._taken = count
        if self._was_free:
            return scores
        new = input_ids[0, self._taken :].tolist()
        self._taken = count
        if new and not self._matcher.is_stopped() and not self._matcher.consume_tokens(new):
            raise GenerationError(
                f"The reply violates its JSON Schema ({_first_line(self._matcher.get_error())})."
            )
        return scores.masked_fill(~self._allowed(scores), float("-inf"))

    def _allowed(self, scores: Tensor) -> Tensor:
        import torch

        rows = scores.shape[-1]
        if self._matcher.is_stopped():
            allowed = torch.zeros(rows, dtype=torch.bool)
        else:
            packed = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.uint8)
            bits = packed.unsqueeze(1) >> torch.arange(8, dtype=torch.uint8)
            flat = (bits & 1).bool().reshape(-1)[:rows]
            allowed = torch.zeros(rows, dtype=torch.bool)
            allowed[: flat.shape[0]] = flat
        if self._matcher.is_stopped() or self._matcher.is_accepting():
            allowed[[one for one in self._ends if one < rows]] = True
        return allowed.to(scores.device)


def _vocabulary(tokenizer: PreTrainedTokenizerBase, ends: Collection[int], rows: int) -> Any:
    from llguidance.hf import from_tokenizer

    size = max(rows, len(tokenizer))
    return from_tokenizer(cast("Any", tokenizer), n_vocab=size, eos_token=sorted(ends) or None)


def _lines(error: object) -> str:
    return " ".join(str(error).split())[:300]


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0][:200]
