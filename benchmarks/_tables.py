"""The figures of `engines`, `whole` and `quality` as Markdown tables; those of `quality` are also in docs/reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks._ranges import Comparison, Range

ByRound = Mapping[int, float]
"""The measurements of one figure; those of a round were made in turn with the other contestants'."""

COLUMNS: Final[Mapping[str, tuple[str, int]]] = {
    "decode_64": ("tokens/s, short chat", 1),
    "decode_2048": ("tokens/s at 2,000 tokens", 1),
    "ttft_2048": ("first token of a new 2,000-token prompt, s", 2),
    "ttft_turn_2": ("first token, turn 2, s", 2),
    "ttft_turn_10": ("first token, turn 10, s", 2),
    "ttft_edit": ("after an edit of the last message, s", 2),
    "ttft_edit_middle": ("after an edit in the middle, s", 2),
    "stop_prefill": ("stop while reading, s", 2),
    "stop_decode": ("stop while writing, s", 2),
    "memory_mb": ("memory, MB", 0),
}
"""By figure: its title, and its decimals."""
COMPARED: Final = (
    ("chat-tui engine, int4", "llama.cpp, Q4_1"),
    ("chat-tui engine, bf16", "transformers generate, bf16"),
    ("chat-tui engine, int4", "chat-tui engine, bf16"),
)
"""Contestants that are compared pair by pair."""


def markdown(figures: Mapping[str, Any]) -> str:
    """Return the figures of `engines`, how contestants compare, and a line about the machine and the model."""
    results: Mapping[str, Mapping[str, ByRound]] = figures["results"]
    shown = [name for name in COLUMNS if any(name in of_one for of_one in results.values())]
    rows = _head("median (lowest to highest)", [COLUMNS[name][0] for name in shown])
    for contestant, of_one in results.items():
        cells = (
            Range.of([*of_one[name].values()]).text(COLUMNS[name][1]) if name in of_one else ""
            for name in shown
        )
        rows.append(f"| {contestant} | {' | '.join(cells)} |")
    rows += ["", *_compared(results, shown)]
    rows += [*_of_the_app(results), _about(figures["surroundings"])]
    rows += [f"Left out: {why}." for why in figures["missing"].values()]
    return "\n".join(rows)


def _head(corner: str, titles: Sequence[str]) -> list[str]:
    return [f"| {corner} | {' | '.join(titles)} |", "|---|" + "--:|" * len(titles)]


def _compared(results: Mapping[str, Mapping[str, ByRound]], shown: Sequence[str]) -> list[str]:
    """Return the ratios of the contestants that are compared, as a table."""
    rows = []
    for first, second in COMPARED:
        if first not in results or second not in results:
            continue
        found = (
            compared(results[first].get(name, {}), results[second].get(name, {})) for name in shown
        )
        cells = (one.text() if one is not None else "" for one in found)
        rows.append(f"| {first} / {second} | {' | '.join(cells)} |")
    if not rows:
        return []
    return [*_head("ratio, by pairs", [COLUMNS[name][0] for name in shown]), *rows, ""]


def compared(first: ByRound, second: ByRound) -> Comparison | None:
    """Compare what was measured in the same rounds; None where there is no such round."""
    both = [number for number in first if number in second]
    return Comparison.of([first[one] for one in both], [second[one] for one in both])


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
    """Return the figures of `whole` as a table: the app, what it is compared with, and the ratio of the pairs."""
    found: Mapping[str, ByRound] = figures["figures"]
    rows = ["| the whole app | | compared with | | ratio, by pairs |", "|---|--:|---|--:|--:|"]
    for name, other, of_other in WHOLE:
        if name not in found:
            continue
        beside = found.get(of_other, {})
        ratio = compared(found[name], beside)
        cells = (
            name.removeprefix("app, "),
            Range.of([*found[name].values()]).text(),
            other,
            Range.of([*beside.values()]).text() if beside else "",
            ratio.text() if ratio is not None else "",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join((*rows, "", _about(figures["surroundings"])))


def _of_the_app(results: Mapping[str, Mapping[str, ByRound]]) -> list[str]:
    return [
        f"The app: first frame after {Range.of([*of_one['first_frame'].values()]).text(2)} s; a key typed while a reply streams "
        f"appears after {Range.of([*of_one['key_p99_ms'].values()]).text(0)} ms (99th percentile)."
        for of_one in results.values()
        if "first_frame" in of_one and "key_p99_ms" in of_one
    ]


def _about(about: Mapping[str, Any]) -> str:
    return (
        f"{about['model']} on {about['cores']} cores of {about['cpu']}, torch {about['torch']}, "
        f"transformers {about['transformers']}, {about['date']}; load average before the run: {about['load_average']}."
    )
