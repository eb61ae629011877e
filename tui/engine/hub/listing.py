"""Which files of a repository make up its model, at which commit: the Hub's list of them, every word of it checked.

What the list says of a file's content (its hash) is what the file has to be in the end, whatever server sends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from tui.dataclass import dataclass
from tui.engine.base import ModelLoadError
from tui.engine.hub.client import HubClient, Patience
from tui.engine.hub.values import (
    bad_answer,
    check_together,
    commit_of,
    digest_of,
    file_name_of,
    is_commit,
    is_repo_id,
    is_revision,
    mapping_of,
    size_of,
)

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
_WEIGHTS: Final = ("*.safetensors", "*.bin")
_INFO_BYTES: Final = 20_000_000
_PAGE_BYTES: Final = 20_000_000
_PAGES: Final = 100
_MOST_FILES: Final = 5_000
_MOST_ENTRIES: Final = 100_000
_NAME_LENGTH: Final = 2_000
_LENGTH: Final = 200
_Entry = tuple[object, object]
"""A file's size and hash, as the list has them."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository.

    Attributes:
        name: with slashes between its folders.
        size: in bytes.
        digest: of a large file its SHA-256, of a small one git's SHA-1.
    """

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a model, at one commit."""

    repo_id: str
    commit: str
    files: tuple[RemoteFile, ...]

    @property
    def total_bytes(self) -> int:
        """What all of them take."""
        return sum(file.size for file in self.files)


def check_name(repo_id: str, revision: str) -> None:
    """Check what a model is called before a path or an address is made of it.

    Raises:
        ModelLoadError: a repository or a revision can't be called so.
    """
    if not is_repo_id(repo_id):
        raise ModelLoadError(
            f"{repo_id!r} isn't a valid model name.", "Use a Hub ID such as org/model."
        )
    if revision and not is_revision(revision):
        raise ModelLoadError(
            f"{revision!r} isn't a valid revision.",
            "Use a branch, tag, or commit, or omit the revision.",
        )


def list_model(
    client: HubClient, repo_id: str, revision: str, patience: Patience, *, code: bool
) -> Listing:
    """Return the files that make up a repository's model: safetensors, else weights in torch's older format.

    Raises:
        ModelLoadError: it holds no model, or the Hub's list can't be used.
        Exception: an error from huggingface_hub or the network.
    """
    commit, entries = _commit(client, repo_id, revision, patience)
    names = _of_model(entries, code=code)
    if not names:
        raise no_model(repo_id, entries)
    return Listing(repo_id, commit, _checked(names, entries))


def list_files(
    client: HubClient, repo_id: str, revision: str, patience: Patience, patterns: Sequence[str]
) -> Listing:
    """Return those files of a repository whose names match; there may be none.

    Raises:
        ModelLoadError: the Hub's list can't be used.
        Exception: an error from huggingface_hub or the network.
    """
    commit, entries = _commit(client, repo_id, revision, patience)
    return Listing(repo_id, commit, _checked(_matching(entries, patterns, ()), entries))


def _commit(
    client: HubClient, repo_id: str, revision: str, patience: Patience
) -> tuple[str, dict[str, _Entry]]:
    """Return the commit that a revision is, and what the Hub lists of it."""
    check_name(repo_id, revision)
    base = f"{client.endpoint}/api/models/{repo_id}"
    commit = revision
    if not is_commit(revision):
        address = f"{base}/revision/{quote(revision or 'main', safe='')}"
        info, _ = client.json(address, _INFO_BYTES, patience)
        commit = commit_of(mapping_of(info).get("sha"))
    return commit, _entries(client, f"{base}/tree/{commit}?recursive=true&expand=false", patience)


def model_patterns(
    *, code: bool, weights: tuple[str, ...] = ("*.safetensors",)
) -> tuple[list[str], list[str]]:
    """Return the patterns of the names of files that belong to a model, and of those that don't."""
    return [*_SMALL_FILES, *(("*.py",) if code else ()), *weights], list(_ELSEWHERE)


def no_model(repo_id: str, names: Iterable[str] = ()) -> ModelLoadError:
    """Return the error to raise for a repository without a model that transformers could load.

    Args:
        repo_id: the repository.
        names: of its files, as far as they are known.
    """
    ggufs = sorted(name for name in names if name.lower().endswith(".gguf"))
    if ggufs:
        return ModelLoadError(
            f"{repo_id} contains only GGUF files ({len(ggufs)}), and none of them is on this machine.",
            f"Download the file you want (for example with: hf download {repo_id} FILE.gguf). It then appears in the model list.",
        )
    return ModelLoadError(
        f"{repo_id} has no folder with both config.json and weights, so transformers can't load it.",
        "If it is a GGUF repository, download one .gguf file and use its path. Otherwise choose another model.",
    )


def _entries(client: HubClient, address: str, patience: Patience) -> dict[str, _Entry]:
    """Return what the Hub lists, by the names that it gives."""
    found: dict[str, _Entry] = {}
    for _ in range(_PAGES):
        page, address = client.json(address, _PAGE_BYTES, patience)
        if not isinstance(page, list):
            raise bad_answer("its list of files isn't valid")
        for entry in map(mapping_of, page):
            name = entry.get("path")
            if isinstance(name, str) and entry.get("type") == "file":
                # Of a large file, the list has a pointer to it and, in a part of its own, what it is.
                known = mapping_of(entry.get("lfs")) or entry
                found[name[:_NAME_LENGTH]] = _short(known.get("size")), _short(known.get("oid"))
        if not address:
            return found
        if len(found) > _MOST_ENTRIES:
            break
    raise bad_answer("its list of files is endless")


def _short(value: object) -> object:
    """Return a value of the list as it is; nothing where it would only take memory."""
    is_short = isinstance(value, int | float) or (isinstance(value, str) and len(value) < _LENGTH)
    return value if is_short else None


def _of_model(entries: Mapping[str, _Entry], *, code: bool) -> list[str]:
    """Return the names of the files that belong to the model; none where there is no model."""
    for weights in _WEIGHTS:
        names = _matching(entries, *model_patterns(code=code, weights=(weights,)))
        if "config.json" in names and any(name.endswith(weights[1:]) for name in names):
            return names
    return []


def _checked(names: Sequence[str], entries: Mapping[str, _Entry]) -> tuple[RemoteFile, ...]:
    if len(names) > _MOST_FILES:
        raise bad_answer(f"it lists {len(names):,} files for one model")
    for name in names:
        file_name_of(name)
    check_together(names)
    return tuple(
        RemoteFile(name, size_of(entries[name][0], name), digest_of(entries[name][1], name))
        for name in names
    )


def _matching(
    names: Mapping[str, object], wanted: Sequence[str], unwanted: Sequence[str]
) -> list[str]:
    from huggingface_hub.utils._paths import filter_repo_objects

    return list(
        filter_repo_objects(names, allow_patterns=list(wanted), ignore_patterns=list(unwanted))
    )
