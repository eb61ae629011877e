"""Whether a tokenizer fits a model: every token that a prompt can hold needs a row in the model's embedding.

A few tokens beyond, as for padding, are common and do no harm as long as none of them is asked for. A tokenizer of another model is
refused before weights are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tui.engine import limits
from tui.engine.base import GenerationError, ModelLoadError
from tui.parameters import PARAMETERS

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

_NAMED: Final = ("bos_token_id", "eos_token_id")
"""Tokens that prompts hold whatever the template says."""
_LONGEST: Final = 40
_MOST_LOOKED_FOR: Final = 1_000
"""Tokens that are looked for in a template; where there are more, a chat with one of them is refused in its turn."""


def check(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig, name: str) -> None:
    """Check that a tokenizer's own tokens, and those that its template writes, all have rows by the model's config.

    Raises:
        ModelLoadError: some have none.
    """
    said = vars(config.get_text_config()).get("vocab_size")
    rows = said if limits.is_count(said, limits.VOCABULARY) else 0
    beyond = tokens_beyond(tokenizer, rows) if rows else {}
    if not beyond:
        return
    added = set(tokenizer.get_added_vocab().values())
    named = {getattr(tokenizer, one, None) for one in _NAMED}
    templates = _templates(tokenizer) if len(beyond) <= _MOST_LOOKED_FOR else []
    needed = [
        token
        for token, text in beyond.items()
        if token not in added or token in named or any(text in template for template in templates)
    ]
    if needed:
        first = min(needed)
        raise ModelLoadError(
            f"The tokenizer of {name} doesn't match its config.json: the tokenizer has {max(beyond) + 1:,} tokens, but according to "
            f"vocab_size the model has only {rows:,}, so it lacks {beyond[first][:_LONGEST]!r}.",
            "They may belong to different models, or one of them may be outdated. Download or copy both again.",
        )


def tokens_beyond(tokenizer: PreTrainedTokenizerBase, rows: int) -> dict[int, str]:
    """Return the tokens for which an embedding of so many rows has none, by their ids."""
    return {token: str(text) for text, token in tokenizer.get_vocab().items() if token >= rows}


def note(beyond: Mapping[int, str], rows: int) -> str:
    """Return what a user should know of tokens that a model has no rows for; empty when there are none."""
    if not beyond:
        return ""
    shown = ", ".join(repr(beyond[token][:_LONGEST]) for token in sorted(beyond)[:3])
    return (
        f"The tokenizer has {max(beyond) + 1:,} tokens, but the model has only {rows:,}. A chat that contains one of the other tokens ({shown}) "
        "gets no reply."
    )


def check_prompt(ids: Iterable[int], beyond: Mapping[int, str]) -> None:
    """Check that a model has a row for each token of a prompt.

    Raises:
        GenerationError: it hasn't.
    """
    token = next((one for one in ids if one in beyond), None) if beyond else None
    if token is not None:
        raise GenerationError(
            f"The chat contains {beyond[token][:_LONGEST]!r}, a token that is in the tokenizer but not in the model.",
            "Remove it from the chat, or use another model.",
        )


def check_settings(values: Mapping[str, Any], rows: int) -> None:
    """Check that the tokens that a user's settings name are the model's.

    Args:
        values: what the user set, by name.
        rows: how many tokens the model has.

    Raises:
        GenerationError: one of them is not.
    """
    named = {
        "bad_words_ids": [token for run in values.get("bad_words_ids") or () for token in run],
        "sequence_bias": [token for run, _ in values.get("sequence_bias") or () for token in run],
        "forced_eos_token_id": values.get("forced_eos_token_id") or (),
    }
    for name, tokens in named.items():
        beyond = next((token for token in tokens if not 0 <= token < rows), None)
        if beyond is not None:
            raise GenerationError(
                f"“{PARAMETERS[name].label}” contains token {beyond}, but the model's tokens are 0 to {rows - 1}.",
                "Change or reset that setting.",
            )


def _templates(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    found = getattr(tokenizer, "chat_template", None)
    several = found.values() if isinstance(found, Mapping) else [found]
    return [one for one in several if isinstance(one, str)]
