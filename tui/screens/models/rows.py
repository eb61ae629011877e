"""How the model picker and `chat-tui models` describe a model: figures, one row, one verdict. No widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Final

from textual.content import Content

from tui.dataclass import dataclass
from tui.engine.catalog import ModelKind, ModelSource
from tui.engine.facts import ModelFacts
from tui.engine.fit import AUTO, Grade, Need, grade, need
from tui.engine.hub.downloads import Download, DownloadStatus
from tui.engine.hub.hub import HubModel
from tui.engine.quantization import QUANTIZATIONS, availability
from tui.sanitize import sanitize_line
from tui.widgets.figures import bytes_text, context_text, count_text, seconds_text

if TYPE_CHECKING:
    from tui.engine.remote.dialect import Served

SIGNS: Final[Mapping[Grade, tuple[str, str]]] = {
    Grade.FITS: ("✓", "$text-success"),
    Grade.TIGHT: ("~", "$text-warning"),
    Grade.TOO_BIG: ("✗", "$text-error"),
    Grade.UNKNOWN: ("?", "$text-muted"),
}
_NAME_LIMIT: Final = 80
_OWNER_LIMIT: Final = 40
_DTYPES: Final[Mapping[str, str]] = {"F16": "float16", "F32": "float32", "BF16": "bfloat16"}
"""The Hub's names of dtypes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a model fits with one quantization, and what was measured on this machine.

    Attributes:
        quantization: the name of the quantization.
        needed: the memory needed; None if the files don't tell.
        unavailable: why the quantization can't be used here; empty if it can.
        command: what to run to make it available.
        measured_bytes, tokens_per_s: the latest measurements; 0 if it never ran here.
        label: in place of the quantization's; empty for that.
    """

    quantization: str
    needed: Need | None
    grade: Grade
    unavailable: str = ""
    command: str = ""
    measured_bytes: int = 0
    tokens_per_s: float = 0.0
    label: str = ""


@dataclass(frozen=True, slots=True)
class FreeMemory:
    """The memory that is free for a model.

    Attributes:
        device: a torch device, for example `cuda:0`; empty if unknown.
        name: the device's name for people.
        free_bytes: the free memory, counting the current model's memory as free, because that model is unloaded first.
        context_tokens: the context length to plan for; 0 for the default.
        half_dtype: the device's 16-bit type; empty if it has none, and models keep the dtype of their files.
    """

    device: str = ""
    name: str = ""
    free_bytes: int = 0
    context_tokens: int = 0
    measured: Mapping[str, Mapping[str, tuple[int, float]]] = field(default_factory=dict)
    """By model and quantization: bytes after loading, and tokens per second of recent replies."""
    half_dtype: str = "bfloat16"


def verdicts(model: str, facts: ModelFacts, memory: FreeMemory) -> tuple[Verdict, ...]:
    """Return a verdict for each quantization; only one if the checkpoint is already quantized."""
    names: Sequence[str] = ("none",) if facts.method else tuple(QUANTIZATIONS)
    return tuple(verdict(model, facts, name, memory) for name in names)


def verdict(
    model: str, facts: ModelFacts, quantization: str, memory: FreeMemory, dtype: str = AUTO
) -> Verdict:
    """Return whether a model fits with one quantization, with its other weights in `dtype`."""
    needed = need(
        facts,
        quantization,
        dtype=dtype,
        half_dtype=memory.half_dtype,
        context_tokens=memory.context_tokens,
        device=memory.device,
        free_bytes=memory.free_bytes,
    )
    found = availability(quantization, memory.device)
    weight, speed = memory.measured.get(model, {}).get(quantization, (0, 0.0))
    return Verdict(
        quantization,
        needed,
        grade(needed, memory.free_bytes),
        found.reason,
        found.command,
        weight,
        speed,
        f"{facts.method} in {facts.engine}" if facts.engine else "",
    )


def local_row(
    source: ModelSource,
    facts: ModelFacts | None,
    fits: Verdict | None,
    *,
    is_current: bool = False,
    is_favorite: bool = False,
    is_complete: bool = True,
    problem: str = "",
) -> Content:
    """Return two lines about a model on this machine: name and verdict; figures."""
    size = bytes_text(source.size_bytes) if source.size_bytes else ""
    parts = facts_parts(facts, size) if facts is not None else [source.kind.value, size, "…"]
    if not is_complete:
        parts.append("incomplete: press Enter to download the rest")
    if problem:
        parts.append(problem)
    return _row(
        source.full_name,
        parts,
        fits,
        is_current,
        is_favorite,
        has_owner=source.kind is ModelKind.HUB,
    )


def hub_row(
    model: HubModel,
    fits: Verdict | None,
    *,
    is_here: bool = False,
    is_favorite: bool = False,
    download: Download | None = None,
) -> Content:
    """Return two lines about a model on the Hub."""
    parts = [
        count_text(model.parameters),
        model.method or model.dtype,
        f"{count_text(model.downloads)} downloads" if model.downloads else "",
        model.licence,
        "gated" if model.is_gated else "",
        "chat template" if model.has_template else "",
        model.updated,
    ]
    if download is not None:
        parts.insert(0, download_text(download))
    elif is_here:
        parts.insert(0, "on this machine")
    return _row(model.id, parts, fits, False, is_favorite, has_owner=True)


def server_row(model: Served, *, is_current: bool = False, is_favorite: bool = False) -> Content:
    """Return two lines about a model on a server."""
    parts = served_parts(model)
    return _row(model.id, parts, None, is_current, is_favorite, has_owner="/" in model.id)


def served_parts(model: Served) -> list[str]:
    """Return what a server reports about a model. Leave out the empty strings."""
    return [
        count_text(model.parameters),
        model.quantization,
        f"{context_text(model.context_tokens)} context" if model.context_tokens else "",
        "reasoning" if model.thinks else "",
        "images" if model.images else "",
        "tools" if model.tools else "",
        "in memory" if model.is_loaded else "",
    ]


def hub_facts(model: HubModel) -> ModelFacts:
    """Return the facts in a Hub listing: enough for a first verdict without quantization."""
    return ModelFacts(
        architecture=model.architecture,
        parameters=model.parameters,
        other_weights=model.parameters,
        dtype=_DTYPES.get(model.dtype, model.dtype),
        has_template=model.has_template,
    )


def facts_parts(facts: ModelFacts, size: str = "") -> list[str]:
    """Return figures about a model, the most important first. Leave out the empty strings."""
    template = {True: "chat template", False: "no chat template", None: ""}[facts.has_template]
    return [
        count_text(facts.parameters),
        _weights_text(facts),
        f"{size} on disk" if size else "",
        f"{context_text(facts.context_tokens)} context" if facts.context_tokens else "",
        template,
        "mixture of experts" if facts.is_mixture else "",
        facts.architecture,
    ]


def _weights_text(facts: ModelFacts) -> str:
    if facts.engine:
        return f"{facts.method} in {facts.engine}"
    return f"already {facts.method}" if facts.method else facts.dtype


def locked_text(facts: ModelFacts) -> str:
    """Return why no quantization can be chosen for a model that has its own."""
    method = sanitize_line(facts.method)
    if facts.engine:
        return f"{facts.engine} runs the file as it is ({method}). For other quantizations, run it in transformers."
    return (
        f"The checkpoint is already quantized ({method}), so you can't choose another quantization."
    )


def verdict_line(one: Verdict, free_bytes: int = 0) -> Content:
    """Return one line of the table of quantizations, with the free memory if that is given."""
    sign, style = SIGNS[one.grade]
    label = f"{sanitize_line(one.label) or QUANTIZATIONS[one.quantization].label:<27}"
    if one.unavailable:
        remedy = f": {one.command}" if one.command else ""
        why = sanitize_line(f"{one.unavailable}{remedy}")
        return Content.styled(f"– {label}{why}", "$text-muted")
    return Content.assemble(
        (f"{sign} ", style),
        label,
        (f"{one.grade.value:<8}", style),
        total_text(one),
        (need_text(one, free_bytes), "$text-muted"),
    )


def total_text(one: Verdict) -> str:
    """Return what matters most, for example `371 MB · 24 tok/s here`: the memory that is needed, and the measured speed."""
    total = bytes_text(one.needed.total_bytes) if one.needed is not None else ""
    speed = f"{one.tokens_per_s:.0f} tok/s here" if one.tokens_per_s else ""
    return " · ".join(filter(None, (total, speed)))


def need_text(one: Verdict, free_bytes: int = 0) -> str:
    """Return what the memory is needed for, after `total_text`, with the free memory if that is given."""
    if one.needed is None:
        return (
            " · memory unknown until it is loaded"
            if one.tokens_per_s
            else "unknown until it is loaded"
        )
    needed = one.needed
    free = f" · {bytes_text(free_bytes)} free" if free_bytes else ""
    return (
        f"{free} · weights {bytes_text(needed.weights_bytes)}, "
        f"cache {bytes_text(needed.cache_bytes)} at {context_text(needed.context_tokens)}, "
        f"other {bytes_text(needed.other_bytes)}"
    )


def download_text(download: Download) -> str:
    """Return the progress of a download, for example `↓ 45% of 1.2 GB · 12 MB/s · 1:20 min left`."""
    match download.status:
        case DownloadStatus.DONE:
            return "downloaded"
        case DownloadStatus.CANCELLED:
            return "download stopped: press Enter to resume"
        case DownloadStatus.FAILED:
            return "download failed"
    if download.waiting:
        return f"↓ {sanitize_line(download.waiting)}"
    if not download.total_bytes:
        return "↓ contacting the Hub"
    parts = [
        f"↓ {download.done_bytes / download.total_bytes:.0%} of {bytes_text(download.total_bytes)}"
    ]
    if download.bytes_per_s:
        parts.append(f"{bytes_text(round(download.bytes_per_s))}/s")
    if download.left_s:
        parts.append(f"{seconds_text(download.left_s)} left")
    return " · ".join(parts)


def downloads_text(downloads: Sequence[Download]) -> str:
    """Return the total progress of the running downloads in few cells, for example `↓ 45%`; empty if there are none."""
    if not downloads:
        return ""
    total = sum(one.total_bytes for one in downloads)
    return f"↓ {sum(one.done_bytes for one in downloads) / total:.0%}" if total else "↓ …"


def kind_text(source: ModelSource) -> str:
    """Return the kind of source that a local model comes from, in words."""
    return {
        ModelKind.DEMO: "demo",
        ModelKind.FOLDER: "folder",
        ModelKind.GGUF: "GGUF file",
        ModelKind.HUB: "Hugging Face cache",
        ModelKind.SERVER: "server",
    }[source.kind]


def _row(
    name: str,
    parts: Sequence[str],
    fits: Verdict | None,
    is_current: bool,
    is_favorite: bool,
    *,
    has_owner: bool = False,
) -> Content:
    owner, slash, short = name.rpartition("/") if has_owner else ("", "", name)
    verdict_part: tuple[str, str] = ("", "")
    if fits is not None and fits.grade is not Grade.UNKNOWN:
        sign, style = SIGNS[fits.grade]
        needed = f" {bytes_text(fits.needed.total_bytes)}" if fits.needed else ""
        verdict_part = (f"  {sign} {fits.grade.value}{needed}", style)
    facts = " · ".join(sanitize_line(part) for part in parts if part)
    return Content.assemble(
        ("●" if is_current else " ", "$text-success"),
        ("★" if is_favorite else " ", "$text-warning"),
        " ",
        (sanitize_line(owner, _OWNER_LIMIT) + slash, "$text-muted"),
        (sanitize_line(short, _NAME_LIMIT), "bold"),
        verdict_part,
        ("\n   " + facts, "$text-muted"),
    )
