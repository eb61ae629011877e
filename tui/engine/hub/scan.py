"""Scans the Hugging Face cache so that a damaged repository doesn't affect the others.

The library's own scan gives up the whole cache for one file that can't be read, waits forever at a pipe, and leaves out a
repository whose download was not finished.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.engine.model_files import read_start
from tui.pattern import pattern

_PREFIX: Final = "models--"
_MOST_REPOS: Final = 5_000
_MOST_REVISIONS: Final = 100
_MOST_FILES: Final = 20_000
_MOST_ENTRIES: Final = 1_000
_DEPTH: Final = 2
_REF_BYTES: Final = 200
_HUB_ID: Final = pattern(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9_][\w.\-]*)?")


@dataclass(frozen=True, slots=True)
class CachedRepo:
    """A repository of a model in the cache.

    Attributes:
        repo_id: as in `org/model`.
        snapshot: the folder of the revision to use: that of `main`, else the newest one.
        has_config: whether that has a config.json.
        ggufs: the GGUF files in it.
        size_bytes: of all revisions.
        used_at: when one of its files was last read, in Unix seconds.
    """

    repo_id: str
    snapshot: Path
    has_config: bool
    ggufs: tuple[Path, ...]
    size_bytes: int
    used_at: float


def is_hub_id(name: str) -> bool:
    """Return whether a name can be that of a repository of the Hub."""
    return _HUB_ID.fullmatch(name) is not None and ".." not in name


def cached_repos(folder: Path) -> list[CachedRepo]:
    """Return the models in a cache folder that have a config or a GGUF file, those used last first; none when it can't be read."""
    found = (repo_at(path) for path in _listed(folder, _MOST_REPOS))
    return sorted((repo for repo in found if repo), key=lambda repo: repo.used_at, reverse=True)


def cached_repo(folder: Path, repo_id: str) -> CachedRepo | None:
    """Return one model in a cache folder; None when it is not there."""
    if not is_hub_id(repo_id):
        return None
    return repo_at(folder / (_PREFIX + repo_id.replace("/", "--")))


def repo_at(folder: Path) -> CachedRepo | None:
    """Return the model that a folder of a cache holds; None where it is no such folder."""
    if not folder.name.startswith(_PREFIX):
        return None
    repo_id = folder.name.removeprefix(_PREFIX).replace("--", "/")
    if not is_hub_id(repo_id):
        return None
    ggufs = {path: _ggufs(path) for path in _listed(folder / "snapshots", _MOST_REVISIONS)}
    revisions = [path for path in ggufs if ggufs[path] or _is_file(path / "config.json")]
    if not revisions:
        return None
    main = _main(folder)
    newest = max(revisions, key=lambda path: (path.name == main, _changed_at(path)))
    files = {(one.st_dev, one.st_ino): one for one in _files(folder / "snapshots")}
    return CachedRepo(
        repo_id,
        newest,
        _is_file(newest / "config.json"),
        tuple(ggufs[newest]),
        sum(one.st_size for one in files.values()),
        max((one.st_atime for one in files.values()), default=0.0),
    )


def _main(folder: Path) -> str:
    """Return the commit that `main` was when it was last asked for; empty when that is not known."""
    try:
        return read_start(folder / "refs" / "main", _REF_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _changed_at(revision: Path) -> float:
    return max((one.st_mtime for one in _files(revision)), default=0.0)


def _files(folder: Path) -> Iterator[os.stat_result]:
    """Yield what the system says of the regular files below a folder; of very many only some."""
    paths = (Path(place, name) for place, _, names in os.walk(folder) for name in names)
    for path in islice(paths, _MOST_FILES):
        with contextlib.suppress(OSError):
            status = path.stat()
            if stat.S_ISREG(status.st_mode):
                yield status


def _ggufs(folder: Path, depth: int = 0) -> list[Path]:
    """Return the GGUF files in a folder and in those in it."""
    found: list[Path] = []
    for path in _listed(folder, _MOST_ENTRIES):
        if path.suffix.lower() == ".gguf" and _is_file(path):
            found.append(path)
        elif depth < _DEPTH and not path.is_symlink() and _is_folder(path):
            found += _ggufs(path, depth + 1)
    return found


def _listed(folder: Path, most: int) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), most))
    except (OSError, ValueError):
        return []


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False
