"""Kernels that are compiled once for all tests: a compiler takes seconds, and each engine of a test has a cache of its own."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import platformdirs

from tui.files import FOLDER_MODE


def shared_cache() -> Path:
    """The folder that is kept from one run of the tests to the next."""
    named = os.environ.get("CHAT_TUI_TEST_CACHE")
    return Path(named or platformdirs.user_cache_dir("chat-tui-tests"))


def lay_kernels(cache: Path) -> None:
    """Put the kernels that are compiled already, if there are any, into an engine's cache folder."""
    compiled = shared_cache() / "kernels"
    if compiled.is_dir() and not (cache / "kernels").exists():
        cache.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        shutil.copytree(compiled, cache / "kernels", ignore=shutil.ignore_patterns("*.part*"))
