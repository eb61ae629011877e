"""The program that is the process of an engine: how it is started."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path
from typing import Final

import tui

WARM: Final = "--warm"
"""Imports what every load needs before the first one."""
LLAMA: Final = "--llama"
"""Has its models in llama.cpp rather than in transformers."""


def command(cache_folder: Path, *options: str) -> tuple[str, ...]:
    """Return the command line of the program.

    Args:
        cache_folder: as the engine takes it.
        options: `WARM` and `LLAMA`, where they are wanted.
    """
    # -P: modules of the folder that the app was started in are not those that it wants.
    python = (sys.executable, "-P", "-m", "tui.engine.process.serving")
    return (*python, str(cache_folder), *options)


def environment() -> dict[str, str]:
    """Return the environment of the process, in which it finds this package also where that is not installed."""
    root = str(Path(tui.__file__).parent.parent)
    if root in map(os.path.realpath, site.getsitepackages()):
        return dict(os.environ)
    paths = [root, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
