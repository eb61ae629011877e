"""The Hugging Face Hub: what it has, what a download would take, and downloading. Imports neither torch nor transformers.

Every function asks the network and blocks; none belongs on the screen's thread. How the Hub is asked is in `client`, which
files a model has in `listing`, how they get here in `fetching` and `cache`.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tui.dataclass import dataclass
from tui.engine.facts import ModelFacts, facts_of
from tui.engine.hub import guard
from tui.engine.hub.cache import RepoCache, cache_folder
from tui.engine.hub.client import HubClient, Limits, Patience
from tui.engine.hub.fetching import SPARE_BYTES, TRIES, WAIT_S, Fetch, missing_files
from tui.engine.hub.listing import (
    Listing,
    check_name,
    list_files,
    list_model,
    model_patterns,
    no_model,
)
from tui.engine.hub.problems import (
    HubUnaskableError,
    HubWaitError,
    check_library,
    is_network_problem,
    sentences,
    status_of,
)
from tui.engine.hub.values import (
    bad_answer,
    count_of,
    is_repo_id,
    mapping_of,
    text_of,
)
from tui.engine.hub.weights import remote_tensors
from tui.engine.model_files import parse_json

_log = logging.getLogger(__name__)

_PAGE: Final = 50
_MOST_PAGES: Final = 25
_PAGE_BYTES: Final = 20_000_000
_TASKS: Final = ("text-generation", "image-text-to-text", "audio-text-to-text", "any-to-any")
_FIELDS: Final = (
    "downloads", "likes", "gated", "safetensors", "config", "tags", "lastModified", "pipeline_tag",
)  # fmt: skip
_SORTS: Final = {"trending_score": "trendingScore", "created_at": "createdAt"}
"""What the Hub calls an order where the library has another name for it."""
_CONFIG_LIMIT_BYTES: Final = 5_000_000
_MOST_TAGS: Final = 1_000
_NOT_WRITABLE: Final = (errno.EROFS, errno.EACCES, errno.EPERM)
_DAY: Final = len("2026-01-31")


class HubSort(StrEnum):
    """In which order a search answers."""

    TRENDING = "trending_score"
    DOWNLOADS = "downloads"
    LIKES = "likes"
    NEWEST = "created_at"


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository that a search found. Zero and empty mean unknown.

    Attributes:
        id: as in `org/model`.
        parameters, dtype: of its weights.
        downloads: in the last 30 days.
        licence: its short name.
        is_gated: whether one has to agree to terms first.
        method: how it is already quantized.
        has_template: whether it is made for chatting.
        updated: the day of its last change, for example `2026-01-31`.
    """

    id: str
    parameters: int = 0
    dtype: str = ""
    downloads: int = 0
    likes: int = 0
    licence: str = ""
    is_gated: bool = False
    method: str = ""
    architecture: str = ""
    has_template: bool = False
    updated: str = ""


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What a download would take.

    Attributes:
        revision: the commit.
        files: how many there are.
        total_bytes: of all of them.
        missing_bytes: of those, what is not here yet.
        free_bytes: on the disk that they go to.
    """

    repo_id: str
    revision: str
    files: int
    total_bytes: int
    missing_bytes: int
    free_bytes: int

    @property
    def fits(self) -> bool:
        """Whether there is room on the disk."""
        return self.missing_bytes + SPARE_BYTES <= self.free_bytes


class Hub:
    """The Hub at one address."""

    def __init__(self, endpoint: str = "", limits: Limits | None = None) -> None:
        """Make a client.

        Args:
            endpoint: another address than huggingface_hub's own, as for a mirror.
            limits: how much an answer may take; None for what suits people.
        """
        self._client = HubClient(endpoint or None, limits or Limits())

    def search(
        self, words: str = "", sort: HubSort = HubSort.TRENDING, limit: int = _PAGE
    ) -> list[HubModel]:
        """Return models that write text: those made for chatting, or whatever the words find.

        Raises:
            ModelLoadError: the Hub can't be reached, or answers with an error.
        """
        query = words.strip()
        asked: dict[str, Any] = {
            "sort": _SORTS.get(sort.value, sort.value),
            "limit": limit,
            "expand": _FIELDS,
            **({"search": query} if query else {"filter": "conversational"}),
        }
        with _asking(""):
            address = f"{self._client.endpoint}/api/models?{urlencode(asked, doseq=True)}"
            found: dict[str, HubModel] = {}
            for _ in range(_MOST_PAGES):
                page, address = self._client.json(address, _PAGE_BYTES, Patience(tries=2))
                found |= {one.id: one for one in _models(page) if one.id not in found}
                if not address or len(found) >= limit:
                    break
            return list(found.values())[:limit]

    def facts(self, repo_id: str, revision: str = "") -> ModelFacts:
        """Return what a repository's config and the headers of its weights say; the weights are not downloaded.

        Raises:
            ModelLoadError: the Hub can't be reached, or has no such model.
        """
        with _asking(repo_id):
            check_name(repo_id, revision)
            config = self._config(repo_id, revision)
            tensors = remote_tensors(
                self._client, lambda name: self._address(repo_id, name, revision), Patience()
            )
            return facts_of(config, tensors)

    def plan(self, repo_id: str, revision: str = "", *, code: bool = False) -> DownloadPlan:
        """Return what a download would take.

        Raises:
            ModelLoadError: the Hub can't be reached, or has no such model.
        """
        with _asking(repo_id):
            listing = list_model(self._client, repo_id, revision, Patience(), code=code)
            cache = RepoCache(repo_id)
            missing = missing_files(cache, listing)
            if missing:
                self._check_access(listing, Patience())
            rest = sum(file.size - cache.partial_size(file.digest, file.size) for file in missing)
            return DownloadPlan(
                repo_id,
                listing.commit,
                len(listing.files),
                listing.total_bytes,
                rest,
                _free_bytes(cache_folder()),
            )

    def snapshot(
        self,
        repo_id: str,
        revision: str = "",
        *,
        code: bool = False,
        tqdm_class: type[Any] | None = None,
        check: Callable[[], None] = lambda: None,
        tell: Callable[[str], None] = lambda _text: None,
    ) -> Path:
        """Return the folder that holds a repository's model; downloads what is not there.

        Safetensors come first; weights in torch's older format are fetched only where there are no others. Without the Hub,
        what is whole in the cache is taken.

        Args:
            repo_id, revision: what is wanted.
            code: fetch Python files too.
            tqdm_class: counts the bytes and stops the download by raising `Cancelled`.
            check: called while waiting for the Hub; stops the wait by raising `Cancelled`.
            tell: receives a sentence about what is being waited for; empty when the wait is over.

        Raises:
            ModelLoadError: the repository holds no model that transformers could load, or it can't be had.
            Cancelled: `tqdm_class` or `check` raised it.
        """

        def listed(patience: Patience) -> Listing:
            return list_model(self._client, repo_id, revision, patience, code=code)

        folder = self._folder(
            repo_id, revision, listed, model_patterns(code=code), Patience(TRIES, WAIT_S, check, tell),
            tqdm_class,
        )  # fmt: skip
        if not (folder / "config.json").is_file():
            raise no_model(repo_id)
        return folder

    def pieces(
        self,
        repo_id: str,
        names: Sequence[str],
        revision: str = "",
        *,
        tqdm_class: type[Any] | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> Path:
        """Return the folder that holds some files of a repository, at the commit that the folder is named after.

        Args:
            repo_id, revision: what is wanted.
            names: patterns, for example `*.py`.
            tqdm_class: counts the bytes and stops the download by raising `Cancelled`.
            check: called while waiting for the Hub; stops the wait by raising `Cancelled`.

        Raises:
            ModelLoadError: they can't be had.
            Cancelled: `tqdm_class` or `check` raised it.
        """

        def listed(patience: Patience) -> Listing:
            return list_files(self._client, repo_id, revision, patience, names)

        patience = Patience(TRIES, WAIT_S, check)
        return self._folder(repo_id, revision, listed, (list(names), []), patience, tqdm_class)

    def _folder(
        self,
        repo_id: str,
        revision: str,
        listed: Callable[[Patience], Listing],
        patterns: tuple[list[str], list[str]],
        patience: Patience,
        tqdm_class: type[Any] | None,
    ) -> Path:
        """Fetch what is missing of the files that are listed, and put them together; without the Hub, take what is here."""
        with _asking(repo_id):
            check_name(repo_id, revision)
            cache = RepoCache(repo_id)
            here = cache.snapshot(revision or "main") or (None if revision else cache.newest())
            # If there is a fallback, don't wait for an unavailable Hub.
            short = replace(patience, tries=1, wait_s=0.0) if here else patience
            try:
                listing = listed(short)
                if missing_files(cache, listing):
                    self._check_access(listing, short)
            except Exception as error:
                if not _is_no_answer(error):
                    raise
                return self._cached(repo_id, here, error, patterns)
            fetch = Fetch(self._client, listing, cache, bar_class=tqdm_class, patience=patience)
            try:
                fetch.run()
                return _assembled(cache, listing, revision)
            except OSError as error:
                if error.errno not in _NOT_WRITABLE:
                    raise
                _log.warning("can't write to the cache of %s", repo_id, exc_info=error)
                # What others keep up to date, such as a cache that several users share, is used as it is.
                return self._cached(repo_id, here, error, patterns)

    def small_file(self, repo_id: str, name: str) -> bytes:
        """Return a small file of a repository, without keeping it; without the Hub, from what is in the cache.

        Raises:
            ModelLoadError: the Hub can't be reached, or has no such file.
        """
        with _asking(repo_id):
            check_name(repo_id, "")
            try:
                return self._client.read(
                    self._address(repo_id, name, ""), _CONFIG_LIMIT_BYTES, Patience()
                )
            except Exception as error:
                cache = RepoCache(repo_id)
                here = cache.snapshot("main") or cache.newest()
                folder = here if _is_no_answer(error) else None
                if folder is None or not (folder / name).is_file():
                    raise
                with (folder / name).open("rb") as file:
                    return file.read(_CONFIG_LIMIT_BYTES)

    def _check_access(self, listing: Listing, patience: Patience) -> None:
        """Raise where the Hub lists a repository's files but doesn't give them away."""
        name = min(listing.files, key=lambda file: file.name != "config.json").name
        self._client.head(self._address(listing.repo_id, name, listing.commit), patience)

    def _cached(
        self,
        repo_id: str,
        here: Path | None,
        error: Exception,
        patterns: tuple[list[str], list[str]],
    ) -> Path:
        """Return the folder of what is in the cache, or raise the error when that is not whole."""
        from huggingface_hub import snapshot_download

        if here is None:
            raise error
        try:
            # The library knows of files that are missing from a list that it may have kept.
            return Path(
                snapshot_download(
                    repo_id, revision=here.name, local_files_only=True,
                    allow_patterns=patterns[0], ignore_patterns=patterns[1],
                )
            )  # fmt: skip
        except (OSError, ValueError):
            raise error  # noqa: B904 - what was asked for failed first

    def _config(self, repo_id: str, revision: str) -> Mapping[str, Any]:
        body = self._client.read(
            self._address(repo_id, "config.json", revision), _CONFIG_LIMIT_BYTES, Patience()
        )
        try:
            return mapping_of(parse_json(body))
        except ValueError:
            return {}

    def _address(self, repo_id: str, name: str, revision: str) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(repo_id, name, revision=revision or None, endpoint=self._client.endpoint)


@contextlib.contextmanager
def _asking(name: str) -> Iterator[None]:
    """Ask the Hub inside the block, and make sentences of what goes wrong there."""
    check_library()
    with sentences(name):
        keep_quiet()
        yield


def keep_quiet() -> None:
    """Take from huggingface_hub its own ways to the terminal, bars and log handlers, and guard what it is answered."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    guard.install()
    disable_progress_bars()
    logger = logging.getLogger("huggingface_hub")
    for handler in list(logger.handlers):
        if type(handler) is logging.StreamHandler:
            logger.removeHandler(handler)
    logger.propagate = True


def _assembled(cache: RepoCache, listing: Listing, revision: str) -> Path:
    """Return the folder of a commit, with all its files in it."""
    if cache.snapshot(listing.commit) is None:
        cache.prepare()
        cache.make_snapshot(listing.commit)
    uses = Counter(file.digest for file in listing.files)
    # With the config, the folder begins to look like a model.
    for file in sorted(listing.files, key=lambda file: file.name == "config.json"):
        uses[file.digest] -= 1
        cache.link(listing.commit, file.name, file.digest, is_last=not uses[file.digest])
    try:
        cache.note(revision or "main", listing.commit)
    except OSError as error:
        _log.warning("can't store the revision %s", revision, exc_info=error)
    folder = cache.snapshot(listing.commit)
    if folder is None:
        raise bad_answer("it lists none of the required files")
    return folder


def _is_no_answer(error: Exception) -> bool:
    """Return whether the Hub doesn't answer, or doesn't let itself be asked; not that it says something wrong."""
    from huggingface_hub import errors

    if isinstance(error, errors.RevisionNotFoundError):
        return False
    return (
        isinstance(error, errors.OfflineModeIsEnabled | HubWaitError | HubUnaskableError)
        or status_of(error) is not None
        or is_network_problem(error)
    )


def _free_bytes(folder: Path) -> int:
    """Return what is free where a folder is, or will be."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return shutil.disk_usage(place).free
    return 0


def _models(page: object) -> list[HubModel]:
    """Return the models of a page of results that write text; what can't be the id of one is left out."""
    if not isinstance(page, list):
        raise bad_answer("its list of models isn't valid")
    # The Hub accepts only one task filter, and multimodal models have other tasks.
    return [
        _model(entry)
        for entry in map(mapping_of, page)
        if is_repo_id(entry.get("id")) and entry.get("pipeline_tag") in (None, *_TASKS)
    ]


def _model(entry: Mapping[str, Any]) -> HubModel:
    config = mapping_of(entry.get("config"))
    weights = mapping_of(entry.get("safetensors"))
    counts = {str(kind): count_of(n) for kind, n in mapping_of(weights.get("parameters")).items()}
    found = entry.get("tags")
    tags: Sequence[object] = found[:_MOST_TAGS] if isinstance(found, list) else ()
    licences = (tag[8:] for tag in tags if isinstance(tag, str) and tag.startswith("license:"))
    return HubModel(
        id=str(entry["id"]),
        parameters=count_of(weights.get("total")),
        dtype=text_of(max(counts, key=lambda kind: counts[kind], default="")),
        downloads=count_of(entry.get("downloads")),
        likes=count_of(entry.get("likes")),
        licence=text_of(next(licences, "")),
        is_gated=bool(entry.get("gated")),
        method=text_of(mapping_of(config.get("quantization_config")).get("quant_method")),
        architecture=text_of(config.get("model_type")),
        has_template="conversational" in tags,
        updated=text_of(entry.get("lastModified"))[:_DAY],
    )
