"""Converts text to token IDs with a tokenizer that may never finish.

A tokenizer's regular expressions come with the model, and a slow tokenizer is Python code of its own. Each piece of work is done on a
thread that can be left behind, so that a job ends when it is cancelled or takes too long, whatever the tokenizer does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, SupportsInt, TypeVar

from tui.engine.attempts import Attempts, StuckError, never
from tui.engine.base import GenerationError, IsCancelled

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WITHIN_S: Final = 60.0
_OTHER: Final = "Use another model; this one's tokenizer is broken."

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_Result = TypeVar("_Result")


def clean(text: str) -> str:
    """Return a text that a tokenizer accepts: lone surrogates become U+FFFD."""
    if not _SURROGATE.search(text):
        return text
    # The two halves of one character may have come apart, and stand side by side.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class Encoder:
    """Encodes with one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        self._attempts = Attempts(_WITHIN_S)

    def run(self, work: Callable[[], _Result], cancelled: IsCancelled = never) -> _Result:
        """Return the result of `work`, which has exclusive use of the tokenizer.

        Raises:
            Cancelled: `cancelled` returned True; the work is left behind.
            GenerationError: it takes too long, or what was left behind still goes on.
        """
        try:
            return self._attempts.run(work, cancelled)
        except StuckError as error:
            raise GenerationError(
                f"The model's tokenizer didn't finish ({error}).", _OTHER
            ) from error

    # -- what follows is work: it belongs inside `run`

    def plain(self, text: str) -> list[int]:
        """Return the ids of a text in which every token counts, without those that are put around a whole one."""
        return _ids(self._tokenizer.encode(clean(text), add_special_tokens=False)) if text else []

    def whole(self, text: str) -> list[int]:
        """Return the ids of a text by itself, with what the tokenizer puts in front of it, as it does with bos.

        What it puts behind a text says that the text has ended, and nothing is written on after that.
        """
        inner = self.plain(text)
        ids = _ids(self._tokenizer.encode(clean(text)))
        starts = range(len(ids) - len(inner) + 1) if inner else ()
        start = next((at for at in starts if ids[at : at + len(inner)] == inner), None)
        if start is None:
            ending = set(self._tokenizer.all_special_ids) - set(inner[-1:])
            while ids and ids[-1] in ending:
                ids.pop()
            return ids
        before = ids[:start]
        # The text may begin with the same token already.
        return [*(before if before != inner[: len(before)] else []), *inner]

    def typed(self, text: str) -> list[int]:
        """Return the ids of a text in which special tokens count as ordinary text."""
        if not text:
            return []
        encode = self._tokenizer.encode
        return _ids(encode(clean(text), add_special_tokens=False, split_special_tokens=True))

    def joined(self, pieces: Sequence[str]) -> list[int]:
        """Return the ids of a prompt that comes in pieces: text of a template, and control tokens that were typed, in turn.

        Raises:
            ValueError: the tokenizer makes a control token even of text.
        """
        ids = self.plain(pieces[0])
        for number, piece in enumerate(pieces[1:], start=1):
            if number % 2 == 0:
                ids += _in_the_middle(self.plain, piece)
            elif piece:
                ids += self._as_text(piece)
        return ids

    def _as_text(self, token: str) -> list[int]:
        ids = _in_the_middle(self._without_added, clean(token))
        if self._tokenizer.convert_tokens_to_ids(token) in ids:
            raise ValueError(f"the tokenizer turns the text {token!r} into a control token")
        return ids

    def _without_added(self, text: str) -> list[int]:
        """Return the ids of a text in which no added token counts, special or not."""
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if not getattr(self._tokenizer, "is_fast", False) or backend is None:
            return self.typed(text)
        # Only special tokens can be left out of the whole way from text to ids, so it is gone step by step.
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        words = [text]
        if backend.pre_tokenizer is not None:
            words = [word for word, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        return [token.id for word in words for token in backend.model.tokenize(word)]


def _in_the_middle(encode: Callable[[str], list[int]], text: str) -> list[int]:
    """Return the ids of a text that others stand before: some tokenizers put a space at the start of whatever they are given."""
    if not text:
        return []
    line_end, ids = encode("\n"), encode(f"\n{text}")
    return ids[len(line_end) :] if ids[: len(line_end)] == line_end else encode(text)


def _ids(encoded: Iterable[SupportsInt]) -> list[int]:
    return [int(token) for token in encoded]


def token_id(tokenizer: PreTrainedTokenizerBase, text: str) -> int | None:
    """Return the id of the token that is this text; None where there is none, or where the tokenizer can't tell."""
    try:
        known = tokenizer.convert_tokens_to_ids(text)
        if not isinstance(known, int) or tokenizer.convert_ids_to_tokens(known) != text:
            return None
    except Exception:  # noqa: BLE001 - a tokenizer may be a program of somebody else
        return None
    return known
