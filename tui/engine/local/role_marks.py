"""Finds what a chat template writes between turns, and which of that ends a reply: ids, and texts where a mark is no token.

Many templates mark turns with what their tokenizer doesn't know: ChatML on another model's tokenizer, `### Instruction:`, `User:`. A model
that has nothing else to end its turn with writes them, and goes on as the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from tui.dataclass import dataclass
from tui.engine.local.encoding import token_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_LEAST: Final = 4
"""Characters of a mark; shorter ones stand in answers, as `<s>` does."""
_LONGEST: Final = 4_000
"""Characters between two turns that are looked at. A template can write any number of marks, and each is looked for in a reply."""
_MARK: Final = re.compile(r"<[^<>\s]{1,60}>|\[[|/]?[A-Za-z_|]{1,30}\]")
"""A mark by its form: `<|user|>`, `<user>`, `</s>`, `[INST]`, `[|user|]`."""
_WORD: Final = re.compile(r"\w{0,30}")
_LABEL: Final = re.compile(
    r"(?P<before>\A|\n|\s)"
    r"(?P<label>(?:\#{1,6}\ ?|\*\*)?[^\W\d_][\w .'-]{0,40}[:：](?:\*\*)?|\#{2,6}\ ?[^\W\d_]\w{2,30}\n)\s*\Z",
)
"""A mark that is a word, right before the user's: `### Instruction:`, `User:`, `### User` on a line of its own."""


@dataclass(frozen=True, slots=True)
class RoleMarks:
    """What ends a reply, by the chat template.

    Attributes:
        ids: tokens that are marks.
        texts: marks that are no tokens; one that is a word begins with what stands before it.
    """

    ids: frozenset[int] = frozenset()
    texts: tuple[str, ...] = ()


def found_in(
    behind: Sequence[str],
    encode: Callable[[str], Sequence[int]],
    tokenizer: PreTrainedTokenizerBase,
    kept: Collection[str] = (),
) -> RoleMarks:
    """Return the marks in what a template writes behind the assistant's words.

    Args:
        behind: what it writes there, up to the user's next words and at the end of a chat.
        encode: returns the ids of a text of the template's.
        tokenizer: tells tokens by their text.
        kept: marks that a reply itself may hold, as those of its reasoning.
    """
    ids: set[int] = set()
    texts: dict[str, None] = {}
    added = tokenizer.get_added_vocab()
    shown = [text[:_LONGEST] for text in behind]
    for text in shown:
        ids |= _special_at_start(text, encode, tokenizer, kept)
        for place in _MARK.finditer(text):
            mark = place[0]
            if mark in kept:
                # With the user's role it is another mark than with the assistant's.
                word = _WORD.match(text, place.end())
                mark += word[0] if word else ""
                if mark not in kept and mark != place[0]:
                    texts[mark] = None
                continue
            token = token_id(tokenizer, mark)
            if token is not None:
                ids.add(token)
            if len(mark) >= _LEAST and not (token is not None and mark in added):
                # With what the template writes before it, so that this is not left at the end of the answer.
                start = len(text[: place.start()].rstrip())
                texts |= dict.fromkeys((text[start : place.start()] + mark, mark))
    if not ids and not texts:
        texts |= dict.fromkeys(_labels(shown[0] if shown else ""))
    return RoleMarks(frozenset(ids), tuple(texts))


def marks_in(text: str) -> frozenset[str]:
    """Return what has the form of a mark in a text of a template's."""
    return frozenset(_MARK.findall(text))


def _special_at_start(
    text: str,
    encode: Callable[[str], Sequence[int]],
    tokenizer: PreTrainedTokenizerBase,
    kept: Collection[str],
) -> set[int]:
    """Return the id of the special token that a text starts with, whatever it looks like."""
    following = encode(text.lstrip())
    if not following or following[0] not in set(tokenizer.all_special_ids):
        return set()
    is_kept = str(tokenizer.convert_ids_to_tokens(following[0])) in kept
    return set() if is_kept else {int(following[0])}


def _labels(text: str) -> list[str]:
    """Return the texts that a label before the user's words makes; none where it could stand in any sentence."""
    place = _LABEL.search(text)
    if place is None:
        return []
    label = place["label"]
    if "\n" in text[: place.start("label")]:
        return [f"\n\n{label}", f"\n{label}"]
    return [f" {label}"] if label.isupper() else []
