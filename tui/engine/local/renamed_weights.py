"""Weights that lie in their files under other names than a model's: trainers and converters put words before them, or into them.

Found out after a load in which some were missing: by what is there too much. Nothing is guessed: a renaming counts only if it finds a
weight for each that is missing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import combinations
from typing import Final

_INSIDE: Final = (
    r"language_model\.",
    r"_orig_mod\.",
    r"_fsdp_wrapped_module\.",
    r"module\.",
    r"base_layer\.",
)
_LORA: Final = re.compile(r"\.lora_[AB]\b|\.lora_embedding_|\.modules_to_save\.")
_MOST_TRIED: Final = 5


def holds_adapter(names: Collection[str]) -> bool:
    """Return whether some of the weights are those of an adapter."""
    return any(_LORA.search(name) for name in names)


def renaming(missing: Collection[str], unexpected: Collection[str]) -> dict[str, str]:
    """Return what to replace in the names of weights, as transformers' `key_mapping`; empty where nothing helps.

    Args:
        missing: the names that the model asks for and the files lack.
        unexpected: the names in the files that the model doesn't know.
    """
    if not missing or not unexpected or holds_adapter(unexpected):
        return {}
    single = list(dict.fromkeys((*_prefixes(missing, unexpected), *_INSIDE)))
    for count in (1, 2):
        for patterns in combinations(single, count):
            if set(missing) <= {_renamed(name, patterns) for name in unexpected}:
                return dict.fromkeys(patterns, "")
    return {}


def _prefixes(missing: Collection[str], unexpected: Collection[str]) -> Iterator[str]:
    """Yield what stands before names that are missing in those that are there too much."""
    for wanted in sorted(missing)[:_MOST_TRIED]:
        for name in unexpected:
            if name.endswith(f".{wanted}"):
                yield f"^{re.escape(name.removesuffix(wanted))}"


def _renamed(name: str, patterns: Collection[str]) -> str:
    for pattern in patterns:
        name = re.sub(pattern, "", name)
    return name
