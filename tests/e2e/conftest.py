"""Starts the app in a terminal, with folders of its own and the demo model."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.compiled_kernels import lay_kernels, shared_cache
from tests.e2e.terminal import Terminal, clean_environment
from tui.settings.paths import AppPaths
from tui.settings.state import AppState, save_state

ROOT = Path(__file__).parent.parent.parent

StartApp = Callable[..., Terminal]


@dataclass(frozen=True)
class Home:
    """The folder that holds everything of one user."""

    folder: Path

    def remember(self, **values: Any) -> None:
        """Give the app something to remember from an earlier run, as in `parameters={"temperature": 0.0}`."""
        paths = AppPaths.under(self.folder)
        paths.ensure()
        save_state(paths.state, AppState(**values))

    def chats(self) -> list[dict[str, Any]]:
        """The chats on disk."""
        files = sorted((self.folder / "data" / "sessions").glob("*.json"))
        return [json.loads(file.read_text("utf-8")) for file in files]


@pytest.fixture
def home(tmp_path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def conversions() -> Path:
    """Where converted models are kept from one run of the tests to the next: converting takes 20 seconds and more."""
    folder = shared_cache() / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def converted(home, conversions) -> None:
    """The demo model needs no conversion, or only in the first test that wants it."""
    cache = home.folder / "cache"
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    (cache / "gguf").symlink_to(conversions)
    lay_kernels(cache)


@pytest.fixture
def environment(home, tmp_path) -> dict[str, str]:
    # As many threads as a worker of the tests may have: more of them than cores wait for each other, and take the cores to do so.
    threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
    return clean_environment(
        **threads,
        CHAT_TUI_HOME=str(home.folder),
        HOME=str(tmp_path),
        HF_HOME=str(tmp_path / "hub"),
        HF_HUB_OFFLINE="1",
        # A bell after a long reply would be a control character among what the app writes.
        CHAT_TUI_ALERTS_KIND="off",
        # The demo model is a GGUF file. Without the extra, as most have the app, it runs in transformers.
        CHAT_TUI_MODEL_GGUF="transformers",
        PYTHONPATH=str(ROOT),
    )


@pytest.fixture
def start_app(environment) -> Iterator[StartApp]:
    """Starts the app with arguments; `script` runs that in place of the command line's `main`."""
    started: list[Terminal] = []

    def start(*arguments: str, columns: int = 100, rows: int = 30, script: str = "") -> Terminal:
        what = ["-c", script] if script else ["-m", "tui"]
        terminal = Terminal(
            [sys.executable, *what, *arguments], env=environment, columns=columns, rows=rows
        )
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.close()
