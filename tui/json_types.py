"""The type of a value that JSON can say: what parameters, settings and files hold."""

from __future__ import annotations

from typing import TypeAlias, Union

Json: TypeAlias = Union[bool, int, float, str, "list[Json]", "dict[str, Json]", None]
"""What `json.loads` can return."""
