"""A small server that speaks the Hub's API over real repositories in memory: search in pages, file lists, downloads with ranges,
gated and missing repositories, slow and broken connections. With a fault, it says whatever a hostile server might."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PIECE = 4096


@dataclass
class Repo:
    """One repository.

    Attributes:
        files: contents by name.
        gated: who asks for it is refused.
        piece_s: seconds between two pieces of a large file.
        breaks_after: bytes after which a large file's connection is cut; 0 for never. It is cut once only.
        ranges: whether parts of files can be asked for.
        task: what the Hub says that it is for.
    """

    id: str
    files: dict[str, bytes] = field(default_factory=dict)
    gated: bool = False
    downloads: int = 0
    likes: int = 0
    tags: tuple[str, ...] = ("transformers", "conversational", "license:apache-2.0")
    piece_s: float = 0.0
    breaks_after: int = 0
    private: bool = False
    ranges: bool = True
    task: str = "text-generation"

    @property
    def sha(self) -> str:
        digest = hashlib.sha1(self.id.encode())
        for name in sorted(self.files):
            digest.update(name.encode() + self.files[name])
        return digest.hexdigest()

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.files.get("config.json", b"{}"))

    def entry(self) -> dict[str, Any]:
        """What the list of models says of it."""
        return {
            "id": self.id, "modelId": self.id, "sha": self.sha, "downloads": self.downloads, "likes": self.likes,
            "tags": list(self.tags), "gated": "manual" if self.gated else False, "private": self.private,
            "pipeline_tag": self.task, "lastModified": "2026-01-31T12:00:00.000Z",
            "config": {key: self.config[key] for key in ("model_type", "quantization_config") if key in self.config},
            "safetensors": self.safetensors,
        }  # fmt: skip

    @property
    def safetensors(self) -> dict[str, Any] | None:
        counts: dict[str, int] = {}
        for name, data in self.files.items():
            if name.endswith(".safetensors"):
                length = int.from_bytes(data[:8], "little")
                for key, value in json.loads(data[8 : 8 + length]).items():
                    if key != "__metadata__":
                        size = 1
                        for edge in value["shape"]:
                            size *= edge
                        counts[value["dtype"]] = counts.get(value["dtype"], 0) + size
        return {"parameters": counts, "total": sum(counts.values())} if counts else None


_HELD_AT_MOST_S = 30
_POINTER_BYTES = 134
_LARGE_BYTES = 1000


@dataclass
class HubServer:
    """The running server.

    Attributes:
        requests: every request, as in `GET /api/models?...`.
        broken: answers everything with this status; 0 for none.
        files_open: files are answered while this is set.
        fault: is asked first; returns whether it has answered.
        changed_headers: take the place of a file's own, or of any answer's where they have none; None takes one away.
        changed_json: takes the place of what an address of the API answers, made of its path and the true value.
        seen: the headers of each request, beside its line.
    """

    url: str
    repos: dict[str, Repo] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    broken: int = 0
    sent_bytes: int = 0
    page: int = 2
    files_open: threading.Event = field(default_factory=threading.Event)
    fault: Callable[[Any], bool] | None = None
    changed_headers: dict[str, str | None] = field(default_factory=dict)
    changed_json: Callable[[str, Any], Any] | None = None
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files_open.set()

    def add(self, repo: Repo) -> Repo:
        self.repos[repo.id] = repo
        return repo

    def add_folder(self, repo_id: str, folder: Path, **options: Any) -> Repo:
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        return self.add(Repo(repo_id, files, **options))


@contextmanager
def serving() -> Iterator[HubServer]:
    """Run a server on a free port of this machine."""
    httpd = _Server(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    hub = HubServer(f"http://127.0.0.1:{httpd.server_port}")
    httpd.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        httpd.shutdown()
        httpd.server_close()


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, *_args: Any) -> None:
        """Say nothing: clients hang up on what they don't want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    @property
    def _hub(self) -> HubServer:
        return self.server.hub  # type: ignore[attr-defined, no-any-return]

    def _answer(self, *, with_body: bool) -> None:
        hub, address = self._hub, urllib.parse.urlsplit(self.path)
        hub.requests.append(f"{self.command} {self.path}")
        hub.seen.append(
            (hub.requests[-1], {key.lower(): text for key, text in self.headers.items()})
        )
        try:
            if hub.fault is not None and hub.fault(self):
                return
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            return
        path = urllib.parse.unquote(address.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        if hub.broken:
            self._json({"error": "out of order"}, hub.broken)
        elif path == "/api/models":
            self._list(query)
        elif found := re.fullmatch(
            r"/api/models/([^/]+/[^/]+)(?:/(tree|revision)/([^/]+)(?:/.*)?)?", path
        ):
            self._repo(found[1], found[2] or "", found[3] or "main")
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            hub.files_open.wait(_HELD_AT_MOST_S)
            self._file(found[1], found[2], found[3], with_body)
        else:
            self._json({"error": "not found"}, 404)

    def _list(self, query: dict[str, str]) -> None:
        words = query.get("search", "").casefold()
        found = [repo for repo in self._hub.repos.values() if words in repo.id.casefold()]
        if query.get("filter"):
            wanted = query["filter"].split(",")
            found = [
                repo
                for repo in found
                if "conversational" in repo.tags or "conversational" not in wanted
            ]
        key = {"downloads": "downloads", "likes": "likes"}.get(query.get("sort", ""), "downloads")
        found.sort(key=lambda repo: getattr(repo, key), reverse=True)
        start, size = int(query.get("cursor", 0)), min(self._hub.page, int(query.get("limit", 100)))
        headers = {}
        if start + size < len(found):
            following = urllib.parse.urlencode({**query, "cursor": start + size})
            headers["Link"] = f'<{self._hub.url}/api/models?{following}>; rel="next"'
        self._json([repo.entry() for repo in found[start : start + size]], headers=headers)

    def _known(self, repo_id: str) -> Repo | None:
        repo = self._hub.repos.get(repo_id)
        if repo is None:
            self._json(
                {"error": "Repository not found"}, 404, headers={"X-Error-Code": "RepoNotFound"}
            )
        return repo

    def _repo(self, repo_id: str, what: str, revision: str) -> None:
        repo = self._known(repo_id)
        if repo is None:
            return
        if revision not in ("main", repo.sha):
            self._json(
                {"error": "no such revision"}, 404, headers={"X-Error-Code": "RevisionNotFound"}
            )
        elif what == "tree":
            self._json(
                [
                    {"type": "file", "path": name, "size": len(data), **_content(name, data)}
                    for name, data in repo.files.items()
                ]
            )
        else:
            files = [{"rfilename": name, "size": len(data)} for name, data in repo.files.items()]
            self._json({**repo.entry(), "siblings": files})

    def _file(self, repo_id: str, revision: str, name: str, with_body: bool) -> None:
        repo = self._known(repo_id)
        if repo is None:
            return
        if repo.gated:
            self._json({"error": "gated"}, 403, headers={"X-Error-Code": "GatedRepo"})
            return
        if name not in repo.files or revision not in ("main", repo.sha):
            self._json({"error": "no such file"}, 404, headers={"X-Error-Code": "EntryNotFound"})
            return
        self._send_file(repo, name, with_body)

    def _send_file(self, repo: Repo, name: str, with_body: bool) -> None:
        data = repo.files[name]
        start, end, status = 0, len(data), 200
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked and repo.ranges:
            start, end, status = (
                int(asked[1]),
                min(end, int(asked[2]) + 1 if asked[2] else end),
                206,
            )
        headers = {
            "ETag": f'"{etag(name, data)}"',
            "X-Repo-Commit": repo.sha,
            "Content-Length": str(end - start),
        }
        if repo.ranges:
            headers["Accept-Ranges"] = "bytes"
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self._begin(status, headers)
        if not with_body:
            return
        is_large = len(data) > 4 * _PIECE
        sent = 0
        try:
            while start < end:
                piece = data[start : min(end, start + _PIECE)]
                # Counted first: whoever has it may look at once.
                self._hub.sent_bytes += len(piece)
                self.wfile.write(piece)
                start += len(piece)
                sent += len(piece)
                if is_large and repo.breaks_after and sent >= repo.breaks_after:
                    repo.breaks_after = 0
                    self.close_connection = True
                    self.connection.close()
                    return
                if is_large:
                    time.sleep(repo.piece_s)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _json(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        if self._hub.changed_json is not None:
            value = self._hub.changed_json(self.path, value)
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.reply(status, data, {"Content-Type": "application/json", **(headers or {})})

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Answer with a body and its length, unless the headers name another length."""
        self._begin(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command == "GET":
            try:
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, content in {**headers, **self._hub.changed_headers}.items():
            if content is not None:
                self.send_header(name, content)
        self.end_headers()


def etag(name: str, data: bytes) -> str:
    """Return what the Hub calls a file's content: of a large file its SHA-256, of a small one git's SHA-1."""
    if name.endswith(".safetensors") or len(data) > _LARGE_BYTES:
        return hashlib.sha256(data).hexdigest()
    return git_oid(data)


def git_oid(data: bytes) -> str:
    """Return git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _content(name: str, data: bytes) -> dict[str, Any]:
    """Return what the list of files says of a file's content."""
    known = etag(name, data)
    if len(known) == 40:
        return {"oid": known}
    large = {"oid": known, "size": len(data), "pointerSize": _POINTER_BYTES}
    return {"oid": git_oid(known.encode()), "lfs": large}
