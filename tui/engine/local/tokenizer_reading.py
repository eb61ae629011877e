"""Reads a model's tokenizer with transformers, and reports what is missing if that fails.

Whether a tokenizer does harm is found out by `tokenizer_check`, and whether it fits the model by `vocabulary`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.engine import failures, folder_files
from tui.engine.base import ModelLoadError
from tui.engine.local.tokenizer_check import UNREADABLE_HINT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FILES: Final = (
    "tokenizer.model", "spm.model", "spiece.model", "sentencepiece.bpe.model", "vocab.json", "vocab.txt", "tekken.json",
)  # fmt: skip
_NO_LIMIT: Final = 10**9
_UNREADABLE: Final = re.compile(
    r"untagged enum|did not match any variant|unknown variant|missing field"
)
_PACKAGE: Final = re.compile(r"pip install (?:-U |--upgrade )?['\"`]?([A-Za-z][\w.-]*)")


def read(
    place: Path, folder: Path, options: Mapping[str, Any], name: str
) -> PreTrainedTokenizerBase:
    """Return a tokenizer.

    Args:
        place: what transformers is to read.
        folder: holds the model's files.
        options: for `from_pretrained`.
        name: of the model.

    Raises:
        ModelLoadError: there is none, or it is of a kind that can't be read here.
        Exception: an error from transformers.
    """
    from transformers import AutoTokenizer

    try:
        made = AutoTokenizer.from_pretrained(place, **options)
    except Exception as error:
        if (problem := _problem(error, folder, name)) is None:
            raise
        raise problem from error
    if not isinstance(made.model_max_length, int | float):
        made.model_max_length = _NO_LIMIT
    _drop_empty(made)
    return made


def _problem(error: Exception, folder: Path, name: str) -> ModelLoadError | None:
    text = failures.words(error, 1000)
    if isinstance(error, ImportError) and (package := _PACKAGE.search(text)):
        return ModelLoadError(
            f"The tokenizer of {name} can't be read without the package {package[1]}.",
            f"Install it with: pip install {package[1]}",
        )
    if (folder / "tokenizer.json").is_file():
        if not _UNREADABLE.search(text):
            return None
        return ModelLoadError(
            f"The tokenizer.json of {name} can't be read by the installed version of tokenizers.",
            UNREADABLE_HINT,
        )
    found = [one for one in _FILES if (folder / one).is_file()]
    if not found:
        return folder_files.no_tokenizer(folder, name)
    if found == ["vocab.json"] and not (folder / "merges.txt").is_file():
        return ModelLoadError(
            f"The tokenizer of {name} is incomplete: merges.txt is missing ({folder}).",
            "Download or copy the same model's merges.txt or tokenizer.json into the folder.",
        )
    return ModelLoadError(
        f"The tokenizer of {name} can't be built from the files that exist: {', '.join(found)} ({folder}).",
        "Download or copy the same model's tokenizer.json and tokenizer_config.json into the folder.",
    )


def _drop_empty(tokenizer: PreTrainedTokenizerBase) -> None:
    """Take away special tokens without a text: looking up what an unknown one means goes round in circles."""
    for key in getattr(tokenizer, "SPECIAL_TOKENS_ATTRIBUTES", ()):
        if key.endswith("_token") and getattr(tokenizer, key, None) == "":
            setattr(tokenizer, key, None)
