"""The server of llama.cpp that is in this process: replies through its callbacks, all else through a private socket.

The package has callbacks for replies alone. Templates and tokens are asked for over HTTP, for which its server always listens; here it
does so on a socket in a private folder, and where there are no such sockets on the loopback device. Both want a random key.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psutil

from tui.dataclass import dataclass
from tui.engine.remote.problems import ServerError, refusal
from tui.engine.remote.values import NotJsonError, read_json
from tui.files import make_own_folder
from tui.json_types import Json

NAME: Final = "llama.cpp"
_PLAIN_TEMPLATE: Final = (
    "{% for message in messages %}{% if message.content %}"
    "{{ message.content }}{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% endif %}{% endfor %}"
)
"""For models without a chat template: the messages, with blank lines between them."""
_ALIAS: Final = "model"
_ANSWER_S: Final = 60.0
_CPU_BATCH: Final = 128
"""Tokens of a prompt that are computed at once on a CPU. More are not faster there, and a cancel waits for them."""
_OTHER_CHATS_MIB: Final = 512
"""For the computed prompts of chats that were left."""
_CHECKPOINTS: Final = 8
"""Of models whose cache can't be cut back."""
_WARNINGS: Final = 2
"""Of its log, the level from which on it is written to stderr."""
_LONGEST_SOCKET: Final = 100
"""Bytes of the name of a socket; systems take 104 or more."""
_LOOPBACK: Final = "127.0.0.1"
_GPUS: Final = ("GGML_BACKEND_DEVICE_TYPE_GPU", "GGML_BACKEND_DEVICE_TYPE_IGPU")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is loaded.

    Attributes:
        path: its file, or the first of them.
        context_tokens: to make room for.
        threads: that compute; 0 for as many as llama.cpp takes.
        device: as in `LoadRequest`.
        has_template: whether it has a chat template.
        parses: whether llama.cpp takes the reasoning out of replies, which it can't do with every template.
    """

    path: Path
    context_tokens: int
    threads: int = 0
    device: str = "auto"
    has_template: bool = True
    parses: bool = True


class LlamaServer:
    """One model in llama.cpp. It is never closed: its process ends."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        """Load the model, which takes a while and holds the interpreter.

        Args:
            plan: which, and how.
            folder: a private one for the socket; made when it is needed.

        Raises:
            RuntimeError: it can't be loaded; stderr has the reason.
        """
        import xllamacpp

        self.parses = plan.parses
        """Whether it separates the reasoning that it knows."""
        self._key = secrets.token_urlsafe(32)
        gpu = None if plan.device == "cpu" else _gpu(xllamacpp.get_device_info())
        self.gpu = str(gpu.get("description") or gpu.get("name")) if gpu else ""
        """The name of the GPU that it uses; empty for none."""
        host = _host(folder)
        params = _params(xllamacpp, plan, is_on_gpu=bool(gpu))
        params.hostnames = [host]
        params.api_keys = [self._key]
        self._server = xllamacpp.Server(params)
        self._connect = _connector(self._server.listening_address, host)

    def ask(self, path: str, body: Mapping[str, Json] | None = None) -> Any:
        """Return the answer to something else than a reply, as JSON.

        Args:
            path: as of llama-server, for example `/tokenize`.
            body: of a request that has one.

        Raises:
            ServerError: it refuses or fails.
        """
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        with contextlib.closing(self._connect()) as connection:
            try:
                data = None if body is None else json.dumps(body).encode()
                connection.request("GET" if data is None else "POST", path, data, headers)
                answer = connection.getresponse()
                said = answer.read()
            except (OSError, http.client.HTTPException) as error:
                raise ServerError(f"{NAME} doesn't answer ({error}).", is_lost=True) from error
        try:
            found = read_json(said)
        except NotJsonError:
            found = None
        if answer.status != http.client.OK or found is None:
            raise refusal(NAME, answer.status, found)
        return found

    def chat(self, body: Mapping[str, Json], take: Callable[[str], bool]) -> None:
        """Have a reply made of messages; returns when it has ended.

        Args:
            body: as of `/v1/chat/completions`, streamed.
            take: takes each piece of the stream, and returns whether to stop. It must not raise.

        Raises:
            ValueError: the request can't be used.
        """
        self._server.handle_chat_completions(json.dumps(body), take)

    def complete(self, body: Mapping[str, Json], take: Callable[[str], bool]) -> None:
        """Have a text continued, as `chat` does it with messages."""
        self._server.handle_completions(json.dumps(body), take)


def _params(xllamacpp: Any, plan: Plan, *, is_on_gpu: bool) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(plan.path)
    params.model_alias = {_ALIAS}
    params.n_ctx = plan.context_tokens
    params.n_parallel = 1
    params.verbosity = _WARNINGS
    params.cache_ram_mib = _OTHER_CHATS_MIB
    params.n_ctx_checkpoints = _CHECKPOINTS
    params.ui = params.endpoint_slots = False
    params.cors_origins = ""
    params.force_pure_content_parser = not plan.parses
    if not plan.has_template:
        params.chat_template = _PLAIN_TEMPLATE
    if plan.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = plan.threads
    if not is_on_gpu:
        params.n_gpu_layers = 0
        params.n_batch = params.n_ubatch = _CPU_BATCH
    elif (number := plan.device.rpartition(":")[2]).isdigit():
        params.split_mode = xllamacpp.llama_split_mode.LLAMA_SPLIT_MODE_NONE
        params.main_gpu = int(number)
    return params


def _gpu(devices: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((one for one in devices if getattr(one.get("type"), "name", "") in _GPUS), None)


def _host(folder: Path) -> str:
    """Return where to listen: a socket in a folder, where there are such sockets, and its name is not too long."""
    path = folder / f"{os.getpid()}.sock"
    if sys.platform == "win32" or len(os.fsencode(path)) > _LONGEST_SOCKET:
        return _LOOPBACK
    make_own_folder(folder)
    for other in folder.glob("*.sock"):
        # Of processes that have ended.
        if other == path or not (other.stem.isdigit() and psutil.pid_exists(int(other.stem))):
            other.unlink(missing_ok=True)
    return str(path)


def _connector(address: str, host: str) -> Callable[[], http.client.HTTPConnection]:
    if host == _LOOPBACK:
        port = urlsplit(address).port
        return lambda: http.client.HTTPConnection(_LOOPBACK, port, timeout=_ANSWER_S)
    return lambda: _SocketConnection(host)


class _SocketConnection(http.client.HTTPConnection):
    """A connection over a socket that is a file."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_ANSWER_S)
        self._path = path

    def connect(self) -> None:
        """Connect."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
