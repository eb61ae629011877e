"""What `gpu` found: rows with ranges, the time that sections may take, and the result as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from benchmarks._ranges import Comparison, Range, plain

LEAST_S: Final = 15.0
"""A section isn't started with less time than that."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result.

    Attributes:
        what: was measured.
        values: the measurements; none where `note` says it all.
        unit: `s`, `tokens/s`, `bytes` or another word; empty for none.
        note: what else is to be known, or why there is no figure.
        other: what was measured in turn with it; empty for nothing.
        beside: the measurements of that, one for each of `values`.
    """

    what: str
    values: tuple[float, ...] = ()
    unit: str = ""
    note: str = ""
    other: str = ""
    beside: tuple[float, ...] = ()

    @property
    def figure(self) -> str:
        """The measurements as text."""
        return self._text(self.values)

    @property
    def compared(self) -> str:
        """What it is compared with, as text."""
        return f"{self.other}: {self._text(self.beside)}" if self.beside else ""

    @property
    def ratio(self) -> str:
        """The ratio of the pairs, as text."""
        found = Comparison.of(self.values, self.beside)
        return found.text() if found is not None else ""

    def _text(self, values: Sequence[float]) -> str:
        if not values:
            return ""
        if self.unit == "bytes":
            return f"{Range.of([one / 2**20 for one in values]).text(0)} MiB"
        return f"{Range.of(values).text()} {self.unit}".strip()

    def line(self) -> str:
        """Return it for a pipe."""
        return json.dumps({"row": asdict(self)})

    @classmethod
    def read(cls, line: str) -> Self | None:
        """Return the row of a line that `line` made; None for any other."""
        try:
            said = json.loads(line)["row"]
            return cls(**{**said, "values": tuple(said["values"]), "beside": tuple(said["beside"])})
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the run, in a process of its own.

    Attributes:
        kind: what is measured.
        shape: with which model.
        budget_s: the time after which it is ended, its imports included.
    """

    kind: str
    shape: str
    budget_s: float

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.kind}, {self.shape}"


BUDGETS: Final[Mapping[str, float]] = {
    "memory": 70.0,
    "decode": 90.0,
    "process": 90.0,
    "out-of-memory": 70.0,
    "prefix": 50.0,
    "quantized": 110.0,
    "compiled": 150.0,
}
"""The kinds of sections, and the time that each may take with the smallest shape."""
_LARGE_TAKES: Final = 1.5


def plan(shapes: Sequence[str], only: Sequence[str] = ()) -> list[Section]:
    """Return the sections of a run in their order: what may be cut off at the end comes last.

    Args:
        shapes: the smallest first. All kinds are measured with it, and speed with the others, too.
        only: the kinds to run; all without any.
    """
    first, *others = shapes

    def large(kind: str) -> list[Section]:
        return [Section(kind, shape, BUDGETS[kind] * _LARGE_TAKES) for shape in others]

    small = [Section(kind, first, budget) for kind, budget in BUDGETS.items()]
    found = [*small[:-1], *large("decode"), small[-1], *large("quantized")]
    return [one for one in found if not only or one.kind in only]


def allowed_s(section: Section, left_s: float) -> float:
    """Return how long a section may take when so much time is left for all; 0 if it isn't worth a start."""
    if left_s < LEAST_S:
        return 0.0
    return min(section.budget_s, left_s)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a section.

    Attributes:
        section: which.
        rows: what it found before it ended.
        took_s: how long it took.
        problem: why it didn't end well; empty if it did.
    """

    section: Section
    rows: tuple[Row, ...]
    took_s: float = 0.0
    problem: str = ""


def markdown(about: Mapping[str, str], outcomes: Sequence[Outcome], quiet: str) -> str:
    """Return the result as Markdown: a table for each section, and what the figures depend on."""
    parts = [f"**{about.get('card', 'unknown device')}**"]
    for one in outcomes:
        parts.append(f"### {one.section.title}")
        if one.rows:
            lines = [
                "| | median (lowest to highest) | in turn with | ratio, by pairs | |",
                "|---|--:|--:|--:|---|",
                *(_line(row) for row in one.rows),
            ]
            parts.append("\n".join(lines))
        if one.problem:
            parts.append(f"Not finished: {one.problem}.")
    parts.append("; ".join(f"{name} {value}" for name, value in about.items() if name != "card"))
    took = sum(one.took_s for one in outcomes)
    parts.append(f"The run took {plain(took, 0)} s. {quiet}")
    return "\n\n".join(parts)


def figures(
    about: Mapping[str, str], outcomes: Sequence[Outcome], quiet: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the result for a file."""
    return {"about": dict(about), "outcomes": [asdict(one) for one in outcomes], "quiet": quiet}


def _line(row: Row) -> str:
    cells = (_cell(row.what), row.figure, _cell(row.compared), row.ratio, _cell(row.note))
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
