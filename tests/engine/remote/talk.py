"""One request that a fake server answers, down to the bytes on the connection, and the pieces that replies are made of."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.engine.remote.fake_server import FakeServer

CHAT = "/v1/chat/completions"
MODEL = "org/model-1b"
CONTEXT = 2048
HELD_AT_MOST_S = 20.0


@dataclass(frozen=True)
class Told:
    """A reply: its pieces, each with whether it is reasoning, and its figures."""

    pieces: Sequence[tuple[str, bool]] = (("The ", False), ("sky.", False))
    reason: str = "stop"
    prompt_tokens: int = 20
    cached_tokens: int = 8

    @property
    def new_tokens(self) -> int:
        return len(self.pieces)


@dataclass(frozen=True)
class Recorded:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    query: str = ""


class Talk:
    """One request that is being answered."""

    def __init__(self, server: FakeServer, handler: BaseHTTPRequestHandler, asked: Recorded):
        self.server = server
        self.handler = handler
        self.asked = asked

    @property
    def body(self) -> Any:
        return self.asked.body if isinstance(self.asked.body, dict) else {}

    def raw(self, data: bytes) -> None:
        self.handler.wfile.write(data)
        self.handler.wfile.flush()

    def close(self) -> None:
        """End the connection in the middle of whatever it is in."""
        self.handler.close_connection = True
        with contextlib.suppress(OSError):
            self.handler.connection.shutdown(socket.SHUT_RDWR)

    def answer(
        self, data: bytes, status: int = 200, kind: str = "application/json", **headers: str
    ) -> None:
        head = {"Content-Type": kind, "Content-Length": str(len(data)), **headers}
        self.raw(_head(status, head) + data)

    def json(self, value: Any, status: int = 200) -> None:
        self.answer(json.dumps(value).encode(), status)

    def stream(self, kind: str = "text/event-stream", **headers: str) -> None:
        """Begin an answer in chunks."""
        self.raw(_head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked", **headers}))

    def chunk(self, data: bytes) -> None:
        self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def event(self, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.chunk(f"data: {text}\n\n".encode())

    def end(self) -> None:
        self.raw(b"0\r\n\r\n")

    def words(self, *texts: str) -> None:
        """Begin a reply of chat completions, with some words."""
        self.stream()
        for text in texts:
            self.event(delta(content=text))

    def wait_until_left(self) -> None:
        """Wait for the other side to close the connection, and tell that it did."""
        deadline = time.monotonic() + HELD_AT_MOST_S
        while time.monotonic() < deadline and not self.server.closing.is_set():
            ready, _, _ = select.select([self.handler.connection], [], [], 0.02)
            with contextlib.suppress(OSError):
                if ready and self.handler.connection.recv(1, socket.MSG_PEEK):
                    continue
            if ready:
                self.server.left.set()
                break
        self.close()


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def delta(reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """Return a chunk of chat completions."""
    choice = {"index": 0, "delta": fields, "finish_reason": reason}
    return {"id": "c", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}


def usage(told: Told) -> dict[str, Any]:
    return {
        "prompt_tokens": told.prompt_tokens,
        "completion_tokens": told.new_tokens,
        "prompt_tokens_details": {"cached_tokens": told.cached_tokens},
    }


Answer = Callable[[Talk], None]
