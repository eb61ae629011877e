"""Converts token IDs to text while they are generated. Never returns partial characters or changes text it returned.

Any ids have a text, also those that make no character: a byte that belongs to none is U+FFFD, and the text goes on right after it. The
tokenizers library decodes runs of bytes as a whole, so that a stray one changes the text of those before it: with bytes for what a vocabulary
lacks (byte fallback) and with a byte for each letter (byte level), they are put together here. Other tokens are decoded with some before
them, since a tokenizer may put a space between two.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

_UNFINISHED: Final = "\ufffd"
_PRIMING_IDS: Final = 8
_MOST_UNFINISHED: Final = 3
"""So many bytes at the end of a text may be the beginning of a character."""
_MOST_HELD: Final = 64
"""So many tokens in a row that give no text never will; to keep them makes each further one slower."""
_BYTE: Final = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_PLACEHOLDER: Final = "<0x3F>"
"""The token that stands in for bytes before others: a question mark."""


class Characters:
    """Assembles bytes into characters."""

    def __init__(self, *, marks_each: bool) -> None:
        """Start with none.

        Args:
            marks_each: each byte that belongs to no character is a U+FFFD, and not each run that could have become one.
        """
        self._marks_each = marks_each
        self._held = b""

    def feed(self, data: bytes) -> str:
        """Return the complete characters."""
        return self._decoded(self._held + data, is_all=False)

    def flush(self) -> str:
        """Return what the bytes are that nothing more comes for."""
        return self._decoded(self._held, is_all=True)

    def _decoded(self, data: bytes, *, is_all: bool) -> str:
        pieces = []
        while True:
            try:
                text, used = codecs.utf_8_decode(data, "strict", is_all)
            except UnicodeDecodeError as error:
                strays = error.end - error.start if self._marks_each else 1
                pieces += [data[: error.start].decode(), _UNFINISHED * strays]
                data = data[error.end :]
                continue
            self._held = data[used:]
            return "".join((*pieces, text))


class ByteLevelDetokenizer:
    """For tokenizers whose tokens are bytes, each written as a letter."""

    def __init__(self, backend: Tokenizer, before: Sequence[int] = ()) -> None:
        """Start a stream.

        Args:
            backend: a `tokenizers.Tokenizer`.
            before: ids of the text that the stream goes on from.
        """
        self._backend = backend
        self._characters = Characters(marks_each=False)
        for token in before:
            self.step(token)

    def step(self, token: int) -> str:
        """Return the text that is complete; empty while a character is incomplete."""
        piece = self._backend.id_to_token(token)
        return self._characters.feed(_bytes_of(piece)) if piece else ""


class WindowDetokenizer:
    """For all others: decodes each token with some before it."""

    def __init__(
        self,
        decode: Callable[[list[int]], str],
        piece: Callable[[int], str | None],
        placeholder: int | None = None,
        before: Sequence[int] = (),
    ) -> None:
        """Start a stream.

        Args:
            decode: returns the text of ids.
            piece: returns a token as the vocabulary has it.
            placeholder: the id of a byte, where the vocabulary has one for each; None where it has none.
            before: ids of the text that the stream goes on from, so that a first space is not lost.
        """
        self._decode = decode
        self._piece = piece
        self._placeholder = placeholder
        self._characters = Characters(marks_each=True)
        self._window: list[int] = []
        self._known = ""
        """The text of the window."""
        self._held: list[int] = []
        """What came after the window and is not all told."""
        self._told = 0
        """Characters of the held ids' text that were told."""
        self._after_bytes = False
        for token in before:
            self.step(token)

    def step(self, token: int) -> str:
        """Return the text that is complete; empty while a character is incomplete."""
        byte = self._byte(token)
        if byte is not None:
            self._after_bytes = True
            return self._settled() + self._characters.feed(byte)
        strays = ""
        if self._after_bytes:
            strays = self._characters.flush()
            self._after_bytes = False
            if self._placeholder is not None:
                self._move_to([*self._window, self._placeholder])
        return strays + self._told_of(token)

    def _byte(self, token: int) -> bytes | None:
        if self._placeholder is None:
            return None
        found = _BYTE.fullmatch(self._piece(token) or "")
        if found is None:
            return None
        byte = bytes.fromhex(found[1])
        # A space at the very start is the tokenizer's to strip.
        is_first = not (self._window or self._held or self._after_bytes)
        return None if is_first and byte < b"\x80" else byte

    def _told_of(self, token: int) -> str:
        self._held.append(token)
        text = self._text(self._held)
        told = text[self._told :]
        unfinished = len(told) - len(told.rstrip(_UNFINISHED))
        if told and not unfinished:
            self._move_to([*self._window, *self._held])
            return told
        if len(self._held) >= _MOST_HELD:
            return self._settled()
        told = told[: len(told) - min(unfinished, _MOST_UNFINISHED)]
        self._told += len(told)
        return told

    def _settled(self) -> str:
        """Return what was held back, as nothing comes that could change it."""
        if not self._held:
            return ""
        told = self._text(self._held)[self._told :]
        self._move_to([*self._window, *self._held])
        return told

    def _text(self, ids: Sequence[int]) -> str:
        """Return the text of ids behind the window."""
        whole = self._safely([*self._window, *ids])
        if whole.startswith(self._known):
            return whole[len(self._known) :]
        return self._safely(list(ids))

    def _move_to(self, ids: list[int]) -> None:
        self._window, self._held, self._told = ids[-_PRIMING_IDS:], [], 0
        self._known = self._safely(self._window)

    def _safely(self, ids: list[int]) -> str:
        try:
            return str(self._decode(ids))
        except (ValueError, TypeError, LookupError, OverflowError):
            # A row of the embedding that no token belongs to.
            return ""


def detokenizer(
    tokenizer: PreTrainedTokenizerBase, before: Sequence[int] = ()
) -> ByteLevelDetokenizer | WindowDetokenizer:
    """Return the detokenizer that fits a transformers tokenizer."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    tail = list(before)[-_PRIMING_IDS:]
    if backend is None or not hasattr(backend, "decoder"):
        return WindowDetokenizer(
            lambda ids: str(
                tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            ),
            lambda token: str(tokenizer.convert_ids_to_tokens(token)),
            _placeholder(tokenizer.convert_tokens_to_ids, lambda ids: str(tokenizer.decode(ids))),
            tail,
        )
    if _is_byte_level(backend):
        return ByteLevelDetokenizer(backend, tail)

    def decode(ids: list[int]) -> str:
        return str(backend.decode(ids, skip_special_tokens=False))

    return WindowDetokenizer(
        decode, backend.id_to_token, _placeholder(backend.token_to_id, decode), tail
    )


def _placeholder(find: Callable[[str], object], decode: Callable[[list[int]], str]) -> int | None:
    """Return the id of the token that is a question mark's byte; None where such tokens are not decoded as bytes."""
    try:
        known = find(_PLACEHOLDER)
        return known if isinstance(known, int) and decode([known]) == "?" else None
    except Exception:  # noqa: BLE001 - a slow tokenizer is a program of somebody else
        return None


def _is_byte_level(backend: Tokenizer) -> bool:
    try:
        known = json.loads(backend.decoder.__getstate__())
    except (AttributeError, TypeError, ValueError):
        return False
    return isinstance(known, dict) and known.get("type") == "ByteLevel"


def _letters() -> dict[str, int]:
    """Return the letters of byte-level tokenizers with their bytes: printable ones stand for themselves, the others come after 255."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in plain)
    return {chr(byte): byte for byte in plain} | {
        chr(256 + n): byte for n, byte in enumerate(others)
    }


_LETTERS: Final = _letters()


def _bytes_of(piece: str) -> bytes:
    """Return the bytes of a token; one with other letters, as an added one, is itself."""
    values = [_LETTERS.get(letter) for letter in piece]
    known = [value for value in values if value is not None]
    return bytes(known) if len(known) == len(piece) else piece.encode(errors="replace")
