"""The Hugging Face Hub: what it has, what a download would take, and downloading. Imports neither torch nor transformers.

Every function asks the network and blocks; none belongs on the screen's thread.
"""

from __future__ import annotations

import errno
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.facts import ModelFacts, facts_of
from tui.engine.fetching import SPARE_BYTES, Fetch, is_network_problem, partial_bytes, status_of

_SMALL_FILES: Final = ("*.json", "*.jinja", "*.txt", "*.model", "tokenizer*", "*.tiktoken")
_ELSEWHERE: Final = (
    "original/*",
    "onnx/*",
    "openvino/*",
    "coreml/*",
    "consolidated*",
    "*.gguf",
    "*.msgpack",
    "*.h5",
)
_LENGTH: Final = 300
_PAGE: Final = 50
_FIELDS: Final = (
    "downloads", "likes", "gated", "safetensors", "config", "tags", "lastModified", "pipeline_tag",
)  # fmt: skip
_REACH_S: Final = 5.0
_AGAIN_AFTER_S: Final = 1.0
_OUT_OF_ORDER: Final = (500, 502, 503, 504)
_CONFIG_LIMIT_BYTES: Final = 5_000_000


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
        method: how it is already quantised.
        has_template: whether it is made for chatting.
        updated: the day of its last change, as in `2026-01-31`.
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

    def __init__(self, endpoint: str = "") -> None:
        """Make a client.

        Args:
            endpoint: another address than huggingface_hub's own, as for a mirror.
        """
        self._endpoint = endpoint or None

    def search(
        self, words: str = "", sort: HubSort = HubSort.TRENDING, limit: int = _PAGE
    ) -> list[HubModel]:
        """Return models that write text: those made for chatting, or whatever the words find.

        Raises:
            ModelLoadError: the Hub can't be reached, or answers with an error.
        """
        query = words.strip()
        chat_only = "conversational" if not query else None
        with _sentences(""):
            self._check_reachable()
            found: Iterator[Any] = iter(
                self._api().list_models(
                    search=query or None,
                    pipeline_tag="text-generation",
                    filter=chat_only,
                    sort=sort.value,
                    limit=limit,
                    expand=list(_FIELDS),
                )
            )
            return [_model(entry) for entry in islice(found, limit)]

    def facts(self, repo_id: str, revision: str = "") -> ModelFacts:
        """Return what a repository's config and the headers of its weights say; the weights are not downloaded.

        Raises:
            ModelLoadError: the Hub can't be reached, or has no such model.
        """
        with _sentences(repo_id):
            config = self._config(repo_id, revision)
            try:
                weights = self._api().get_safetensors_metadata(repo_id, revision=revision or None)
            except _no_safetensors():
                return facts_of(config, {})
            tensors = {
                name: (info.dtype, tuple(info.shape))
                for file in weights.files_metadata.values()
                for name, info in file.tensors.items()
            }
            return facts_of(config, tensors)

    def plan(self, repo_id: str, revision: str = "", *, code: bool = False) -> DownloadPlan:
        """Return what a download would take.

        Raises:
            ModelLoadError: the Hub can't be reached, or has no such model.
        """
        with _sentences(repo_id):
            files = self._files(repo_id, revision, code=code, dry_run=True)
            if not any(file.filename.endswith((".safetensors", ".bin")) for file in files):
                raise _no_model(repo_id)
            missing = sum(file.file_size or 0 for file in files if file.will_download)
            missing = max(0, missing - partial_bytes(repo_id)) if missing else 0
            return DownloadPlan(
                repo_id,
                files[0].commit_hash,
                len(files),
                sum(file.file_size or 0 for file in files),
                missing,
                _free_bytes(cache_folder()),
            )

    def snapshot(
        self,
        repo_id: str,
        revision: str = "",
        *,
        code: bool = False,
        tqdm_class: type[Any] | None = None,
    ) -> Path:
        """Return the folder that holds a repository's model; downloads what is not there.

        Safetensors come first; weights in torch's older format are fetched only where there are no others.

        Args:
            code: fetch Python files too.
            tqdm_class: counts the bytes, and stops the download by raising.

        Raises:
            ModelLoadError: the repository holds no model that transformers could load.
            Exception: whatever huggingface_hub, the network or `tqdm_class` raised.
        """
        keep_quiet()
        folder = self._folder(repo_id, revision, code=code, tqdm_class=tqdm_class)
        if not (folder / "config.json").is_file():
            raise _no_model(repo_id)
        return folder

    def _folder(
        self, repo_id: str, revision: str, *, code: bool, tqdm_class: type[Any] | None
    ) -> Path:
        """Fetch what is missing, and let the library put it together; without the Hub, take what is here."""
        from huggingface_hub.errors import DryRunError

        try:
            files = self._files(repo_id, revision, code=code, dry_run=True)
        except DryRunError as error:
            try:
                return Path(self._files(repo_id, revision, code=code, local_files_only=True))
            except OSError:
                raise error from error.__cause__
        fetch = Fetch(repo_id, files, endpoint=self._endpoint, bar_class=tqdm_class)
        if fetch.run() and tqdm_class is not None:
            tqdm_class = _silent(tqdm_class)
        return Path(self._files(repo_id, revision, code=code, tqdm_class=tqdm_class))

    def _files(self, repo_id: str, revision: str, *, code: bool, **options: Any) -> Any:
        """Call `snapshot_download` for safetensors, else for older weights."""
        from huggingface_hub import snapshot_download

        download: Callable[..., Any] = snapshot_download

        def fetch(*patterns: str) -> Any:
            return download(
                repo_id,
                revision=revision or None,
                allow_patterns=[*_SMALL_FILES, *(("*.py",) if code else ()), *patterns],
                ignore_patterns=list(_ELSEWHERE),
                endpoint=self._endpoint,
                **options,
            )

        found = fetch("*.safetensors")
        names = (
            [file.filename for file in found]
            if isinstance(found, list)
            else [path.name for path in Path(found).iterdir()]
        )
        if any(name.endswith(".safetensors") for name in names):
            return found
        return fetch("*.bin")

    def _config(self, repo_id: str, revision: str) -> Mapping[str, Any]:
        from huggingface_hub import get_session, hf_hub_url
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import hf_raise_for_status

        url = hf_hub_url(repo_id, "config.json", revision=revision or None, endpoint=self._endpoint)
        answer = get_session().get(
            url, headers=build_hf_headers(), follow_redirects=True, timeout=10
        )
        hf_raise_for_status(answer)
        if len(answer.content) > _CONFIG_LIMIT_BYTES:
            return {}
        try:
            config = answer.json()
        except (ValueError, RecursionError):
            return {}
        return config if isinstance(config, dict) else {}

    def _check_reachable(self) -> None:
        """Raise soon where there is no network or no answer: a search tries again and again for half a minute."""
        from huggingface_hub import constants, get_session
        from huggingface_hub.utils._http import hf_raise_for_status

        address = f"{self._endpoint or constants.ENDPOINT}/api/models?limit=1"
        answer = get_session().head(address, timeout=_REACH_S)
        if answer.status_code in _OUT_OF_ORDER:
            time.sleep(_AGAIN_AFTER_S)
            answer = get_session().head(address, timeout=_REACH_S)
        if answer.status_code in _OUT_OF_ORDER:
            hf_raise_for_status(answer)

    def _api(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=self._endpoint)


def keep_quiet() -> None:
    """Take from huggingface_hub its own ways to the terminal: bars and log handlers."""
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    logger = logging.getLogger("huggingface_hub")
    for handler in list(logger.handlers):
        if type(handler) is logging.StreamHandler:
            logger.removeHandler(handler)
    logger.propagate = True


def cache_folder() -> Path:
    """Return the folder of the Hugging Face cache."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def brief(error: BaseException) -> str:
    """Return an error in one line that is not too long."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LENGTH else text[: _LENGTH - 1] + "…"


def problem(error: Exception, name: str) -> ModelLoadError | None:
    """Return what the Hub, the network or the cache did as a sentence; None when it was something else.

    Args:
        error: what was raised.
        name: what the user called the model; empty for a search.
    """
    from huggingface_hub import errors

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return ModelLoadError(f"The disk is full, so {name} can't be stored.", "Make room there.")
    gated = ModelLoadError(
        f"{name} is private or asks you to agree to its terms first.",
        f"Agree on https://huggingface.co/{name} and run: hf auth login",
    )
    if isinstance(error, errors.GatedRepoError):
        return gated
    if isinstance(error, errors.RepositoryNotFoundError):
        return ModelLoadError(
            f"There is no model {name} on the Hugging Face Hub, or it is private.",
            "Check the spelling; for a private model run: hf auth login",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return ModelLoadError(
            f"{name} has no such revision.", "Check the branch, tag or commit, or leave it out."
        )
    if isinstance(error, errors.HFValidationError):
        return ModelLoadError(
            f"{name!r} is not the name of a model.", "Name a Hub id such as org/model."
        )
    if status_of(error) in (401, 403):
        return gated
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled) or (
        is_network_problem(error)
    ):
        offline = isinstance(error, errors.OfflineModeIsEnabled)
        why = "is switched off (HF_HUB_OFFLINE is set)" if offline else "can't be reached"
        rest = f", and {name} is not completely on this machine." if name else "."
        return ModelLoadError(
            f"The Hugging Face Hub {why}{rest}",
            "Check the network, or name a model that was downloaded before, a folder or a .gguf file.",
        )
    if isinstance(error, errors.HfHubHTTPError):
        # The library's own words hold the whole address that was asked for.
        why = str(status_of(error) or brief(error))
        return ModelLoadError(
            f"The Hugging Face Hub answered with an error ({why}).", "Try again later."
        )
    # A dry run that fails says no more than that; what it failed at stands behind.
    return problem(error.__cause__, name) if isinstance(error.__cause__, Exception) else None


def _no_model(repo_id: str) -> ModelLoadError:
    return ModelLoadError(
        f"{repo_id} has no config.json with weights beside it, so transformers can't load it.",
        "For a GGUF repository download one .gguf file and name it; else choose another model.",
    )


class _sentences:  # noqa: N801 - used like a function
    """Turns what is raised inside the block into a sentence."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Begin."""
        keep_quiet()

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the sentence in place of the error."""
        if not isinstance(error, Exception) or isinstance(error, ModelLoadError):
            return
        raise problem(error, self._name) or ModelLoadError(
            f"The Hugging Face Hub's answer can't be used ({brief(error)}).", "Try again later."
        ) from error


def _silent(bar_class: type[Any]) -> type[Any]:
    """Return a bar that can still stop the work but counts no bytes: they have been counted."""

    def begin(self: Any, *args: Any, **options: Any) -> None:
        bar_class.__init__(self, *args, **{**options, "unit": "file"})

    return type("SilentBar", (bar_class,), {"__init__": begin})


def _no_safetensors() -> type[Exception]:
    from huggingface_hub.errors import NotASafetensorsRepoError

    return NotASafetensorsRepoError


def _free_bytes(folder: Path) -> int:
    """Return what is free where a folder is, or will be."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return shutil.disk_usage(place).free
    return 0


def _model(entry: Any) -> HubModel:
    config = entry.config if isinstance(entry.config, Mapping) else {}
    counts = getattr(entry.safetensors, "parameters", None) or {}
    tags: Sequence[str] = entry.tags or ()
    licence = next((tag[8:] for tag in tags if tag.startswith("license:")), "")
    method = config.get("quantization_config")
    changed = entry.last_modified
    return HubModel(
        id=str(entry.id),
        parameters=int(getattr(entry.safetensors, "total", 0) or 0),
        dtype=max(counts, key=lambda kind: counts[kind], default=""),
        downloads=int(entry.downloads or 0),
        likes=int(entry.likes or 0),
        licence=licence,
        is_gated=bool(entry.gated),
        method=str(method.get("quant_method") or "") if isinstance(method, Mapping) else "",
        architecture=str(config.get("model_type") or ""),
        has_template="conversational" in tags,
        updated=f"{changed:%Y-%m-%d}" if changed is not None else "",
    )
