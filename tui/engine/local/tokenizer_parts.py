"""Tells whether the parts of a tokenizer are of known kinds with settings that can do no harm, from its JSON alone.

It looks for what is not in common use, and for what grows; the regular expressions are `tokenizer_check`'s business. The text is searched
rather than read as JSON, which for a large vocabulary takes a third of a second.
"""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Iterator
from typing import Final

_KINDS: Final = frozenset(
    (
        b"Sequence", b"BPE", b"WordPiece", b"WordLevel", b"Unigram",
        b"NFC", b"NFD", b"NFKC", b"NFKD", b"Nmt", b"Lowercase", b"StripAccents", b"Strip", b"BertNormalizer", b"Precompiled", b"Prepend",
        b"Replace", b"ByteLevel", b"Metaspace", b"Split", b"Digits", b"Punctuation", b"Whitespace", b"WhitespaceSplit", b"BertPreTokenizer",
        b"CharDelimiterSplit", b"UnicodeScripts", b"TemplateProcessing", b"BertProcessing", b"RobertaProcessing",
        b"ByteFallback", b"Fuse", b"BPEDecoder", b"CTC",
    )
)  # fmt: skip
_TYPE: Final = re.compile(rb'\s*:\s*"([^"]*)"')
_FIELDS: Final = (
    (b'"pattern"', re.compile(rb'\s*:\s*[{"]'), (b"Replace", b"Split")),
    (b'"prepend"', re.compile(rb'\s*:\s*"'), (b"Prepend",)),
    (b'"precompiled_charsmap"', re.compile(rb'\s*:\s*[\["]'), (b"Precompiled",)),
)
"""Fields by which the library also knows parts that don't name their kind."""
_ADDED: Final = re.compile(rb"\s*:\s*\[[^\]]{2000}")
_HARMFUL: Final = (
    # The time per word is quadratic in its length.
    (b'"max_input_chars_per_word"', re.compile(rb"\s*:\s*[\d.eE+]{4}")),
    (b'"strategy"', re.compile(rb'\s*:\s*\{\s*"Fixed"\s*:\s*[\d.eE+]{6}')),
    (b'"pad_to_multiple_of"', re.compile(rb"\s*:\s*[\d.eE+]{6}")),
    # What is added to each text.
    (b'"ids"', _ADDED),
    (b'"tokens"', _ADDED),
)
_MOST_SPECIAL: Final = 200
_LONGEST: Final = 4_096
"""Between two quotation marks; the longest pieces of vocabularies take some 500 bytes."""
_CHARSMAP: Final = re.compile(rb'\s*:\s*"([A-Za-z0-9+/=]*)"')
_AFFIXES: Final = (b'"continuing_subword_prefix"', b'"end_of_word_suffix"')
_AFFIX: Final = re.compile(rb'\s*:\s*"((?:[^"\\]|\\.)*)"', re.DOTALL)
"""What is put before or behind each character of a word, or each word."""
_TEXT: Final = re.compile(rb'\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_LIST: Final = re.compile(rb"\s*:\s*\[")
"""How a vocabulary of pieces with scores begins; those of other models are objects."""


def are_harmless(data: bytes) -> bool:
    """Return whether all parts of a tokenizer, by its JSON, are of known kinds, without settings that make much of a text."""
    kinds = [found.group(1) for found in _fields(data, b'"type"', _TYPE)]
    is_named = all(
        sum(1 for _ in _fields(data, key, value)) == sum(kind in owners for kind in kinds)
        for key, value, owners in _FIELDS
    )
    return (
        is_named
        and _KINDS.issuperset(kinds)
        and not any(next(_fields(data, key, value), None) for key, value in _HARMFUL)
        and data.count(b'"SpecialToken"') <= _MOST_SPECIAL
        and not _has_long_text(_without_maps(data))
    )


def growth(data: bytes) -> float:
    """Return how many bytes at most the maps of characters and the affixes in a tokenizer's JSON make of one, all together.

    It is infinite for a broken map.
    """
    maps = (
        max(_replacements(found.group(1)), default=1)
        for found in _fields(data, b'"precompiled_charsmap"', _CHARSMAP)
    )
    affixes = (len(found.group(1)) for key in _AFFIXES for found in _fields(data, key, _AFFIX))
    return math.prod(max(1, factor) for factor in (*maps, *affixes))


def added_bytes(data: bytes) -> int:
    """Return how long the added tokens in a tokenizer's JSON are together; replacements count as such, too."""
    return sum(len(found.group(1)) for found in _fields(data, b'"content"', _TEXT))


def trie_bytes(data: bytes) -> int:
    """Return how long the texts in a tokenizer's JSON are together if its vocabulary becomes a tree; 0 if it doesn't."""
    if next(_fields(data, b'"vocab"', _LIST), None) is None:
        return 0
    marks = _without_maps(data).replace(rb"\\", b"--").replace(rb"\"", b"--")
    return sum(map(len, marks.split(b'"')[1::2]))


def _fields(data: bytes, key: bytes, value: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield what matches behind a key; finding the key first takes a tenth of the time that an expression with it would."""
    at = data.find(key)
    while at >= 0:
        at += len(key)
        if found := value.match(data, at):
            yield found
        at = data.find(key, at)


def _without_maps(data: bytes) -> bytes:
    """Return JSON without its maps of characters, which are long texts and looked at by themselves."""
    kept, start = [], 0
    for found in _fields(data, b'"precompiled_charsmap"', _CHARSMAP):
        kept.append(data[start : found.start(1)])
        start = found.end(1)
    return b"".join((*kept, data[start:])) if kept else data


def _replacements(written: bytes) -> Iterator[float]:
    """Yield how long the replacements of a map of SentencePiece are: after a search tree with its size, each with a zero at its end."""
    try:
        charsmap = base64.b64decode(written, validate=True)
        tree_bytes = struct.unpack_from("<I", charsmap)[0]
    except (ValueError, struct.error):
        yield float("inf")
        return
    yield from map(len, charsmap[4 + tree_bytes :].split(b"\0"))


def _has_long_text(data: bytes) -> bool:
    # An escaped quotation mark ends nothing.
    marks = data.replace(b'\\"', b"--")
    at = 0
    while at + _LONGEST < len(marks):
        last = marks.rfind(b'"', at, at + _LONGEST)
        if last < 0:
            return True
        at = last + 1
    return False
