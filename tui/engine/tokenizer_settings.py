"""Whether the JSON files beside a tokenizer's vocabulary ask for what can be done in an instant, and read nothing but the folder.

Adding tokens to a vocabulary takes compiled code that every other thread waits for, and the names of files in these settings lead
transformers to files that nobody looked at.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tui.engine import limits

FILES: Final = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
MOST_ADDED: Final = 10_000
"""Those in use add some 6,400 at most; this many take a tenth of a second."""
MOST_ADDED_BYTES: Final = 200_000
"""Of all tokens of one file: those in use have some 80,000 at most; this many may take half a second."""
_VERSIONS: Final = "fast_tokenizer_files"
_VERSION: Final = re.compile(r"tokenizer\.(?:[\w.-]{1,40}\.)?json")
_SAMPLING: Final = frozenset(
    ("enable_sampling", "nbest_size", "alpha", "add_bos", "add_eos", "reverse", "emit_unk_piece")
)
_CONTENTS: Final = ("vocab", "merges")
_PROGRAMS: Final = ("chat_template", "response_template", "response_schema")
_NO_AMOUNT: Final = re.compile(r"len|max|size|_id$")
"""What stands in the names of numbers that are no amount of tokens to add, as `extra_ids` is one."""


def check(file_name: str, values: Mapping[str, Any]) -> None:
    """Check what one of `FILES` says.

    Raises:
        ValueError: it can't be used; the message says why.
    """
    added = len(values) + sum(len(one) for one in values.values() if isinstance(one, list | dict))
    if added > MOST_ADDED:
        raise ValueError(f"it adds more than {MOST_ADDED:,} tokens")
    if _length(values) > MOST_ADDED_BYTES:
        raise ValueError("its added tokens are far too long")
    decoder = values.get("added_tokens_decoder")
    ids = [*(decoder if isinstance(decoder, Mapping) else ())]
    if file_name == "added_tokens.json":
        ids += values.values()
    else:
        _check_names(file_name, values)
        _check_amounts(values)
    for one in ids:
        if not str(one).isdecimal() or int(one) > limits.VOCABULARY:
            raise ValueError("it adds a token with an invalid ID")


def _length(values: Mapping[str, Any]) -> int:
    """Return how long all texts are together that may become tokens: whatever is no program."""
    length = 0
    inside = [value for name, value in values.items() if name not in _PROGRAMS]
    inside += [name for name, value in values.items() if isinstance(value, int)]
    while inside:
        value = inside.pop()
        if isinstance(value, str):
            length += len(value.encode(errors="replace"))
        elif isinstance(value, Mapping):
            inside += (
                [*value, *value.values()] if value.get("content") is None else [value["content"]]
            )
        elif isinstance(value, list):
            inside += value
    return length


def _check_names(file_name: str, values: Mapping[str, Any]) -> None:
    """Check that no other file is read than those that are looked at before."""
    versions = values.get(_VERSIONS)
    for one in versions if isinstance(versions, list) else [versions]:
        if one is not None and not (isinstance(one, str) and _VERSION.fullmatch(one)):
            raise ValueError(f"{_VERSIONS} refers to a tokenizer outside its folder")
    # File names in tokenizer_config.json are never used, and often come from the author's machine.
    obeyed = {name for name in values if name.endswith("_file")}
    names = {*_CONTENTS, *(obeyed if file_name == "special_tokens_map.json" else ())}
    if paths := sorted(name for name in names if isinstance(values.get(name), str)):
        raise ValueError(f"{paths[0]} refers to another file")
    if values.get("init_inputs"):
        raise ValueError("init_inputs refers to other files")
    options = values.get("sp_model_kwargs")
    if options and not (isinstance(options, Mapping) and options.keys() <= _SAMPLING):
        # SentencePiece takes the name of a file among them, and reads it.
        raise ValueError("it has SentencePiece options other than the sampling options")


def _check_amounts(values: Mapping[str, Any]) -> None:
    """Check that no number asks for very many tokens: some tokenizers make theirs up."""
    for name, value in values.items():
        if isinstance(value, int | float) and value > MOST_ADDED and not _NO_AMOUNT.search(name):
            raise ValueError(f"{name[:40]} is more than {MOST_ADDED:,}")
