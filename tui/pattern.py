"""Regular expressions that are compiled when they are first used.

Compiling one takes a quarter of a millisecond, and the modules that the first frame needs have dozens that it doesn't use.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

__all__ = ["pattern"]

_METHODS: Final = (
    "search", "match", "fullmatch", "split", "findall", "finditer", "sub", "subn",
    "flags", "groups", "groupindex", "pattern",
)  # fmt: skip

if TYPE_CHECKING:
    from re import compile as pattern
else:

    class _Pattern:
        """Stands for a `re.Pattern`: it has its methods. The functions of `re` don't take it."""

        def __init__(self, source: str | bytes, flags: int) -> None:
            self._source = source
            self._flags = flags

        def __getattr__(self, name: str) -> Any:
            if name not in _METHODS:
                raise AttributeError(name)
            compiled = re.compile(self._source, self._flags)
            # As fast from now on as those of the compiled one.
            vars(self).update({method: getattr(compiled, method) for method in _METHODS})
            return vars(self)[name]

    def pattern(source: str | bytes, flags: int = 0) -> _Pattern:
        """Return what stands for `re.compile(source, flags)`. A wrong expression raises `re.error` when it is first used."""
        return _Pattern(source, flags)
