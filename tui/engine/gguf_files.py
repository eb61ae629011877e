"""Classifies GGUF files by their headers: a model, one part of several, or an auxiliary file.

Decided here alone, for lists, facts and loads. What is in the tensors is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.engine import limits, model_files, stand_ins
from tui.engine.base import ModelLoadError
from tui.engine.gguf_header import TOKENIZER, Header, read_first_values, read_header
from tui.pattern import pattern

_PART: Final = pattern(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.IGNORECASE)
_PIECE: Final = pattern(
    r"(.+\.gguf)[-._](split[-_]?[a-z]+|part[-_]?\d+(-?of-?\d+)?|\d{2,5}|[a-z]{2})", re.IGNORECASE
)
_MOST_PARTS: Final = 1_000
_HINT: Final = "Use a .gguf file that contains a complete text model."


class Role(StrEnum):
    """What a GGUF file holds."""

    MODEL = "a model"
    PROJECTOR = "only a projector, which lets another model process images or audio"
    ADAPTER = "an adapter (LoRA), not a whole model"
    CONTROL = "only a control vector, which steers another model"
    IMATRIX = "an importance matrix, which is only used for quantizing"
    VOCABULARY = "a vocabulary without a model"
    OTHER = "a model that doesn't generate text"


_HINTS: Final[Mapping[Role, str]] = {
    Role.PROJECTOR: "Use the .gguf file of the model that it belongs to.",
    Role.ADAPTER: "Merge it into its base model (llama-export-lora), or use the adapter in its original format with the base model.",
    Role.CONTROL: "Use the .gguf file of the model that it belongs to.",
}
_KINDS: Final[Mapping[str, Role]] = {
    "mmproj": Role.PROJECTOR, "projector": Role.PROJECTOR, "clip-vision": Role.PROJECTOR, "adapter": Role.ADAPTER,
    "imatrix": Role.IMATRIX, "vocab": Role.VOCABULARY, "controlvector": Role.CONTROL, "control_vector": Role.CONTROL,
}  # fmt: skip
"""What a header calls its type."""
_ARCHITECTURES: Final[Mapping[str, Role]] = {
    "clip": Role.PROJECTOR, "mmproj": Role.PROJECTOR, "controlvector": Role.CONTROL, "imatrix": Role.IMATRIX,
    **dict.fromkeys(
        (
            "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "neo-bert", "eurobert",
            "t5encoder", "gemma-embedding", "wavtokenizer-dec", "whisper", "flux", "sd1", "sdxl", "sd3", "aura", "hidream", "cosmos",
            "ltxv", "hyvid", "wan", "lumina2", "qwen_image", "pig", "sam3", "vae",
        ),
        Role.OTHER,
    ),
}  # fmt: skip
"""What the architecture says, where nothing else does."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A model in one or several GGUF files.

    Attributes:
        parts: its files, in order.
        header: what they say together: the values of the first one, the tensors of all.
        headers: what each says.
    """

    parts: tuple[Path, ...]
    header: Header
    headers: tuple[Header, ...]


def role(path: Path) -> Role:
    """Return what a file is, by the start of its header; a model where that can't be read, whose opening then says why."""
    try:
        values, tensor_count = read_first_values(path)
    except (OSError, ValueError):
        return Role.MODEL
    return _role(values, tensor_count, is_part=part_of(path) is not None)


def models_among(paths: Iterable[Path]) -> list[Path]:
    """Return those of some files that can be opened as a model: of one in several parts, its first part only."""
    found: dict[Path, None] = {}
    for path in paths:
        found.setdefault(first_part(path))
    models = [path for path in found if role(path) is Role.MODEL]
    later = [path for path in models if _is_later_part(path)]
    # Parts under other names than usual: the first one stands for all, as long as something that may be it is there.
    firsts = {path.parent for path in models if path not in later}
    return [path for path in models if path not in later or path.parent not in firsts]


def _is_later_part(path: Path) -> bool:
    """Return whether a file whose name doesn't say so is a part of a model other than the first, by its header."""
    try:
        values, _ = read_first_values(path)
    except (OSError, ValueError):
        return False
    return part_of(path) is None and _count(values) > 1 and values.get("split.no", 0) != 0


def part_of(path: Path) -> tuple[str, int, int] | None:
    """Return the name of a model in several files, the number of one by its name, and how many there are; None where there is one."""
    found = _PART.fullmatch(path.name)
    return (found[1], int(found[2]), int(found[3])) if found and int(found[3]) > 1 else None


def first_part(path: Path) -> Path:
    """Return the first part of the model that a file belongs to if that is there, else the file itself."""
    known = part_of(path)
    if known is None:
        return path
    first = _sibling(path, known[0], 1, known[2])
    return first if first.is_file() else path


def title(path: Path) -> str:
    """Return a model's name for people, without its file's ending and the number of its part."""
    known = part_of(path)
    return known[0] if known else path.name[: -len(path.suffix)] if path.suffix else path.name


def size_bytes(path: Path) -> int:
    """Return what the file of a model takes on the disk, with its other parts."""
    known = part_of(path)
    if known is None:
        return model_files.total_bytes([path])
    count = min(known[2], _MOST_PARTS)
    return model_files.total_bytes(
        _sibling(path, known[0], number, known[2]) for number in range(1, count + 1)
    )


def piece_error(path: Path) -> ModelLoadError | None:
    """Return the error for a file that is one piece of a GGUF file that was cut up; None for any other."""
    found = _PIECE.fullmatch(path.name)
    if found is None:
        return None
    return ModelLoadError(
        f"{path.name} is one piece of {found[1]}, which was split into several files ({path.parent}).",
        f"Join all the pieces in order, for example with: cat {found[1]}[-.]* > {found[1]}",
    )


def read_whole(path: Path) -> Whole:
    """Return what a file, with the other parts of its model, says of itself, after checking that all of it is there.

    Raises:
        ModelLoadError: it can't be read, a part of it is missing, or it holds something else than a model.
    """
    if not _is_gguf(path):
        stand_ins.check(path)
    header = read_header(path)
    count = _count(header.values)
    found = _role(
        header.values, len(header.tensors), is_part=count > 1 or part_of(path) is not None
    )
    if found is not Role.MODEL:
        raise ModelLoadError(
            f"{path.name} contains {found.value} ({path.parent}).", _HINTS.get(found, _HINT)
        )
    known = part_of(path)
    if count <= 1 and known is None:
        if not header.tensors:
            raise ModelLoadError(f"{path.name} contains no weights ({path.parent}).", _HINT)
        return Whole((path,), header, (header,))
    paths = _by_name(path, known) if known else _by_header(path, header, count)
    headers = tuple(read_header(one) for one in paths)
    return Whole(tuple(paths), _together(paths, headers), headers)


def _is_gguf(path: Path) -> bool:
    """Return whether a file begins as GGUF does, whatever its name; Ollama's have none that says so."""
    try:
        return model_files.read_start(path, 4) == b"GGUF"
    except OSError:
        return False


def _role(values: Mapping[str, Any], tensor_count: int, *, is_part: bool) -> Role:
    kind, architecture = _text(values, "general.type"), _text(values, "general.architecture")
    if kind in _KINDS:
        return _KINDS[kind]
    if architecture in _ARCHITECTURES:
        return _ARCHITECTURES[architecture]
    for start, found in (
        ("clip.", Role.PROJECTOR),
        ("adapter.", Role.ADAPTER),
        ("imatrix.", Role.IMATRIX),
    ):
        if any(key.startswith(start) for key in values):
            return found
    has_tokenizer = any(key.startswith(TOKENIZER) for key in values)
    if not tensor_count and not is_part and has_tokenizer:
        return Role.VOCABULARY
    return Role.MODEL


def _text(values: Mapping[str, Any], key: str) -> str:
    found = values.get(key)
    return found.lower() if isinstance(found, str) else ""


def _count(values: Mapping[str, Any]) -> int:
    return limits.count(values, limits.TENSORS, "split.count")


def _sibling(path: Path, stem: str, number: int, count: int) -> Path:
    return path.with_name(f"{stem}-{number:05}-of-{count:05}{path.suffix}")


def _by_name(path: Path, known: tuple[str, int, int]) -> list[Path]:
    """Return the parts of a model as their names say it."""
    stem, _, count = known
    if count > _MOST_PARTS:
        raise _incomplete(path, 1, count)
    paths = [_sibling(path, stem, number, count) for number in range(1, count + 1)]
    for one in paths:
        if not one.is_file():
            if (found := stand_ins.find(one)) is not None:
                raise stand_ins.error_of(one, found)
            raise _incomplete(path, sum(other.is_file() for other in paths), count)
        stand_ins.check(one)
    return paths


def _by_header(path: Path, header: Header, count: int) -> list[Path]:
    """Return the parts of a model whose files have other names than usual: those in the folder whose headers fit."""
    found: dict[int, Path] = {}
    for other in model_files.entries(path.parent, "*.gguf")[:_MOST_PARTS]:
        try:
            values = header.values if other == path else read_header(other).values
        except ModelLoadError:
            continue
        number = values.get("split.no", -1)
        is_same = _count(values) == count and values.get(
            "split.tensors.count"
        ) == header.values.get("split.tensors.count")
        if is_same and limits.is_count(number, count - 1):
            if number in found:
                raise ModelLoadError(
                    f"{path.name} is one of {count} parts, and more than one file in its folder may be part {number + 1} ({path.parent}).",
                    "Put the parts of one model into a separate folder.",
                )
            found[number] = other
    if len(found) < count:
        raise _incomplete(path, len(found), count)
    return [found[number] for number in range(count)]


def _incomplete(path: Path, there: int, count: int) -> ModelLoadError:
    return ModelLoadError(
        f"{path.name} is one of {count} parts of a model, and only {there} of them {'is' if there == 1 else 'are'} present ({path.parent}).",
        "Download the other parts into the same folder.",
    )


def _together(paths: Sequence[Path], headers: Sequence[Header]) -> Header:
    """Return the header of all parts.

    Raises:
        ModelLoadError: they are not parts of one model.
    """
    first = headers[0]
    tensors: dict[str, limits.Shape] = {}
    kinds: dict[str, int] = {}
    for header in headers:
        tensors |= header.tensors
        for kind, elements in header.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + elements
    total = sum(len(header.tensors) for header in headers)
    said = limits.count(first.values, limits.TENSORS, "split.tensors.count")
    are_counted = all(_count(header.values) in (0, len(headers)) for header in headers)
    if len(tensors) != total or (said and said != total) or not are_counted or not total:
        raise ModelLoadError(
            f"The {len(paths)} parts of {paths[0].name} don't belong together ({paths[0].parent}).",
            "They may belong to different versions. Download all of them again.",
        )
    return replace(first, tensors=tensors, kinds=kinds, parameters=sum(kinds.values()))
