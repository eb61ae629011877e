"""The figures of `engines`, `whole` and `quality` as Markdown tables; those of `quality` are also in docs/reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Format = Callable[[float], str]


def _speed(value: float) -> str:
    return f"{value:.1f}"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


COLUMNS: Final[Mapping[str, tuple[str, Format]]] = {
    "decode_64": ("tokens/s, short chat", _speed),
    "decode_2048": ("tokens/s at 2,000 tokens", _speed),
    "ttft_2048": ("first token of a new 2,000-token prompt, s", _seconds),
    "ttft_turn_2": ("first token, turn 2, s", _seconds),
    "ttft_turn_10": ("first token, turn 10, s", _seconds),
    "ttft_edit": ("after an edit of the last message, s", _seconds),
    "ttft_edit_middle": ("after an edit in the middle, s", _seconds),
    "stop_prefill": ("stop while reading, s", _seconds),
    "stop_decode": ("stop while writing, s", _seconds),
    "memory_mb": ("memory, MB", _whole),
}


def markdown(figures: Mapping[str, Any]) -> str:
    """Return the table, and a line about the machine and the model."""
    results: Mapping[str, Mapping[str, float]] = figures["results"]
    shown = [name for name in COLUMNS if any(name in of_one for of_one in results.values())]
    rows = ["| | " + " | ".join(COLUMNS[name][0] for name in shown) + " |"]
    rows.append("|---|" + "--:|" * len(shown))
    for contestant, of_one in results.items():
        cells = (COLUMNS[name][1](of_one[name]) if name in of_one else "" for name in shown)
        rows.append(f"| {contestant} | {' | '.join(cells)} |")
    rows += ["", *_of_the_app(results), _about(figures["surroundings"])]
    rows += [f"Left out: {why}." for why in figures["missing"].values()]
    return "\n".join(rows)


def quality_markdown(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Return the figures of `quality` as a table: by checkpoint and by quantization."""
    rows = ["| checkpoint | weights | perplexity | KL from float32, nats | same likeliest token |"]
    rows.append("|---|---|--:|--:|--:|")
    rows += [
        f"| {checkpoint} | {name} | {figures['perplexity']:.3f} | {figures['divergence']:.4f} | {figures['same_token']:.1%} |"
        for checkpoint, of_one in results.items()
        for name, figures in of_one.items()
    ]
    return "\n".join(rows)


WHOLE: Final = (
    ("first frame, s", "a bare Textual app", "bare Textual app, first frame, s"),
    ("start to first words, s", "a script, to its first token", "script to first token, s"),
    (
        "app, tokens/s while nobody types",
        "the engine alone",
        "engine, tokens/s beside it (while nobody types)",
    ),
    (
        "app, tokens/s while one types",
        "the engine alone",
        "engine, tokens/s beside it (while one types)",
    ),
    ("app, memory, MB", "the engine alone", "engine, memory, MB"),
    ("slowest key while loading, ms", "", ""),
    ("idle, share of a core", "", ""),
)
"""The figures of the app, what each is compared with, and that figure."""


def whole_markdown(figures: Mapping[str, Any]) -> str:
    """Return the figures of `whole` as a table: the app, what it is compared with, and the ratio."""
    found: Mapping[str, float] = figures["figures"]
    rows = ["| the whole app | | compared with | | ratio |", "|---|--:|---|--:|--:|"]
    for name, other, of_other in WHOLE:
        beside = found.get(of_other, 0.0)
        ratio = f"{found[name] / beside:.2f}" if beside else ""
        shown = _plain(beside) if beside else ""
        rows.append(
            f"| {name.removeprefix('app, ')} | {_plain(found[name])} | {other} | {shown} | {ratio} |"
        )
    load = figures["surroundings"]["load_average"]
    return "\n".join((*rows, "", f"On the same machine; load average before the run: {load}."))


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _of_the_app(results: Mapping[str, Mapping[str, float]]) -> list[str]:
    return [
        f"The app: first frame after {of_one['first_frame']:.2f} s; a key typed while a reply streams appears after "
        f"{of_one['key_p99_ms']:.0f} ms (99th percentile)."
        for of_one in results.values()
        if "first_frame" in of_one and "key_p99_ms" in of_one
    ]


def _about(about: Mapping[str, Any]) -> str:
    return (
        f"{about['model']} on {about['cores']} cores of {about['cpu']}, torch {about['torch']}, "
        f"transformers {about['transformers']}, {about['date']}; load average before the run: {about['load_average']}."
    )
