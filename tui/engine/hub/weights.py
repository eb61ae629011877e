"""The headers of a repository's safetensors files, read from the Hub without the weights that follow them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from tui.engine.at_once import each
from tui.engine.hub.client import HubClient, Patience
from tui.engine.hub.problems import status_of
from tui.engine.hub.values import bad_answer, file_name_of, mapping_of
from tui.engine.limits import Shape, shape

_SINGLE: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
_FIRST_BYTES: Final = 100_000
"""Most headers are shorter, so that one request is enough."""
_HEADER_BYTES: Final = 25_000_000
_INDEX_BYTES: Final = 50_000_000
_MOST_FILES: Final = 1_000
_ALL_BYTES: Final = 60_000_000
"""Of the headers of all files; the largest models have a sixth of it."""
_LONGEST_DTYPE: Final = 32
_AT_ONCE: Final = 8

Tensors = dict[str, tuple[str, Shape]]


def remote_tensors(
    client: HubClient, address_of: Callable[[str], str], patience: Patience
) -> Tensors:
    """Return dtype and shape of each tensor of a repository, by their names; none where there are no safetensors.

    Args:
        client: asks the Hub.
        address_of: returns the address of a file of the repository.
        patience: timeouts and retries to tolerate.

    Raises:
        ModelLoadError: a header can't be used.
        Exception: an error from huggingface_hub or the network.
    """

    budget = _Budget(_ALL_BYTES)

    def read(name: str) -> Tensors:
        return _header(client, address_of(name), name, patience, budget)

    try:
        return read(_SINGLE)
    except Exception as error:
        if status_of(error) != 404:
            raise
    try:
        index = client.read(address_of(_INDEX), _INDEX_BYTES, patience)
    except Exception as error:
        if status_of(error) != 404:
            raise
        return {}
    found: Tensors = {}
    for tensors in each(read, _listed(index), _AT_ONCE):
        found |= tensors
    return found


def _listed(index: bytes) -> list[str]:
    """Return the files that an index names."""
    names = set(mapping_of(mapping_of(_json(index, _INDEX)).get("weight_map")).values())
    if len(names) > _MOST_FILES:
        raise bad_answer(f"{_INDEX} lists {len(names):,} files")
    return sorted(file_name_of(name) for name in names)


class _Budget:
    """What may still be read. Safe from any thread."""

    def __init__(self, left_bytes: int) -> None:
        self._left_bytes = left_bytes
        self._lock = threading.Lock()

    def spend(self, count: int) -> None:
        """Note what is read.

        Raises:
            ModelLoadError: it is too much.
        """
        with self._lock:
            self._left_bytes -= count
            if self._left_bytes < 0:
                raise bad_answer("the headers of its weights files are too long")


def _header(
    client: HubClient, address: str, name: str, patience: Patience, budget: _Budget
) -> Tensors:
    first = client.read(address, _FIRST_BYTES, patience, start=0)
    length = int.from_bytes(first[:8], "little")
    if len(first) < 8 or length > _HEADER_BYTES:
        raise bad_answer(f"{name} has no readable header")
    budget.spend(length)
    header = first[8 : 8 + length]
    if len(header) < length:
        at = 8 + len(header)
        header += client.read(address, length - len(header), patience, start=at)
    return _tensors(mapping_of(_json(header, name)), name)


def _tensors(header: Mapping[str, Any], name: str) -> Tensors:
    found: Tensors = {}
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        known = mapping_of(entry)
        dtype = known.get("dtype")
        if not isinstance(dtype, str) or len(dtype) > _LONGEST_DTYPE:
            raise bad_answer(f"{name} has a tensor without a type")
        try:
            found[tensor] = (dtype, shape(known.get("shape")))
        except ValueError as error:
            raise bad_answer(f"{name}: {error}") from error
    return found


def _json(text: bytes, name: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise bad_answer(f"{name} isn't valid JSON") from error
