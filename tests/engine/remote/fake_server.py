"""Servers of models on loopback, one for each kind in `columns`.

A test can take over what is answered to a path (`FakeServer.answers`). Every request is recorded.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.engine.remote.columns import COLUMNS
from tests.engine.remote.talk import Answer, Recorded, Talk, Told


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep silent of connections that break, which many tests are about."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class FakeServer:
    """A running server.

    Attributes:
        requests: as they came.
        answers: what answers in place of the usual, by path; "" for every path.
        told: what the next replies say.
        left: set once the other side closed a connection that was held for it.
        closing: set when the server ends.
        pinned: the only model of a `transformers serve`; empty for none.
    """

    def __init__(self, dialect: str = "openai", port: int = 0, tls: ssl.SSLContext | None = None):
        self.column = COLUMNS[dialect]
        self.requests: list[Recorded] = []
        self.answers: dict[str, Answer] = {}
        self.told = Told()
        self.left = threading.Event()
        self.closing = threading.Event()
        self.pinned = ""
        self._open: list[socket.socket] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                fake._open.append(self.connection)

            def log_message(self, *_args: Any) -> None:
                pass

            def do_GET(self) -> None:
                fake.take(self)

            do_POST = do_GET  # noqa: N815

        self._http = _Server(("127.0.0.1", port), Handler)
        self.port = self._http.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length") or 0)
        data = handler.rfile.read(size)
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = json.loads(data) if data else None
        path, _, query = handler.path.partition("?")
        asked = Recorded(handler.command, path, headers, body, query)
        self.requests.append(asked)
        answer = self.answers.get("") or self.answers.get(path) or self.column.answer
        try:
            answer(Talk(self, handler, asked))
        except (BrokenPipeError, ConnectionError):
            handler.close_connection = True

    def asked(self, path: str) -> list[Recorded]:
        return [one for one in self.requests if one.path == path]

    @property
    def replies_asked(self) -> list[Recorded]:
        """The requests for a reply; what a probe asks for at the same place has no messages."""
        return [one for one in self.asked(self.column.chat) if one.body.get("messages")]

    def hang_up(self) -> None:
        """Close the connections that are kept."""
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self.hang_up()
        self._thread.join()


@contextlib.contextmanager
def serving(dialect: str = "openai", **options: Any) -> Iterator[FakeServer]:
    server = FakeServer(dialect, **options)
    try:
        yield server
    finally:
        server.close()
