"""A shell with `chat-tui` on its path, folders of its own, and a server in place of a model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.terminal import clean_environment
from tests.engine.remote.fake_server import FakeServer, serving

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 60.0


@dataclass
class Shell:
    """Runs commands as a user types them."""

    folder: Path
    environment: dict[str, str]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __call__(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; what it reads from the terminal is empty."""
        process = self.begin(command, **more)
        out, err = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(
            command, process.returncode, out.decode("utf-8", "surrogateescape"), err.decode()
        )

    def begin(self, command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a command in a group of its own, as a shell does; `exec` makes it the process itself."""
        process = subprocess.Popen(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=self.folder,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def close(self) -> None:
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serving("openai") as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, server: FakeServer) -> Iterator[Shell]:
    programs = tmp_path / "bin"
    programs.mkdir()
    script = programs / "chat-tui"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tui "$@"\n')
    script.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    environment = clean_environment(
        PATH=f"{programs}:{os.environ['PATH']}",
        HOME=str(tmp_path),
        CHAT_TUI_HOME=str(tmp_path / "home"),
        CHAT_TUI_MODEL_NAME=server.url,
        PYTHONPATH=str(ROOT),
    )
    made = Shell(work, environment)
    yield made
    made.close()


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
