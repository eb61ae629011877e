"""Checks that the module patterns in a config.json can be matched quickly.

Quantizers take the lists and keys of a `quantization_config` for regular expressions and match them with the names of all modules.
Python's `re` holds up every thread while it matches, and can't be ended: `(a+)+!` takes forever. Patterns in common use are names,
with a few wildcards and alternatives. Whether a pattern is valid, or picks anything, is the quantizer's business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

SECTIONS: Final = ("quantization_config", "compression_config")
"""The parts of a config whose texts become regular expressions."""
_TEXTS: Final = frozenset(("dataset", "meta"))
"""What holds texts that nobody matches: what a model was calibrated on, and by which program."""
_MOST_PATTERNS: Final = 20_000
_LONGEST: Final = 300
_MOST_REPEATS: Final = 3
_MOST_ALTERNATIVES: Final = 6
_PLAIN: Final = re.compile(r"[\w./:-]*")
_SIGNS: Final = re.compile(r"[\w!-~]*")
_MARK: Final = re.compile(r"(re|[+-]):")
"""What some quantizers put before a pattern; it is no part of it."""
_REPEAT: Final = re.compile(r"[*+?{]")
_REPEATED_GROUP: Final = re.compile(r"\)[*+?{]")


def check(config: Mapping[str, Any]) -> None:
    """Check the patterns of a config; those of the configs in it are not looked at.

    Raises:
        ValueError: one of them could take very long; the message says which.
    """
    for section in SECTIONS:
        for count, pattern in enumerate(_patterns(config.get(section))):
            if count >= _MOST_PATTERNS:
                raise ValueError(f"its {section} lists more than {_MOST_PATTERNS:,} modules")
            if not is_quick(pattern):
                shown = pattern if len(pattern) <= 40 else pattern[:40] + "…"
                raise ValueError(
                    f"{shown!r} in its {section} is a pattern that could take too long to match"
                )


def is_quick(pattern: str) -> bool:
    """Return whether a regular expression is matched with a name in an instant.

    The time grows with the number of repetitions as a power, with that of alternatives in a row by doubling, and without bounds once
    a group is repeated. White space and comments could hide a repetition from its group.
    """
    if len(pattern) > _LONGEST:
        return False
    pattern = _MARK.sub("", pattern, count=1) if _MARK.match(pattern) else pattern
    if _PLAIN.fullmatch(pattern):
        return True
    return (
        _SIGNS.fullmatch(pattern) is not None
        and "#" not in pattern
        and len(_REPEAT.findall(pattern)) <= _MOST_REPEATS
        and pattern.count("|") <= _MOST_ALTERNATIVES
        and _REPEATED_GROUP.search(pattern) is None
    )


def _patterns(value: Any) -> Iterator[str]:
    """Yield all keys, and all texts that stand in lists, at any depth."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            if name not in _TEXTS:
                yield from _patterns(inner)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, str):
                yield inner
            else:
                yield from _patterns(inner)
