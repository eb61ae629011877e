"""Custom code of models: where it comes from, and whether the user has agreed to run it.

Agreement is given for one version of the code of one repository or folder: the model's own, another repository that its configs
name, and those of an assistant model each ask for themselves. What was agreed to is copied to a private folder, other
repositories' files too, and transformers loads the model from there: nothing is fetched while code runs, and what runs is what
was looked at, whatever becomes of the folder, the Hub or the cache meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.engine import trust
from tui.engine.base import FailureCause, LoadRequest, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.local.code_files import GENERATE, CodeFiles, lay_down, read_code, read_configs
from tui.engine.local.code_needs import Needs, Reference, find

_LISTED: Final = 4
_LONGEST_NAME: Final = 60

FetchCode = Callable[[str, str], Path]
"""Returns the folder with the code of a repository at a commit, or at the present one where none is named."""


@dataclass(frozen=True, slots=True)
class Code:
    """The parts of a model's code that may run.

    Attributes:
        folder: where the model is loaded from.
        model: whether code may run for its config and the model itself.
        tokenizer: whether code may run for its tokenizer.
    """

    folder: Path
    model: bool = False
    tokenizer: bool = False


def agreed(
    source: ModelSource, folder: Path, request: LoadRequest, fetch: FetchCode, private: Path
) -> Code:
    """Return which parts of a model's code may run; none if it needs none, regardless of agreements.

    Args:
        source: the model.
        folder: its folder; of a Hub model the one of a commit.
        request: contains the user's agreements.
        fetch: gets code from the Hub.
        private: where code that may run is copied to.

    Raises:
        ModelLoadError: it requires code that the user has not agreed to or that is unavailable.
    """
    needs = find(read_configs(folder).files)
    if not needs.model_code and not needs.tokenizer_code:
        return Code(folder)
    if source.kind is ModelKind.HUB:
        folder = fetch(source.location, folder.name)
    own = read_code(folder)
    needs = find(own.files)
    repositories = _repositories(needs, source)
    files = _own_files(source, own, folder, needs, request)
    others = {name: _other(name, source, request, fetch) for name in repositories if name}
    places = {name: f"of_{code.digest[:16]}" for name, code in others.items()}
    for name, code in others.items():
        files |= {f"{places[name]}/{file}": content for file, content in code.files.items()}
    _check_files_are_there(needs, source, files, places)
    files |= needs.rewritten(lambda reference: _placed(reference, source, places))
    whole = CodeFiles(files)
    laid = lay_down(whole, private / f"m{whole.digest[:32]}", folder)
    return Code(laid, needs.model_code, needs.tokenizer_code)


def _own_files(
    source: ModelSource, own: CodeFiles, folder: Path, needs: Needs, request: LoadRequest
) -> dict[str, bytes]:
    """Return what is used of a model's own files: its code only if some of it is to run, which the user agreed to."""
    runs = "" in _repositories(needs, source) or (needs.model_code and GENERATE in own.files)
    if not runs:
        return {name: content for name, content in own.files.items() if name not in own.python}
    if not request.trust_own_code:
        _check(source, own, folder, request)
    return dict(own.files)


def check_drafts(source: ModelSource, folder: Path) -> None:
    """Check that a model can draft or use drafts, before the user is asked about its code.

    Raises:
        ModelLoadError: it is made by code of its own, which may keep what it has computed in whatever way it likes.
    """
    if find(read_configs(folder).files).model_code:
        raise ModelLoadError(
            f"{source.name} requires custom code, and speculative decoding doesn't support such models.",
            "Choose another assistant, or none.",
        )


def _repositories(needs: Needs, source: ModelSource) -> list[str]:
    """Return the repositories that code is taken from, each once; the model's own is empty."""
    found = (_repository(reference, source) for reference in needs.references())
    return list(dict.fromkeys(found))


def _repository(reference: Reference, source: ModelSource) -> str:
    is_own = source.kind is ModelKind.HUB and reference.repository == source.location
    return "" if is_own else reference.repository


def _check(source: ModelSource, own: CodeFiles, folder: Path, request: LoadRequest) -> None:
    """Check that the user agreed to a model's own code as it is now."""
    is_on_hub = source.kind is ModelKind.HUB
    commit = folder.name if is_on_hub else ""
    subject = trust.subject(source.location if is_on_hub else str(folder), own.digest, commit)
    if subject not in request.trusted:
        place = "repository" if is_on_hub else "folder"
        raise _unasked(f"{source.name} requires code from its own {place}", subject, own.python)


def _other(name: str, source: ModelSource, request: LoadRequest, fetch: FetchCode) -> CodeFiles:
    """Return the code of another repository, which the user agreed to."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ModelLoadError(
            f"{source.name} requires code from {name[:_LONGEST_NAME]!r}, which isn't a valid Hub repository.",
            "Choose another model or revision.",
        ) from error
    folder = fetch(name, "")
    found = read_code(folder)
    code = CodeFiles({file: found.files[file] for file in found.python})
    subject = trust.subject(name, code.digest, folder.name)
    if subject not in request.trusted:
        raise _unasked(f"{source.name} requires code from another repository", subject, code.python)
    return code


def _unasked(what: str, subject: str, names: Sequence[str]) -> ModelLoadError:
    listed = ", ".join(name[:_LONGEST_NAME] for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ModelLoadError(
        f"{what} ({trust.short(subject)}), which isn't run without your permission. Its files: {listed or 'none'}{more}.",
        "If you trust its authors, allow it in the app.",
        cause=FailureCause.CODE,
        subject=subject,
    )


def _check_files_are_there(
    needs: Needs, source: ModelSource, files: dict[str, bytes], places: dict[str, str]
) -> None:
    for reference in needs.references():
        place = places.get(_repository(reference, source), "")
        if (f"{place}/{reference.file}" if place else reference.file) not in files:
            raise ModelLoadError(
                f"{source.name} requires the code in {reference.file[:_LONGEST_NAME]}, which is missing.",
                "Download or copy the model again.",
            )


def _placed(reference: Reference, source: ModelSource, places: dict[str, str]) -> str:
    """Return what a class is called from the private folder."""
    place = places.get(_repository(reference, source), "")
    return (
        f"{place}/{reference.module}.{reference.name}"
        if place
        else f"{reference.module}.{reference.name}"
    )
