"""Code that a model brings along: whether it has any, what it is called, and whether the user has agreed to run it.

Agreement is given for one revision of one repository: the commit of a Hub model, or a digest of the files in a folder, so that
code that was changed since is asked for again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tui.engine.base import FailureCause, LoadRequest, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.facts import read_config


def agreed(source: ModelSource, folder: Path, request: LoadRequest) -> bool:
    """Return whether a model's own code may run; False for a model that needs none.

    Raises:
        ModelLoadError: it needs code, and the user has not agreed to this revision of it.
    """
    config = read_config(folder)
    if not _needs_code(config):
        return request.trust_remote_code
    subject = name(source, folder)
    if request.trust_remote_code or subject in request.trusted:
        return True
    others = sorted(set(_repositories(config)) - {source.location})
    elsewhere = f" It would also fetch code from {', '.join(others)}." if others else ""
    raise ModelLoadError(
        f"{source.name} needs code from its own repository ({subject}), which is not run unasked.{elsewhere}",
        "If you trust its authors, allow it in the app or with --trust-remote-code.",
        cause=FailureCause.CODE,
        subject=subject,
    )


def name(source: ModelSource, folder: Path) -> str:
    """Return what stands for a model's code at its present revision, as in `org/model@4f2a9c`."""
    if source.kind is ModelKind.HUB:
        return f"{source.location}@{folder.name}"
    digest = hashlib.sha256()
    for path in sorted(folder.glob("**/*.py")):
        digest.update(str(path.relative_to(folder)).encode())
        digest.update(path.read_bytes())
    return f"{folder}@{digest.hexdigest()[:16]}"


def _needs_code(config: Mapping[str, Any]) -> bool:
    """Whether a model can't be loaded by what is installed: it names code, and its kind is not known here."""
    if not isinstance(config.get("auto_map"), Mapping):
        return False
    from transformers import CONFIG_MAPPING

    return config.get("model_type") not in CONFIG_MAPPING


def _repositories(config: Mapping[str, Any]) -> Iterable[str]:
    """Yield the repositories that the code is said to be in, where another one is named."""
    for value in config.get("auto_map", {}).values():
        for reference in value if isinstance(value, list) else [value]:
            repository, mark, _ = str(reference).partition("--")
            if mark:
                yield repository
