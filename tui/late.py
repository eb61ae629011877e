"""Imports what the first frame doesn't need on a thread, so that keys are handled in the meantime."""

from __future__ import annotations

import asyncio
import importlib


async def imported(*names: str) -> None:
    """Wait until modules are imported.

    Args:
        names: the full names of the modules, in the order in which they are wanted.

    Raises:
        ImportError: one of them can't be imported.
    """
    await asyncio.to_thread(_import, names)


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)
