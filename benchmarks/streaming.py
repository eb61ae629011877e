"""The cost of showing a reply while it streams, compared with Textual's own MarkdownStream.

    python -m benchmarks.streaming [--quick] [--seconds 3] [--rates 20,100,400,2000] [--kinds mixed,fence,list,table]
                                   [--depths 500,20000] [--ways transcript,MarkdownStream] [--rounds 3] [--json FILE] [--anyway]

For every kind of text, depth (tokens shown before) and rate (tokens per second), it streams for some
seconds into a headless screen of 100x40 and reports CPU seconds per 1,000 tokens above those of an idle screen, the
99th percentile of how late a 10 ms timer fires, and how long after the last token everything is shown. A token
is four characters. A contestant that can't keep up is not tested at higher rates. `--quick` takes about two minutes: one round at one
rate, short streams, and MarkdownStream on short texts only. In a round, the contestants take turns with each text. Figures are medians
over the rounds with their ranges, and ratios are of what was measured in the same round. Nothing is published from a machine that isn't
quiet.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import cycle, islice
from pathlib import Path
from typing import Protocol

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.pilot import Pilot
from textual.widgets import Markdown

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks._quiet import Publisher, add_options
from benchmarks._ranges import Comparison, Range
from tui.conversation import Status
from tui.widgets.transcript import ShownTurn, Transcript

SIZE = (100, 40)
TOKEN_CHARACTERS = 4
TICK_S = 0.01
PATIENCE_S = 20.0
QUICK_PATIENCE_S = 5.0
SETTLE_S = 2.0
IDLE_S = 1.0

_PROSE = (
    "Some *running* text with `code`, **strong** words and a [link](https://example.org/page), long enough to be "
    "wrapped more than once on the page that it stands on.\n\n"
)
_ITEMS = "- An item of a list with a **few** words\n- and `another` one that goes on for a little longer\n"
_ROWS = "| a cell | some **strong** text | 12345 |\n| another | with `code` in it | 67890 |\n"
_CODE = 'def measure(value: int) -> str:\n    """Return it."""\n    total = value + 1  # one more\n    return str(total)\n\n'
_MIXED = (
    f"## A heading\n\n{_PROSE}{_ITEMS}\n```python\n{_CODE}```\n\n"
    f"| one | two | three |\n|---|---|--:|\n{_ROWS}\n> a quote\n\n"
)
KINDS: dict[str, tuple[str, str]] = {
    "mixed": ("", _MIXED),
    "fence": ("```python\n", _CODE),
    "list": ("", _ITEMS),
    "table": ("| one | two | three |\n|---|---|--:|\n", _ROWS),
}


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement."""

    way: str
    kind: str
    depth_tokens: int
    rate_tokens_per_s: int
    cpu_s_per_1000_tokens: float
    tick_p99_ms: float
    lag_s: float
    """Negative if the case was given up."""


class Shown(Protocol):
    """One contestant."""

    async def begin(self, text: str) -> None:
        """Show the initial text."""

    async def run(self, tokens: Callable[[], str], is_over: Callable[[], bool]) -> None:
        """Show tokens as they arrive, until they end and all of them are shown."""


class TranscriptWay:
    """This app's transcript, drained at its own interval."""

    def __init__(self, app: BenchmarkApp) -> None:
        self.transcript = app.query_one(Transcript)
        self.pilot_pause = app.wait_for_idle

    async def begin(self, text: str) -> None:
        """Show the initial text."""
        self.transcript.show([ShownTurn("reply", "assistant", text, status=Status.STREAMING)])

    async def run(self, tokens: Callable[[], str], is_over: Callable[[], bool]) -> None:
        """Drain the arrived tokens at the transcript's interval."""
        while True:
            over = is_over()
            text = tokens()
            if text:
                self.transcript.stream("reply", text)
            if over:
                break
            await asyncio.sleep(self.transcript.drain_interval)
        (turn,) = self.transcript.turns
        self.transcript.update(ShownTurn("reply", "assistant", turn.text))
        await self.pilot_pause()


class MarkdownStreamWay:
    """Textual's Markdown widget, fed token by token through its stream."""

    def __init__(self, app: BenchmarkApp) -> None:
        self.markdown = app.query_one(Markdown)
        self.pilot_pause = app.wait_for_idle

    async def begin(self, text: str) -> None:
        """Show the initial text."""
        await self.markdown.update(text)

    async def run(self, tokens: Callable[[], str], is_over: Callable[[], bool]) -> None:
        """Write the arrived tokens to the widget's stream."""
        stream = Markdown.get_stream(self.markdown)
        while True:
            over = is_over()
            text = tokens()
            if text:
                await stream.write(text)
            if over:
                break
            await asyncio.sleep(TICK_S / 2)
        await stream.stop()
        await self.pilot_pause()


WAYS: dict[str, Callable[[BenchmarkApp], Shown]] = {
    "transcript": TranscriptWay,
    "MarkdownStream": MarkdownStreamWay,
}


class BenchmarkApp(App[None]):
    """A pane with one of the contestants."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.pilot: Pilot[None] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the pane."""
        if self.way == "transcript":
            yield Transcript()
        else:
            with VerticalScroll() as scroll:
                yield Markdown()
            scroll.anchor()

    async def wait_for_idle(self) -> None:
        """Wait until everything pending has been drawn."""
        if self.pilot is not None:
            await self.pilot.pause()


def tokens_of(kind: str, count: int) -> tuple[str, Iterator[str]]:
    """Return the text of the first `count` tokens, and an iterator over the tokens after them."""
    start, unit = KINDS[kind]
    characters = iter(
        start + "".join(islice(cycle([unit]), count * TOKEN_CHARACTERS // len(unit) + 1))
    )
    text = "".join(islice(characters, count * TOKEN_CHARACTERS))
    rest = "".join(characters)
    stream = cycle(unit)

    def tokens() -> Iterator[str]:
        yield rest
        while True:
            yield "".join(islice(stream, TOKEN_CHARACTERS))

    return text, tokens()


async def lateness(ticks: list[float]) -> None:
    """Record how late a short timer fires, until cancelled."""
    while True:
        due = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        ticks.append(time.perf_counter() - due)


@dataclass(frozen=True, slots=True)
class Case:
    """One combination to measure."""

    way: str
    kind: str
    depth_tokens: int
    rate_tokens_per_s: int

    def result(self, cpu_s_per_1000_tokens: float, tick_p99_ms: float, lag_s: float) -> Result:
        """Return the figures of this case."""
        return Result(
            **asdict(self),
            cpu_s_per_1000_tokens=cpu_s_per_1000_tokens,
            tick_p99_ms=tick_p99_ms,
            lag_s=lag_s,
        )

    def given_up(self) -> Result:
        """Return the result of a contestant that can't keep up."""
        return self.result(-1, -1, -1)


async def measure(case: Case, seconds: float, patience_s: float) -> Result:
    """Stream one text for `seconds` and return the cost; give up `patience_s` after it should have ended."""
    app = BenchmarkApp(case.way)
    rate = case.rate_tokens_per_s
    async with app.run_test(size=SIZE) as pilot:
        app.pilot = pilot
        shown = WAYS[case.way](app)
        text, stream = tokens_of(case.kind, case.depth_tokens)
        try:
            await asyncio.wait_for(shown.begin(text), patience_s)
        except TimeoutError:
            return case.given_up()
        await pilot.pause(SETTLE_S)
        gc.collect()
        gc.freeze()  # as the app does once everything is imported
        idle_from = time.process_time()
        await asyncio.sleep(IDLE_S)
        idle_cpu_per_s = (time.process_time() - idle_from) / IDLE_S
        count = int(rate * seconds)
        given = 0
        began = time.perf_counter()

        def due() -> str:
            nonlocal given
            wanted = min(count, int((time.perf_counter() - began) * rate))
            pieces = list(islice(stream, max(0, wanted - given)))
            given = max(given, wanted)
            return "".join(pieces)

        ticks: list[float] = []
        ticker = asyncio.create_task(lateness(ticks))
        cpu_from = time.process_time()
        try:
            await asyncio.wait_for(shown.run(due, lambda: given >= count), seconds + patience_s)
            lag = time.perf_counter() - began - seconds
        except TimeoutError:
            lag = -1.0
        elapsed = time.perf_counter() - began
        cpu = time.process_time() - cpu_from - idle_cpu_per_s * elapsed
        ticker.cancel()
    ticks.sort()
    p99 = ticks[int(len(ticks) * 0.99) - 1] * 1000 if ticks else -1.0
    return case.result(cpu / max(1, given) * 1000, p99, lag)


Text = tuple[str, str, int, int]
"""A contestant, a kind of text, a depth and a rate."""


def by_case(results: Sequence[Result]) -> dict[Text, list[Result]]:
    """Return the results of each case in the order of the rounds."""
    found: dict[Text, list[Result]] = {}
    for one in results:
        case = (one.way, one.kind, one.depth_tokens, one.rate_tokens_per_s)
        found.setdefault(case, []).append(one)
    return found


def markdown_table(results: Sequence[Result]) -> str:
    """Return the figures as a Markdown table."""
    rows = [
        "| way | text | depth | tokens/s | CPU s per 1,000 tokens | tick p99, ms | lag, s |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for (way, kind, depth, rate), rounds in by_case(results).items():
        figures = "gave up | | |"
        if all(one.lag_s >= 0 for one in rounds):
            cpu = Range.of([one.cpu_s_per_1000_tokens for one in rounds]).text(2)
            late = Range.of([one.tick_p99_ms for one in rounds]).text(1)
            figures = f"{cpu} | {late} | {Range.of([one.lag_s for one in rounds]).text(2)} |"
        rows.append(f"| {way} | {kind} | {depth:,} | {rate:,} | {figures}")
    return "\n".join(rows)


def _costs(results: Sequence[Result]) -> dict[Text, list[float]]:
    """Return the CPU seconds of each case that was never given up."""
    return {
        case: [one.cpu_s_per_1000_tokens for one in rounds]
        for case, rounds in by_case(results).items()
        if all(one.lag_s >= 0 for one in rounds)
    }


def ratios(results: Sequence[Result]) -> str:
    """Return what the contestants' CPU times are to one another in each case that both can do."""
    costs, rows = _costs(results), []
    for (way, kind, depth, rate), ours in costs.items():
        theirs = costs.get(("MarkdownStream", kind, depth, rate))
        found = Comparison.of(ours, theirs) if way == "transcript" and theirs else None
        if found is not None:
            rows.append(f"| {kind} | {depth:,} | {rate:,} | {found.text()} |")
    if not rows:
        return ""
    head = "| text | depth | tokens/s | CPU time, transcript / MarkdownStream |"
    return "\n".join((head, "|---|--:|--:|--:|", *rows))


def growth(results: Sequence[Result]) -> str:
    """Return how much more a token costs in the longest text than in the shortest, for every contestant and kind of text."""
    costs, rows = _costs(results), []
    for way, kind, rate in dict.fromkeys((one[0], one[1], one[3]) for one in costs):
        depths = sorted(one[2] for one in costs if (one[0], one[1], one[3]) == (way, kind, rate))
        first, last = depths[0], depths[-1]
        found = Comparison.of(costs[way, kind, last, rate], costs[way, kind, first, rate])
        if first < last and found is not None:
            where = f"{first:,} to {last:,} tokens"
            rows.append(f"| {way} | {kind} | {rate:,} | {where} | {found.text()} |")
    if not rows:
        return ""
    head = "| way | text | tokens/s | depth | growth of CPU time |"
    return "\n".join((head, "|---|---|--:|---|--:|", *rows))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="take about two minutes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each text streams")
    parser.add_argument("--rates", default="20,100,400,2000")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--depths", default="500,20000")
    parser.add_argument("--ways", default=",".join(WAYS))
    add_options(parser)
    return parser.parse_args()


def cases(options: argparse.Namespace, *, swapped: bool = False) -> list[Case]:
    """Return the cases that the command line selects, the contestants of each text beside each other.

    Args:
        options: the command line.
        swapped: the other contestant first.
    """
    ways = options.ways.split(",")[:: -1 if swapped else 1]
    if options.quick:
        found = [Case("transcript", kind, depth, 400) for kind in KINDS for depth in (500, 20_000)]
        return found + [Case("MarkdownStream", kind, 500, 400) for kind in KINDS]
    return [
        Case(way, kind, int(depth), int(rate))
        for kind in options.kinds.split(",")
        for depth in options.depths.split(",")
        for rate in sorted(options.rates.split(","), key=int)
        for way in ways
    ]


def surroundings() -> dict[str, object]:
    """Return what the figures depend on."""
    return {
        "python": platform.python_version(),
        "textual": version("textual"),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def run(options: argparse.Namespace, publisher: Publisher) -> list[Result]:
    """Measure the cases that the command line selects, round by round."""
    seconds = min(options.seconds, 1.5) if options.quick else options.seconds
    patience_s = QUICK_PATIENCE_S if options.quick else PATIENCE_S
    results: list[Result] = []
    hopeless: set[tuple[str, str, int]] = set()
    for number in range(1 if options.quick else options.rounds):
        for case in cases(options, swapped=bool(number % 2)):
            text = (case.way, case.kind, case.depth_tokens)
            result = case.given_up()
            if text not in hopeless:
                result = asyncio.run(measure(case, seconds, patience_s))
            if result.lag_s < 0:
                hopeless.add(text)
            results.append(result)
            print(markdown_table([result]).splitlines()[-1], file=sys.stderr, flush=True)
        publisher.between()
    return results


def main() -> int:
    """Measure the cases that the command line selects."""
    options = arguments()
    publisher = Publisher(path=options.json, anyway=options.anyway)
    publisher.begin()
    before = surroundings()
    results = run(options, publisher)
    about = (
        f"Python {before['python']}, Textual {before['textual']}, {before['cores']} cores; "
        f"load average before the run: {before['load_average']}."
    )
    tables = (markdown_table(results), ratios(results), growth(results), about)
    return publisher.end(
        "\n\n".join(filter(None, tables)),
        {"surroundings": before, "results": [asdict(result) for result in results]},
    )


if __name__ == "__main__":
    sys.exit(main())
