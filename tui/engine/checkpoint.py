"""Finds the weights files of a model folder, and checks that they are complete.

Decided here alone, and by what the files hold: a list of what a model is said to consist of (an index) may be missing or stale, and a
name may be anything. Only headers and sizes are read, so that a broken model is found out while the former one is still there. Where
transformers would not find the weights by itself, `local.assembly` leads it to them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.engine import limits, model_files, stand_ins
from tui.engine.base import ModelLoadError
from tui.engine.foreign import foreign_format
from tui.engine.limits import Shape
from tui.engine.safetensors_header import read_header
from tui.pattern import pattern

SINGLE: Final[Mapping[str, str]] = {
    ".safetensors": "model.safetensors", ".bin": "pytorch_model.bin",
}  # fmt: skip
"""The names under which transformers looks for weights in one file, by their endings; the first comes first."""
INDEX: Final[Mapping[str, str]] = {
    ".safetensors": "model.safetensors.index.json", ".bin": "pytorch_model.bin.index.json",
}  # fmt: skip
_AGAIN: Final = "Download or copy it again."
_MOST_FILES: Final = 10_000
_MOST_DEPTH: Final = 3
_SHARD: Final = pattern(r"(.*?)[-_.]?(?<!\d)(\d{1,24}+)-of-(\d{1,24}+)(\..+)")
_VARIANT: Final = pattern(r"(?:model|pytorch_model)\.([\w-]{1,40})\.(?:safetensors|bin)")
_NOT_WEIGHTS: Final = pattern(
    r"adapter|lora|optim|scheduler|training_args|rng_state|scaler|trainer_state|scalar|rank_?\d|imatrix|vae|vision_tower"
    r"|openvino|params_shard|ggml|onnx|mmproj|projector|embeddings?\.|head\.|medusa|eagle|draft|early_exit|consolidated",
    re.IGNORECASE,
)
"""Files that lie beside a model's weights and are none of them, by their names."""


@dataclass(frozen=True, slots=True)
class Weights:
    """The weights files of a folder.

    Attributes:
        files: their names; all of one format.
        is_usual: whether transformers finds just these by their names.
        tensors: which tensors they hold, with dtype and shape; empty where only unpacking them would tell.
    """

    files: tuple[str, ...]
    is_usual: bool
    tensors: Mapping[str, tuple[str, Shape]]

    @property
    def suffix(self) -> str:
        """How their names end: `.safetensors` or `.bin`."""
        return Path(self.files[0]).suffix


def check_weights(folder: Path) -> None:
    """Check that the weights of a folder are all there and not cut short; see `find_weights`."""
    find_weights(folder)


def find_weights(folder: Path) -> Weights:
    """Return the weights of a folder.

    Safetensors come before torch's own format, names that transformers knows before others, what is whole before what is not.

    Raises:
        ModelLoadError: a file is missing or broken, or there are no weights that could be loaded.
    """
    try:
        names = [path.name for path in model_files.entries(folder)]
    except OSError as error:
        raise ModelLoadError(
            f"The folder {folder} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    problems: list[ModelLoadError] = []
    for files, is_usual in _candidates(folder, names, problems):
        try:
            return _checked(folder, files, is_usual)
        except ModelLoadError as error:
            problems.append(error)
    raise problems[0] if problems else _no_weights(folder, names)


def _candidates(
    folder: Path, names: Sequence[str], problems: list[ModelLoadError]
) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Yield sets of files that may be the weights, the likeliest first, and whether transformers would take just these.

    Args:
        folder: holds them.
        names: of its files.
        problems: takes what is wrong with an index.
    """
    first = True
    for suffix, single in SINGLE.items():
        if single in names:
            yield (single,), first
            first = False
        whole = _whole_sets(names, suffix)
        if INDEX[suffix] in names:
            try:
                listed, is_valid = _listed(folder / INDEX[suffix])
            except ModelLoadError as error:
                problems.append(error)
            else:
                complete = next((files for files in whole if set(listed) < set(files)), None)
                if complete is not None:
                    yield complete, False
                else:
                    yield listed, first and is_valid
            first = False
        for files in whole:
            yield files, False
    if problems:
        # Report what is wrong with the usual files rather than use other files instead.
        return
    for suffix in SINGLE:
        yield from ((files, False) for files in _others(names, suffix))


def _whole_sets(names: Sequence[str], suffix: str) -> list[tuple[str, ...]]:
    """Return the sets of numbered files, for example `model-00001-of-00002.safetensors`, of which none is missing."""
    found: dict[tuple[str, int], dict[int, str]] = {}
    for name in names:
        shard = _SHARD.fullmatch(name)
        if shard and shard[4] == suffix and not _NOT_WEIGHTS.search(shard[1]):
            found.setdefault((shard[1], int(shard[3])), {})[int(shard[2])] = name
    sets = []
    usual = Path(SINGLE[suffix]).stem
    for (_, count), shards in sorted(found.items(), key=lambda one: (one[0][0] != usual, one[0])):
        # Some count from 0.
        starts = (start for start in (1, 0) if shards.keys() == set(range(start, start + count)))
        if count <= _MOST_FILES and next(starts, None) is not None:
            sets.append(tuple(shards[number] for number in sorted(shards)))
    return sets


def _others(names: Sequence[str], suffix: str) -> Iterator[tuple[str, ...]]:
    """Yield what may be weights under names that transformers doesn't look for."""
    plain = [name for name in names if Path(name).suffix == suffix and name != SINGLE[suffix]]
    variants = [name for name in plain if _VARIANT.fullmatch(name) and not _SHARD.fullmatch(name)]
    # Of several precisions, the smallest name says no more than the others; 16 bits are what a model is held in.
    for wanted in ("bf16", "fp16", "f16", ""):
        yield from ((name,) for name in variants if wanted in name)
    rest = [
        name
        for name in plain
        if name not in variants and not _SHARD.fullmatch(name) and not _NOT_WEIGHTS.search(name)
    ]
    if len(rest) == 1:
        yield (rest[0],)
    if (name := f"consolidated{suffix}") in plain:
        yield (name,)


def _checked(folder: Path, files: tuple[str, ...], is_usual: bool) -> Weights:
    """Return weights after looking at each file.

    Raises:
        ModelLoadError: one is missing, broken or something else.
    """
    tensors: dict[str, tuple[str, Shape]] = {}
    for name in files:
        path = folder / name
        if not path.is_file():
            raise _missing(path)
        stand_ins.check(path)
        if path.with_name(f"{path.name}.aria2").is_file():
            # aria2 makes a file as long as it will be, and keeps this beside it until it is done.
            raise ModelLoadError(
                f"The weights in {folder} are incomplete: the download of {name} didn't finish.",
                "Resume it (aria2c -c), or download the model again.",
            )
        if path.suffix == ".safetensors":
            tensors |= check_safetensors(path)
        else:
            _check_archive(path)
    if is_usual and len(files) > 1 and tensors:
        _check_index(folder, tensors)
    return Weights(files, is_usual, tensors)


def _missing(path: Path) -> ModelLoadError:
    found = stand_ins.find(path)
    if found is not None:
        return stand_ins.error_of(path, found)
    if (partial := stand_ins.partial_of(path)) is not None:
        hint = (
            f"Its download didn't finish ({partial.name}). Resume it, or download the file again."
        )
    else:
        hint = _AGAIN
    return ModelLoadError(
        f"The weights in {path.parent} are incomplete: {path.name} is missing.", hint
    )


def _check_index(folder: Path, tensors: Mapping[str, object]) -> None:
    """Check that files hold the tensors that the index says they do."""
    mapping = _weight_map(folder / INDEX[".safetensors"])[0]
    if lacking := mapping.keys() - tensors.keys():
        raise ModelLoadError(
            f"The weights in {folder} don't match their index: {len(lacking):,} of {len(mapping):,} tensors "
            f"are missing from its files, for example {min(lacking)[:100]}.",
            "They may belong to different versions. Download or copy all of them again.",
        )


def _listed(path: Path) -> tuple[tuple[str, ...], bool]:
    """Return the files that an index names, and whether transformers can use the index as it is."""
    mapping, is_valid = _weight_map(path)
    said = {str(name) for name in mapping.values()}
    names = {name.removeprefix("./") for name in said if _is_plain(name)}
    if len(names) != len(said):
        raise ModelLoadError(f"{path} refers to weights outside its folder.", _AGAIN)
    if len(names) > _MOST_FILES:
        raise ModelLoadError(f"{path} lists {len(names):,} weights files.", _AGAIN)
    return tuple(sorted(names)), is_valid


def _weight_map(path: Path) -> tuple[Mapping[str, Any], bool]:
    stand_ins.check(path)
    try:
        index = model_files.read_json(path, model_files.INDEX_BYTES)
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"{path} can't be used ({error}).", _AGAIN) from error
    mapping = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(mapping, dict) or not mapping:
        raise ModelLoadError(f"{path} lists no weights.", _AGAIN)
    if max(map(len, mapping)) > limits.NAME:
        raise ModelLoadError(f"{path} contains an invalid tensor name.", _AGAIN)
    return mapping, isinstance(index.get("metadata"), dict)


def _is_plain(name: str) -> bool:
    """Return whether a name is one of a file in the same folder or below it."""
    parts = name.removeprefix("./").split("/")
    return (
        len(parts) <= _MOST_DEPTH
        and not {"", ".", ".."} & set(parts)
        and not {"\\", "\0", ":"} & set(name)
    )


def check_safetensors(path: Path) -> dict[str, tuple[str, Shape]]:
    """Return the tensors of a file after checking that it is whole, and its header one that libraries can be given.

    Raises:
        ModelLoadError: it isn't.
    """
    try:
        return read_header(path)
    except OSError as error:
        raise ModelLoadError(
            f"The weights file {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    except ValueError as error:
        raise ModelLoadError(
            f"The weights file {path} is damaged or incomplete ({error}).", _AGAIN
        ) from error


def _check_archive(path: Path) -> None:
    """Check that a file of torch's, which is a ZIP archive unless it is very old, has its end."""
    try:
        start = model_files.read_start(path, 4)
        is_archive = start == b"PK\x03\x04"
        is_whole = not is_archive or zipfile.is_zipfile(path)
    except OSError as error:
        raise ModelLoadError(
            f"The weights file {path} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error
    if not is_whole:
        raise ModelLoadError(f"The weights file {path} is damaged or incomplete.", _AGAIN)
    # Anything but an archive is a pickle, or a tar from very old versions.
    if not is_archive and start[:1] not in (b"\x80", b"p", b"s", b"."):
        names = [other.name for other in model_files.entries(path.parent)]
        if (foreign := foreign_format(path.parent, names)) is not None:
            raise ModelLoadError(f"The folder {path.parent} contains {foreign.what}.", foreign.hint)
        raise ModelLoadError(
            f"{path.name} doesn't contain weights in PyTorch's format, despite its name ({path.parent}).",
            "Download the model in Hugging Face format, with model.safetensors.",
        )


def _no_weights(folder: Path, names: Sequence[str]) -> ModelLoadError:
    """Return the error for a folder in which nothing was found that could be loaded: it says what is there instead."""
    if (error := _part_of_set(folder, names)) is not None:
        return error
    for name in names:
        if stand_ins.is_partial(name) and Path(Path(name).stem).suffix in SINGLE:
            return ModelLoadError(
                f"The weights in {folder} are incomplete: the download of {name} didn't finish.",
                "Resume it, or download the model again.",
            )
    if (foreign := foreign_format(folder, names)) is not None:
        return ModelLoadError(f"The folder {folder} contains {foreign.what}.", foreign.hint)
    several = [
        name for name in names if Path(name).suffix in SINGLE and not _NOT_WEIGHTS.search(name)
    ]
    if len(several) > 1:
        return ModelLoadError(
            f"The folder {folder} contains {len(several)} weights files ({', '.join(several[:3])}…), and it isn't "
            "clear which ones belong to the model.",
            "Keep only one model in the folder, as model.safetensors.",
        )
    hint = "Use a folder that contains model.safetensors, or download the model again."
    return ModelLoadError(f"The folder {folder} has a config.json but no weights.", hint)


def _part_of_set(folder: Path, names: Sequence[str]) -> ModelLoadError | None:
    """Return the error for numbered files of which some are missing."""
    found: dict[tuple[str, int, str], int] = {}
    for name in names:
        shard = _SHARD.fullmatch(name)
        if shard and shard[4] in SINGLE and not _NOT_WEIGHTS.search(shard[1]):
            key = (shard[1], int(shard[3]), shard[4])
            found[key] = found.get(key, 0) + 1
    for (stem, count, suffix), held in sorted(found.items()):
        return ModelLoadError(
            f"The weights in {folder} are incomplete: only {held} of the {count} files {stem}-…-of-{count:05}{suffix} exist.",
            "Download the missing files.",
        )
    return None
