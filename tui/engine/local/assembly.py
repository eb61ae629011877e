"""Helps transformers find weights with unusual names or an outdated index.

It looks for four names. Where the weights of a folder have others, it is given a private folder of links to them under the names that it
knows, with a list made of what the files hold. Which files these are is `checkpoint`'s business.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tui.engine.base import ModelLoadError
from tui.engine.checkpoint import INDEX, SINGLE, Weights

_LEFT_OUT: Final = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf")


@contextlib.contextmanager
def found_by_name(folder: Path, weights: Weights) -> Iterator[Path]:
    """Give a folder in which transformers finds the weights: the same one where it does already, else one that is gone afterwards.

    Raises:
        ModelLoadError: it can't be made.
    """
    if weights.is_usual:
        yield folder
        return
    with contextlib.ExitStack() as stack:
        try:
            made = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chat-tui-")))
            _fill(made, folder, weights)
        except OSError as error:
            raise ModelLoadError(
                f"The temporary folder can't be used ({error.strerror or error}).",
                "Free some space there, or set the environment variable TMPDIR to another folder.",
            ) from error
        yield made


def _target(path: Path) -> str:
    """Return where a file is, whatever the links to it are: one that leads to itself stays what it is."""
    return os.path.realpath(path)


def _fill(made: Path, folder: Path, weights: Weights) -> None:
    for path in sorted(folder.iterdir()):
        is_weight = path.suffix in _LEFT_OUT or path.name in INDEX.values()
        if not is_weight and not path.name.startswith("."):
            (made / path.name).symlink_to(_target(path))
    suffix = weights.suffix
    if len(weights.files) == 1:
        (made / SINGLE[suffix]).symlink_to(_target(folder / weights.files[0]))
        return
    stem = Path(SINGLE[suffix]).stem
    names = {}
    for number, name in enumerate(weights.files, start=1):
        names[name] = f"{stem}-{number:05}-of-{len(weights.files):05}{suffix}"
        (made / names[name]).symlink_to(_target(folder / name))
    # transformers goes by what it finds in the files: which tensor is in which of them is no matter.
    first = next(iter(names.values()))
    placed = dict.fromkeys(weights.tensors, first) | {f"in {name}": name for name in names.values()}
    index = {"metadata": {}, "weight_map": placed}
    (made / INDEX[suffix]).write_text(json.dumps(index), "utf-8")
