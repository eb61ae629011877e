"""Checks, before torch unpickles a weights file, that it contains only tensors and their names.

torch runs no code of such a file, but it makes what the file asks for: an array of bytes that fills the memory, or a name so long that a
regular expression takes forever over it. The instructions are read here, and none is followed.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from tui.engine import limits, model_files
from tui.engine.base import ModelLoadError
from tui.engine.folder_files import wrong
from tui.files import open_regular

_NAMES: Final = ("pytorch_model*.bin", "adapter_model.bin")
"""The files that are unpickled by their names; what else is, whoever does it checks by itself."""
_INSTRUCTIONS: Final = "data.pkl"
"""The part of an archive that is unpickled; the others are numbers."""
_MOST_BYTES: Final = 32_000_000
_MOST_OPCODES: Final = 60 * limits.TENSORS // 4
_PICKLES: Final = 5
"""A file of the time before archives holds so many after each other, and the numbers behind them."""
_GREEDY: Final = frozenset(("bytearray", "Tensor", "UntypedStorage", "TypedStorage"))
"""What makes as much as it is told to, without anything in the file for it."""


def check_folder(folder: Path) -> None:
    """Check the pickled weights of a folder.

    Raises:
        ModelLoadError: one of the files holds something else than tensors, or can't be read.
    """
    for name in _NAMES:
        for path in model_files.entries(folder, name):
            check_file(path)


def check_file(path: Path) -> None:
    """Check one file of pickled weights, whatever its name.

    Raises:
        ModelLoadError: it holds something else than tensors, or can't be read.
    """
    try:
        _check(path)
    except OSError as error:
        raise ModelLoadError(
            f"The weights file {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    except (ValueError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise wrong(path, str(error)) from error


def _check(path: Path) -> None:
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            for _ in range(_PICKLES):
                _check_pickle(file)
            return
        with zipfile.ZipFile(file) as archive:
            for part in archive.infolist():
                if part.compress_type != zipfile.ZIP_STORED:
                    raise ValueError("it uses a compression method that PyTorch doesn't use")
                if part.filename.endswith(_INSTRUCTIONS):
                    if part.file_size > _MOST_BYTES:
                        raise ValueError("it contains far more than tensor names")
                    with archive.open(part) as inside:
                        _check_pickle(inside)


def _check_pickle(file: IO[bytes]) -> None:
    """Check the instructions up to the end of one pickle.

    Raises:
        ValueError: they make something else than tensors.
    """
    for count, (name, argument) in enumerate(_opcodes(file)):
        if count > _MOST_OPCODES:
            raise ValueError("it contains far more than tensor names")
        if isinstance(argument, str):
            if name == "GLOBAL" and argument.rpartition(" ")[2] in _GREEDY:
                raise ValueError("it creates objects other than tensors")
            if name != "GLOBAL" and argument in _GREEDY:
                raise ValueError("it creates objects other than tensors")
            if len(argument) > limits.NAME:
                raise ValueError(f"it contains a name of {len(argument):,} characters")


def _opcodes(file: IO[bytes]) -> Iterator[tuple[str, object]]:
    for opcode, argument, _ in pickletools.genops(file):
        yield opcode.name, argument
