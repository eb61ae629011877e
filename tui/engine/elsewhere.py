"""Recognizes folders and files that aren't models: archives, other programs' model stores, weights without a config.

It finds the sentence and the next step, so that nobody is told that there is nothing. Which formats other programs have is `foreign`'s
business, and what lies in the place of one file is that of `stand_ins`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tui.engine import model_files, stand_ins
from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import SINGLE
from tui.files import open_regular
from tui.pattern import pattern

_WEIGHTS: Final = (*SINGLE, ".gguf", ".pt", ".pth")
_MOST_LOOKED_AT: Final = 50
_START_BYTES: Final = 1024
_LONGEST_SHOWN: Final = 100
_MODELFILE_BYTES: Final = 100_000
_FROM: Final = pattern(r"^\s*FROM\s+(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_COPY: Final = pattern(r"config[ _.\w()-]*\.json[\w. ()]*", re.IGNORECASE)
_NO_CONFIGS: Final = pattern(r"(tokenizer|generation|preprocessor|adapter|processor)_config")


def gguf_among(files: Sequence[Path]) -> list[Path]:
    """Return the GGUF files under other names, by how they begin; of very many files only some are looked at."""
    found = [path for path in files if path.suffix.lower() != ".gguf"]
    return [path for path in found[:_MOST_LOOKED_AT] if _start(path).startswith(b"GGUF")]


def folder_error(folder: Path, files: Sequence[Path], below: Sequence[str]) -> ModelLoadError:
    """Return the error for a folder that is no model, and of no known format of another program.

    Args:
        folder: was named.
        files: in it.
        below: the models in the folders below it, as they can be named.
    """
    if below:
        return ModelLoadError(
            f"The folder {folder} isn't a model; it contains {len(below)} models in subfolders.",
            f"Use one of them, for example {below[0]}",
        )
    for path in files[:_MOST_LOOKED_AT]:
        if path.suffix.lower() in _WEIGHTS and (found := stand_ins.find(path)) is not None:
            return stand_ins.error_of(path, found)
    if (link := _dead_link(folder)) is not None:
        return ModelLoadError(
            f"{link.name} is a link to a file that doesn't exist ({folder}).",
            "Download or copy the model again.",
        )
    for path in files[:_MOST_LOOKED_AT]:
        if (kind := stand_ins.archive_of(_start(path))) and not stand_ins.kind_of(_start(path)):
            return ModelLoadError(
                f"The folder {folder} doesn't contain a model, only {path.name}, which is {kind}.",
                "Unpack it and use the folder that contains config.json and the weights.",
            )
    for store in (folder, folder / "models"):
        if (store / "blobs").is_dir() and (store / "manifests").is_dir():
            return ModelLoadError(
                f"The folder {folder} is Ollama's model store.",
                "Use the path of a model's weights file. `ollama show --modelfile MODEL` shows it after FROM.",
            )
    if modelfile := next((path for path in files if path.name.lower() == "modelfile"), None):
        return _modelfile_error(modelfile)
    return _without_config(folder, files)


def file_error(path: Path) -> ModelLoadError:
    """Return the error for a file that was named as a model and is none."""
    start = _start(path)
    kind = stand_ins.kind_of(start)
    if not kind and (archive := stand_ins.archive_of(start)):
        return ModelLoadError(
            f"{path} isn't a model but {archive}.",
            "Unpack it and use the folder that contains config.json and the weights.",
        )
    if path.name.lower().startswith("modelfile") or path.suffix.lower() == ".modelfile":
        return _modelfile_error(path)
    if kind:
        return ModelLoadError(
            f"{path} contains only a model's weights, not the whole model.",
            f"Use its folder, which must also contain a config.json: {path.parent}",
        )
    return ModelLoadError(f"{path} isn't a model.", "Use the model's folder or a .gguf file.")


def _without_config(folder: Path, files: Sequence[Path]) -> ModelLoadError:
    copy = next(
        (
            path.name
            for path in files
            if _COPY.fullmatch(path.name) and not _NO_CONFIGS.match(path.name)
        ),
        "",
    )
    if copy:
        return ModelLoadError(
            f"The folder {folder} has no config.json, only {copy[:_LONGEST_SHOWN]}.",
            "If that is the model's config, rename it to config.json.",
        )
    weights = next((path.name for path in files if path.suffix.lower() in SINGLE), "")
    if weights:
        return ModelLoadError(
            f"The folder {folder} contains weights ({weights[:_LONGEST_SHOWN]}) but no config.json.",
            "Download or copy the same model's config.json and tokenizer files into it.",
        )
    return ModelLoadError(
        f"The folder {folder} has no config.json, so it isn't a model.",
        "Use the folder that contains config.json and the weights.",
    )


def _modelfile_error(path: Path) -> ModelLoadError:
    try:
        text = model_files.read_start(path, _MODELFILE_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    found = _FROM.search(text)
    named = f", which is {found[1][:_LONGEST_SHOWN]}" if found else ""
    return ModelLoadError(
        f"{path} is an Ollama Modelfile: it describes a model but doesn't contain one.",
        f"Use the file that it names after FROM{named}. `ollama show --modelfile MODEL` shows where Ollama keeps it.",
    )


def _dead_link(folder: Path) -> Path | None:
    try:
        found = sorted(folder.iterdir())[:_MOST_LOOKED_AT]
    except OSError:
        return None
    return next((path for path in found if path.is_symlink() and not path.exists()), None)


def _start(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(_START_BYTES)
    except OSError:
        return b""
