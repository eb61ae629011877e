"""Checks that a quantization_config only refers to types that are quantization settings.

torchao calls whatever goes by that name in its modules, with the values beside it, and takes any attribute of torch for a dtype:
`torch.save` is one, and the path of a file can be a value. What is let through are the names that settings have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.engine.module_patterns import SECTIONS

_TYPE: Final = "_type"
_DTYPE: Final = "torch.dtype"
_SETTING: Final = re.compile(
    r"Per[A-Z]\w*|[A-Z]\w*(Config|Layout|Format|Type|Domain|Preference|Algorithm|Step|Mode|Choice)"
)
_DTYPES: Final = re.compile(r"bool|bfloat16|(float|complex|u?int)\d\w*")


def check(config: Mapping[str, Any]) -> None:
    """Check the types of a config; those of the configs in it are not looked at.

    Raises:
        ValueError: one of them is no setting; the message says which.
    """
    for part in _mappings([config.get(section) for section in SECTIONS]):
        kind, data = part.get(_TYPE), part.get("_data")
        if _TYPE in part and not _is_setting(kind, data):
            shown = f"{kind} {data}" if kind == _DTYPE else str(kind)
            raise ValueError(
                f"its quantization config contains {shown[:60]!r}, which isn't a valid setting"
            )


def _is_setting(kind: Any, data: Any) -> bool:
    if not isinstance(kind, str):
        return False
    if kind == _DTYPE:
        return isinstance(data, str) and _DTYPES.fullmatch(data) is not None
    return _SETTING.fullmatch(kind) is not None


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all JSON objects in a value, at any depth."""
    if isinstance(value, Mapping):
        yield value
    inside = value.values() if isinstance(value, Mapping) else value
    for inner in inside if isinstance(value, Mapping | list) else ():
        yield from _mappings(inner)
