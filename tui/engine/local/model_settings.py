"""Reads a model's generation config, ignoring invalid values: its files are untrusted.

What is nonsense is left out rather than refused: none of it is needed for a reply.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from tui.engine import limits
from tui.parameters import Value, readable

if TYPE_CHECKING:
    from transformers import GenerationConfig

_MOST_NGRAM: Final = 1_000
_MOST_ENTRIES: Final = 100_000
_LARGEST_BIAS: Final = 1e6


def defaults(settings: GenerationConfig) -> dict[str, Value]:
    """Return the parameters that a model's generation config sets, as far as they are valid."""
    values = vars(settings)
    found = readable(values)
    if values.get("do_sample") is False:
        found["temperature"] = 0.0
    return found


def token_ids(value: object, vocabulary: int) -> frozenset[int]:
    """Return those of one or several ids that are a token's.

    Args:
        value: an id, several of them, or anything else.
        vocabulary: how many tokens there are.
    """
    several: Iterable[object] = value if isinstance(value, list | tuple) else (value,)
    return frozenset(token for token in several if _is_token(token, vocabulary))


def drop_nonsense(settings: GenerationConfig, vocabulary: int) -> None:
    """Remove invalid settings from a generation config.

    Args:
        settings: transformers' own config of generation; it is changed.
        vocabulary: how many tokens there are.
    """
    for name, is_valid in _VALID.items():
        value = getattr(settings, name, None)
        if value is not None and not is_valid(value, vocabulary):
            setattr(settings, name, None)


def _is_token(value: object, vocabulary: int) -> TypeGuard[int]:
    return limits.is_count(value, vocabulary - 1)


def _are_tokens(value: Any, vocabulary: int) -> bool:
    is_list = isinstance(value, list) and 0 < len(value) <= _MOST_ENTRIES
    return is_list and all(_is_token(token, vocabulary) for token in value)


def _are_words(value: Any, vocabulary: int) -> bool:
    is_list = isinstance(value, list) and 0 < len(value) <= _MOST_ENTRIES
    return is_list and all(_are_tokens(word, vocabulary) for word in value)


def _is_ngram(value: object, _vocabulary: int) -> bool:
    return limits.is_count(value, _MOST_NGRAM)


def _is_bias(value: object, vocabulary: int) -> bool:
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_ENTRIES:
        return False
    return all(
        isinstance(entry, list)
        and len(entry) == 2
        and _are_tokens(entry[0], vocabulary)
        and isinstance(entry[1], float)
        and abs(entry[1]) <= _LARGEST_BIAS
        for entry in value
    )


_VALID: Final[Mapping[str, Callable[[Any, int], bool]]] = {
    "bos_token_id": _is_token,
    "pad_token_id": _is_token,
    "suppress_tokens": _are_tokens,
    "begin_suppress_tokens": _are_tokens,
    "bad_words_ids": _are_words,
    "sequence_bias": _is_bias,
    "no_repeat_ngram_size": _is_ngram,
}
"""The settings that replies are made with as the model has them; see `settings.generation_config`."""
