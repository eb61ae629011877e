"""What a folder or file holds that is no model by itself: an archive, the store of another program, weights without a config.

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

_WEIGHTS: Final = (*SINGLE, ".gguf", ".pt", ".pth")
_MOST_LOOKED_AT: Final = 50
_START_BYTES: Final = 1024
_LONGEST_SHOWN: Final = 100
_MODELFILE_BYTES: Final = 100_000
_FROM: Final = re.compile(r"^\s*FROM\s+(\S.*?)\s*$", re.IGNORECASE | re.MULTILINE)
_COPY: Final = re.compile(r"config[ _.\w()-]*\.json[\w. ()]*", re.IGNORECASE)
_NO_CONFIGS: Final = re.compile(r"(tokenizer|generation|preprocessor|adapter|processor)_config")


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
            f"The folder {folder} is no model itself: {len(below)} models are in the folders below it.",
            f"Name one of them, as in {below[0]}",
        )
    for path in files[:_MOST_LOOKED_AT]:
        if path.suffix.lower() in _WEIGHTS and (found := stand_ins.find(path)) is not None:
            return stand_ins.error_of(path, found)
    if (link := _dead_link(folder)) is not None:
        return ModelLoadError(
            f"{link.name} is a link to a file that isn't there ({folder}).",
            "Download or copy the model again.",
        )
    for path in files[:_MOST_LOOKED_AT]:
        if (kind := stand_ins.archive_of(_start(path))) and not stand_ins.kind_of(_start(path)):
            return ModelLoadError(
                f"The folder {folder} holds no model, but {path.name}, which is {kind}.",
                "Unpack it, and name the folder with config.json and the weights.",
            )
    for store in (folder, folder / "models"):
        if (store / "blobs").is_dir() and (store / "manifests").is_dir():
            return ModelLoadError(
                f"The folder {folder} is the store of Ollama's models.",
                "Name the file of a model's weights: `ollama show --modelfile MODEL` says it behind FROM.",
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
            f"{path} is no model, but {archive}.",
            "Unpack it, and name the folder with config.json and the weights.",
        )
    if path.name.lower().startswith("modelfile") or path.suffix.lower() == ".modelfile":
        return _modelfile_error(path)
    if kind:
        return ModelLoadError(
            f"{path} holds a model's weights and not the whole model.",
            f"Name its folder, which must hold a config.json, too: {path.parent}",
        )
    return ModelLoadError(f"{path} is not a model.", "Name its folder, or a .gguf file.")


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
            f"The folder {folder} has no config.json, but {copy[:_LONGEST_SHOWN]}.",
            "If that is the model's, rename it to config.json.",
        )
    weights = next((path.name for path in files if path.suffix.lower() in SINGLE), "")
    if weights:
        return ModelLoadError(
            f"The folder {folder} holds weights ({weights[:_LONGEST_SHOWN]}), but no config.json.",
            "Download or copy config.json and the tokenizer's files of the same model into it.",
        )
    return ModelLoadError(
        f"The folder {folder} has no config.json, so it holds no model.",
        "Name the folder that holds config.json and the weights.",
    )


def _modelfile_error(path: Path) -> ModelLoadError:
    try:
        text = model_files.read_start(path, _MODELFILE_BYTES).decode("utf-8", "replace")
    except OSError:
        text = ""
    found = _FROM.search(text)
    named = f", which is {found[1][:_LONGEST_SHOWN]}" if found else ""
    return ModelLoadError(
        f"{path} is a Modelfile of Ollama: it describes a model and holds none.",
        f"Name the file that it names behind FROM{named}. `ollama show --modelfile MODEL` says where Ollama keeps it.",
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
