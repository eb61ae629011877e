"""A hostile Hub for tests: a repository to be asked for, faults to give its server, and a look at what lies outside the cache."""

from __future__ import annotations

import hashlib
import json
import random
import stat
from pathlib import Path
from typing import Any

from tests.hub_server import Repo
from tui.engine.hub.cache import RepoCache
from tui.engine.hub.client import Limits
from tui.engine.hub.hub import Hub

_HEADER = b'{"w": {"dtype": "U8", "shape": [60000], "data_offsets": [0, 60000]}}'
WEIGHTS = len(_HEADER).to_bytes(8, "little") + _HEADER + random.Random(7).randbytes(60_000)
CONFIG = b'{"model_type": "llama"}'
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
ID = "org/model"
QUICK = Limits(answer_s=1.0, quiet_s=0.5, again_s=0.01, pace_s=0.5)


def hub(server: Any, limits: Limits = QUICK) -> Hub:
    """Return a Hub that gives up soon."""
    return Hub(server.url, limits)


def model(server: Any, **options: Any) -> Repo:
    """Put a model on the server."""
    return server.add(Repo(ID, {"config.json": CONFIG, "model.safetensors": WEIGHTS}, **options))


def is_whole(folder: Path) -> bool:
    """Return whether a snapshot is what the server has."""
    weights = (folder / "model.safetensors").read_bytes()
    return weights == WEIGHTS and (folder / "config.json").read_bytes() == CONFIG


def leave_a_part(part: bytes) -> Path:
    """Put a part of the weights into the cache; return its path."""
    cache = RepoCache(ID)
    cache.prepare()
    cache.partial(DIGEST).write_bytes(part)
    return cache.partial(DIGEST)


def outside(place: Path, cache: Path) -> dict[str, Any]:
    """Return all that lies in a folder but not in the cache."""
    found: dict[str, Any] = {}
    for path in sorted(place.rglob("*")):
        if not path.is_relative_to(cache):
            mode = path.lstat().st_mode
            found[str(path)] = (mode, path.read_bytes() if stat.S_ISREG(mode) else b"")
    return found


def leads_out(cache: Path) -> list[Path]:
    """Return what in the cache leads out of it."""
    return [path for path in cache.rglob("*") if not path.resolve().is_relative_to(cache.resolve())]


def is_file_request(path: str) -> bool:
    """Return whether a file's content is asked for."""
    return "/resolve/" in path


def in_tree(**changes: Any) -> Any:
    """Return a change of the list of files: what it says of the weights."""

    def change(path: str, value: Any) -> Any:
        if "/tree/" not in path:
            return value
        return [{**one, **changes} if one["path"] == "model.safetensors" else one for one in value]

    return change


def with_file(name: Any, data: bytes = b"{}") -> Any:
    """Return a change of the list of files: one more."""

    def change(path: str, value: Any) -> Any:
        if "/tree/" not in path:
            return value
        return [*value, {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}]

    return change


def dumped(value: Any) -> bytes:
    """Return JSON as a server may send it."""
    return json.dumps(value).encode()
