"""The files of a repository or folder that determine which code runs: read once, hashed, and copied to a private folder.

What was digested is what runs: transformers is given the private copy, and never the folder that the files came from.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Final

from tui.dataclass import dataclass
from tui.engine.base import ModelLoadError
from tui.files import FILE_MODE, make_own_folder, read_regular

GENERATE: Final = "custom_generate/generate.py"
"""What transformers takes for `generate` where a model's code is trusted."""
_MOST_ENTRIES: Final = 20_000
_MOST_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class CodeFiles:
    """File contents by relative path, with slashes as separators."""

    files: Mapping[str, bytes]

    @property
    def digest(self) -> str:
        """A digest of names and contents, in hexadecimal digits; no two sets of files have one in common."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            for part in (os.fsencode(name), content):
                digest.update(len(part).to_bytes(8, "little"))
                digest.update(part)
        return digest.hexdigest()

    @property
    def python(self) -> tuple[str, ...]:
        """The names of the Python files."""
        return tuple(sorted(name for name in self.files if name.endswith(".py")))


def read_configs(folder: Path) -> CodeFiles:
    """Return only a folder's configs; unreadable files are omitted."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*config*.json")):
        with contextlib.suppress(OSError):
            if path.stat().st_size <= _MOST_BYTES:
                found[path.name] = read_regular(path)
    return CodeFiles(found)


def read_code(folder: Path) -> CodeFiles:
    """Return all files of a folder that decide what runs: configs, Python files anywhere, and what `generate` is replaced by.

    Raises:
        ModelLoadError: one can't be read, or there is too much of them.
    """
    found: dict[str, bytes] = {}
    total = 0
    try:
        for name in _names(folder):
            total += (folder / name).stat().st_size
            if total > _MOST_BYTES:
                raise _too_many(folder)
            found[name] = read_regular(folder / name)
    except OSError as error:
        raise ModelLoadError(
            f"The code in {folder} can't be read ({error.strerror or error}).",
            "Download or copy the model again.",
        ) from error
    return CodeFiles(found)


def _names(folder: Path) -> Iterator[str]:
    """Yield the names of the files that decide; links to folders are followed, each folder once."""
    seen: set[tuple[int, int]] = set()
    entries = 0
    for place, folders, files in os.walk(folder, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        entries += len(folders) + len(files)
        if entries > _MOST_ENTRIES:
            raise _too_many(folder)
        for file in sorted(files):
            name = (Path(place) / file).relative_to(folder).as_posix()
            if _decides(name):
                yield name


def _decides(name: str) -> bool:
    return (
        name.endswith(".py")
        or name.startswith("custom_generate/")
        or ("/" not in name and fnmatch(name, "*config*.json"))
    )


def lay_down(files: CodeFiles, folder: Path, source: Path) -> Path:
    """Write files to a private folder, with links beside them to what else a model's folder holds, such as its weights.

    Args:
        files: what decides what runs.
        folder: where to; what was there before is replaced.
        source: the model's folder.

    Raises:
        ModelLoadError: it can't be written.
    """
    try:
        make_own_folder(folder.parent)
        made = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        try:
            _fill(made, files, source)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise ModelLoadError(
            f"The model's code can't be copied to {folder.parent} ({error.strerror or error}).",
            "Free some space there.",
        ) from error
    return folder


def _fill(made: Path, files: CodeFiles, source: Path) -> None:
    for name, content in files.files.items():
        path = made / PurePosixPath(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(FILE_MODE)
    taken = {PurePosixPath(name).parts[0] for name in (*files.files, GENERATE)}
    for path in sorted(source.iterdir()):
        if path.name not in taken and not _decides(path.name) and not path.name.startswith("."):
            (made / path.name).symlink_to(path.resolve())


def _too_many(folder: Path) -> ModelLoadError:
    return ModelLoadError(
        f"The folder {folder} contains too many files to search for the model's code.",
        "Use a folder that contains only the model.",
    )
