"""Tries a tokenizer out. It runs in a helper process, see `helper_serving`; `tokenizer_check` is the other end.

A tokenizer's file holds regular expressions and replacements of a stranger. They are run on a few texts that such expressions choke on; what
takes too long or too much memory is the helper's to end, and what fails here is said.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Final

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

_MOST_READING_S: Final = 4.0
"""Of a processor, in which the app could do nothing else. The largest in use take 2 s."""
_LENGTH: Final = 4_000
_ALWAYS: Final = " a0\n\t=-_.'\"é中😀"
_MOST_CHARACTERS: Final = 40
_MOST_GROWTH: Final = 50
_STREAMED: Final = 200
_MOST_ADDED: Final = 1_000
_WORD: Final = 100_000


def answer(question: Mapping[str, str]) -> str:
    """Return what is wrong with a tokenizer; empty when nothing is.

    Args:
        question: has the `path` of a tokenizer's file, or the `text` of one; and its regular expressions as `patterns`.
    """
    try:
        began_s = time.process_time()
        given = question.get("text")
        try:
            made = Tokenizer.from_str(given) if given else Tokenizer.from_file(question["path"])
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - the library raises nothing more special
            return "the installed version of tokenizers can't read it"
        if time.process_time() - began_s > _MOST_READING_S:
            return "it takes too long to read"
        if len(made.encode("a", add_special_tokens=True).ids) > _MOST_ADDED:
            return "it adds far too much to a text"
        return next(filter(None, (_tried(made, text) for text in _texts(question["patterns"]))), "")
    except MemoryError:
        return "it takes too much memory"
    except BaseException:  # noqa: BLE001 - the library's panics are no ordinary exceptions
        return "it fails on ordinary text"


def _tried(made: Tokenizer, text: str) -> str:
    ids = made.encode(text, add_special_tokens=False).ids
    if len(ids) > len(text) * _MOST_GROWTH:
        return "it creates far too many tokens from a text"
    back = made.decode(ids, skip_special_tokens=False)
    stream = DecodeStream(skip_special_tokens=False)
    streamed = sum(len(stream.step(made, token) or "") for token in ids[:_STREAMED])
    if len(back) + streamed > len(text) * _MOST_GROWTH:
        return "it creates far too much text from its tokens"
    return ""


def _texts(patterns: str) -> Iterator[str]:
    """Yield texts to try: long runs of what stands in the expressions, with something at the end that they don't expect."""
    named = re.sub(r"\\.", "", patterns)
    characters = list(dict.fromkeys(_ALWAYS + named))[:_MOST_CHARACTERS]
    for character in characters:
        yield character * _LENGTH
        # With all that may be asked for at the end, so that no search is given up before it begins.
        yield character * _LENGTH + "!" + "".join(characters)
    yield "a" * _WORD
    yield "a1 " * (_LENGTH // 3)
    yield "Some ordinary text, with its words; and 3 numbers (42).\n" * (_LENGTH // 60)
    yield "".join(characters) * (_LENGTH // len(characters))
