"""Checks that the files of a model folder are regular files of a readable size, regardless of their content.

Libraries read these files whole, and some of them while every other thread waits. What is looked at is what the system says of a file,
so that a sparse one counts in full. Weights are `checkpoint`'s business, code that of `local.code_files`, and files that no model is
read from may be of any size.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Final

from tui.engine import model_files, stand_ins
from tui.engine.base import ModelLoadError
from tui.files import open_regular

AGAIN: Final = "Download or copy it again, or choose another model."
TEMPLATE_BYTES: Final = 1_000_000
TOKENIZER_BYTES: Final = 48_000_000
"""The largest that are in use take some 35 MB."""
_VOCABULARY_BYTES: Final = 16_000_000
_SENTENCE_PIECE_BYTES: Final = 8_000_000
"""The largest that are in use take some 5 MB, and making a tokenizer of one holds up every other thread."""
_END_BYTES: Final = 100
_MOST_FILES: Final = 20_000
_MOST_DEPTH: Final = 3
_MOST_BYTES: Final = (
    ("tokenizer_config.json", 2 * model_files.CONFIG_BYTES),
    ("special_tokens_map.json", 2 * model_files.CONFIG_BYTES),
    ("added_tokens.json", 2 * model_files.CONFIG_BYTES),
    ("*config.json", model_files.CONFIG_BYTES),
    ("*.jinja", TEMPLATE_BYTES), ("chat_template.json", TEMPLATE_BYTES),
    ("*tokenizer*.json", TOKENIZER_BYTES), ("*tekken*.json", TOKENIZER_BYTES),
    ("*vocab*.json", _VOCABULARY_BYTES), ("*vocab*.txt", _VOCABULARY_BYTES), ("merges*.txt", _VOCABULARY_BYTES),
    ("dict.txt", _VOCABULARY_BYTES), ("normalizer.json", _VOCABULARY_BYTES), ("emoji.json", _VOCABULARY_BYTES),
    ("word_*.json", _VOCABULARY_BYTES), ("byte_maps.json", _VOCABULARY_BYTES),
    ("*.model", _SENTENCE_PIECE_BYTES), ("tokenizer.model.*", _SENTENCE_PIECE_BYTES), ("*.spm", _SENTENCE_PIECE_BYTES),
    ("*.tiktoken", _VOCABULARY_BYTES), ("*.codes", _VOCABULARY_BYTES), ("*.tokenizer", _VOCABULARY_BYTES),
)  # fmt: skip
"""How long a file can be by its name; the first that fits holds."""
_TOKENIZERS: Final = (
    "*token*", "*tekken*", "*vocab*", "*merges*", "*.model", "*.spm", "*.tiktoken", "*.codes", "*.py", "*.bpe", "dict*.txt", "*.vocab",
)  # fmt: skip
"""Of what tokenizers are made, or what says that code makes one; rather too much than too little."""
_ALWAYS_READ: Final = (
    "*config.json", "special_tokens_map.json", "added_tokens.json", "*.jinja", "chat_template.json", "*tokenizer*.json",
)  # fmt: skip
"""The files that matter also where there is a tokenizer.json."""


def check(folder: Path) -> None:
    """Check all files of a folder.

    Raises:
        ModelLoadError: one of them is a pipe or the like, or far too large; or there are very many.
    """
    try:
        found = list(islice(_below(folder), _MOST_FILES + 1))
    except OSError as error:
        raise ModelLoadError(
            f"The folder {folder} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    if len(found) > _MOST_FILES:
        raise ModelLoadError(
            f"The folder {folder} contains more than {_MOST_FILES:,} files.",
            "Put the model's files into a separate folder.",
        )
    for path in found:
        _check_file(path)


def check_tokenizer(folder: Path, name: str) -> None:
    """Check that something lies in a folder that a tokenizer could be made of, whatever that is.

    Args:
        folder: contains a model.
        name: of the model.

    Raises:
        ModelLoadError: there is nothing of the kind.
    """
    if not any(fnmatchcase(path.name, one) for path in folder.iterdir() for one in _TOKENIZERS):
        raise no_tokenizer(folder, name)


def no_tokenizer(folder: Path, name: str) -> ModelLoadError:
    """Return the error for a model without a tokenizer."""
    return ModelLoadError(
        f"{name} has no tokenizer: tokenizer.json is missing from {folder}.",
        "Download or copy the same model's tokenizer files into it.",
    )


def wrong(path: Path, why: str) -> ModelLoadError:
    """Return the error that says why a file can't be used."""
    return ModelLoadError(f"{path.name} can't be used: {why} ({path.parent}).", AGAIN)


def _below(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yield what is in a folder and, a few levels down, in those in it."""
    for path in folder.iterdir():
        yield path
        # Hidden folders belong to git and the like: no model is read from them.
        if depth < _MOST_DEPTH and not path.name.startswith(".") and path.is_dir():
            with contextlib.suppress(PermissionError):
                yield from _below(path, depth + 1)


def _check_file(path: Path) -> None:
    """Check one file: whoever opens a pipe waits forever."""
    if path.is_dir():
        return
    if not path.is_file() and path.exists():
        raise wrong(path, "it is neither a file nor a folder")
    most = next((most for name, most in _MOST_BYTES if fnmatchcase(path.name, name)), None)
    if most is None:
        return
    if path.is_file() and path.stat().st_size > most:
        raise wrong(path, f"it is larger than {most / 1e6:,.0f} MB")
    if not _is_passed_over(path):
        stand_ins.check(path)
    if path.name == "tokenizer.json" and path.is_file():
        _check_ends(path)


def _check_ends(path: Path) -> None:
    """Check how a JSON file begins and ends that is too large to be read for that."""
    try:
        with open_regular(path) as file:
            start = file.read(_END_BYTES)
            file.seek(max(0, os.fstat(file.fileno()).st_size - _END_BYTES))
            end = file.read(_END_BYTES).rstrip(b" \r\n\t\0")
    except OSError:
        return
    if start.startswith(b"\xef\xbb\xbf"):
        raise wrong(path, "it starts with a byte order mark; save it as UTF-8 without one")
    if start.lstrip().startswith(b"{") and end and not end.endswith(b"}"):
        raise wrong(path, "it is incomplete, like an interrupted download")


def _is_passed_over(path: Path) -> bool:
    """Return whether no library reads a file, since tokenizer.json holds what would be in it; or it may well be empty."""
    if any(fnmatchcase(path.name, name) for name in _ALWAYS_READ):
        return False
    is_empty_list = path.name.startswith("merges") and path.is_file() and not path.stat().st_size
    return is_empty_list or (path.parent / "tokenizer.json").is_file()
