"""The contestants: each answers a chat, and reports when its tokens arrived.

A contestant that isn't available on a machine raises `Missing`, whose message says why.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tokenizers import Tokenizer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _environments
from benchmarks._environments import Missing

Messages = Sequence[dict[str, str]]
ROOT = Path(__file__).resolve().parent.parent
READY_S = 300.0
REPLY_S = 900.0


@dataclass(frozen=True)
class Answer:
    """The cost of a reply. Zero means unknown."""

    ttft_s: float
    decode_s: float
    new_tokens: int
    prompt_tokens: int = 0
    stop_s: float = 0.0
    text: str = ""

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed, without the first token."""
        return (self.new_tokens - 1) / self.decode_s if self.decode_s > 0 else 0.0


@dataclass(frozen=True)
class Model:
    """The model for all contestants: the same weights in two forms."""

    name: str
    folder: Path
    gguf: Path
    cache: Path


class Contestant:
    """One contestant.

    Attributes:
        name: the name in the table.
        keeps_cache: whether a turn is cheaper after the previous turns were computed, so that these have to be computed first.
        can_stop: whether it can measure how long stopping takes.
    """

    name = ""
    keeps_cache = False
    can_stop = False
    _process: subprocess.Popen[Any]

    def ask(self, messages: Messages, limit: int, stop_after_s: float = 0.0) -> Answer:
        """Have a chat answered."""
        raise NotImplementedError

    @property
    def memory_mb(self) -> float:
        """Memory in use now, after all requests."""
        with contextlib.suppress(psutil.Error):
            return float(psutil.Process(self._process.pid).memory_info().rss / 1e6)
        return 0.0

    def close(self) -> None:
        """Stop it."""
        self._process.kill()
        self._process.wait()


class Child(Contestant):
    """A contestant that runs in `_child.py`."""

    def __init__(
        self,
        name: str,
        *arguments: str,
        python: str = sys.executable,
        keeps_cache: bool = False,
        can_stop: bool = False,
    ) -> None:
        self.name, self.keeps_cache, self.can_stop = name, keeps_cache, can_stop
        self._process = subprocess.Popen(
            [python, str(ROOT / "benchmarks" / "_child.py"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if not self._read().get("ready"):
            raise Missing(f"{name} does not start")

    def ask(self, messages: Messages, limit: int, stop_after_s: float = 0.0) -> Answer:
        """Have a chat answered."""
        assert self._process.stdin is not None
        request = {"messages": list(messages), "limit": limit, "stop_after_s": stop_after_s}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        figures = self._read()
        figures.pop("cached_tokens", None)
        return Answer(**figures)

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise Missing(f"{self.name} ended")
        return dict(json.loads(line))


class Server(Contestant):
    """`transformers serve`, with a client that streams."""

    name = "transformers serve"

    def __init__(self, model: Model) -> None:
        python = _environments.serving()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        code = "from transformers.cli.transformers import main; main()"
        self._url = f"http://127.0.0.1:{port}"
        self._model = str(model.folder)
        self._tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
        self._process = subprocess.Popen(
            [python, "-c", code, "serve", self._model, "--port", str(port), "--host", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise Missing("transformers serve doesn't start")
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self._url}/health", timeout=2)  # noqa: S310 - our own server
                return
            time.sleep(0.5)
        raise Missing("transformers serve doesn't answer")

    def ask(self, messages: Messages, limit: int, stop_after_s: float = 0.0) -> Answer:  # noqa: ARG002 - the others'
        """Have a chat answered."""
        body = {
            "model": self._model,
            "messages": list(messages),
            "max_tokens": limit,
            "temperature": 0.0,
            "stream": True,
        }
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self._url}/v1/chat/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "Accept": "text/event-stream"},
        )
        began, first, last, said = time.perf_counter(), 0.0, 0.0, []
        with urllib.request.urlopen(request, timeout=REPLY_S) as response:  # noqa: S310 - our own server
            for text in _pieces(response):
                last = time.perf_counter()
                first = first or last
                said.append(text)
        # Its pieces end at spaces, not at tokens.
        tokens = len(self._tokenizer.encode("".join(said), add_special_tokens=False).ids)
        return Answer(first - began, last - first, tokens, text="".join(said))


def _pieces(lines: Any) -> Iterator[str]:
    for raw in lines:
        line = raw.decode().strip()
        if line.startswith("data:") and line != "data: [DONE]":
            choices = json.loads(line[5:]).get("choices") or [{}]
            text = choices[0].get("delta", {}).get("content")
            if text:
                yield text


def lay_caches(model: Model, cache: Path) -> None:
    """Give the app a model that is converted already, and kernels that are compiled already.

    The kernels are copied: the app refuses a folder of code that is a link, and would compute without them.
    """
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (model.cache / "gguf").is_dir():
        (cache / "gguf").symlink_to(model.cache / "gguf")
    if (model.cache / "kernels").is_dir():
        shutil.copytree(model.cache / "kernels", cache / "kernels")


class App(Contestant):
    """The whole app in a terminal. Its figures are read from the chat that it saves."""

    name = "chat-tui, the app"
    keeps_cache = True

    def __init__(self, model: Model, limit: int) -> None:
        from tests.e2e.terminal import Terminal, clean_environment
        from tui.settings.paths import AppPaths
        from tui.settings.state import AppState, save_state

        self._home = tempfile.TemporaryDirectory()
        home = Path(self._home.name)
        paths = AppPaths.under(home)
        paths.ensure()
        save_state(paths.state, AppState(parameters={"temperature": 0.0, "max_new_tokens": limit}))
        lay_caches(model, paths.cache)
        self._sessions = paths.sessions
        environment = clean_environment(
            CHAT_TUI_HOME=str(home),
            HOME=str(home),
            HF_HUB_OFFLINE="1",
            PYTHONPATH=str(ROOT),
            # Compared with chat-tui's own engine.
            CHAT_TUI_MODEL_GGUF="transformers",
        )
        began = time.perf_counter()
        command = (sys.executable, "-m", "tui", model.name)
        self._terminal = Terminal(command, env=environment, columns=120, rows=40)
        self._terminal.wait_for("New chat", READY_S)
        self.first_frame_s = time.perf_counter() - began
        # As the empty chat says, once the model is loaded.
        self._terminal.wait_for("Ready", READY_S)
        self._asked = 0
        self._seen: set[str] = set()

    def ask(self, messages: Messages, limit: int, stop_after_s: float = 0.0) -> Answer:  # noqa: ARG002 - the others'
        """Send the last message. The previous ones must have been sent before, one after another."""
        if len(messages) == 1 and self._asked:
            self._terminal.press("ctrl+n")
            # Text pasted before that would go to the old chat.
            self._terminal.wait_for("New chat", 30)
            self._asked = 0
        self._terminal.paste(messages[-1]["content"])
        time.sleep(1.0)
        self._terminal.press("enter")
        self._asked += 1
        reply: dict[str, Any] = {}

        def ended() -> bool:
            reply.update(self._newest_reply())
            return bool(reply)

        self._terminal.wait_until(ended, REPLY_S)
        stats = reply["generation"]["stats"]
        return Answer(
            stats.get("ttft_s", 0.0),
            stats.get("decode_s", 0.0),
            stats.get("new_tokens", 0),
            stats.get("prompt_tokens", 0),
            text=reply["content"],
        )

    def _newest_reply(self) -> dict[str, Any]:
        """Return the last turn of the open chat from its file; empty while it is being written."""
        files = sorted(self._sessions.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        if not files:
            return {}
        with contextlib.suppress(OSError, ValueError):
            turns = json.loads(files[-1].read_text("utf-8"))["tree"]["turns"]
            last = turns[-1] if len(turns) == 2 * self._asked else {}
            is_over = last.get("status", "complete") in ("complete", "truncated")
            # The previous chat has as many turns, until the new one is on disk.
            if is_over and "generation" in last and last["id"] not in self._seen:
                self._seen.add(last["id"])
                return dict(last)
        return {}

    def key_echo_ms(self, message: str, keys: int = 100) -> list[float]:
        """Type while replies to `message` are written, and return how long each key took to appear on the screen."""
        found: list[float] = []
        while len(found) < keys:
            self._terminal.press("ctrl+n")
            self._terminal.wait_for("New chat")
            self._terminal.paste(f"{time.time_ns()} {message}")
            time.sleep(1.0)
            self._terminal.press("enter")
            self._terminal.wait_for("replying")
            # Nothing else on the screen, where figures change all the time, repeats this character so often.
            typed = ""
            while "replying" in self._terminal.text and len(found) < keys:
                typed += "q"
                began = time.perf_counter()
                self._terminal.type("q")
                self._terminal.wait_for(typed)
                found.append((time.perf_counter() - began) * 1000)
            self._terminal.wait_for(lambda text: "replying" not in text, REPLY_S)
            self._terminal.press("ctrl+u")
        self._asked = 1
        return found

    def processes(self) -> list[psutil.Process]:
        """Return the app's process and those that it has started, of which one is the engine."""
        return [psutil.Process(self._terminal._process.pid), *self._terminal.children()]  # noqa: SLF001 - of the tests

    @property
    def memory_mb(self) -> float:
        """Memory in use now, the engine's included."""
        with contextlib.suppress(psutil.Error):
            return sum(one.memory_info().rss for one in self.processes()) / 1e6
        return 0.0

    def close(self) -> None:
        """Stop it."""
        self._terminal.close()
        self._home.cleanup()
