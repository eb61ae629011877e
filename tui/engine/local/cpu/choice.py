"""Chooses between kernels for a model's linear layers, and again when replies come slower than that choice promised.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import torch

from tui.dataclass import dataclass
from tui.engine.local.cpu import linear
from tui.engine.local.cpu.linear import Weights
from tui.engine.local.cpu.native import Native
from tui.engine.local.cpu.timings import Timings, Way

NEVER: Final = 2**31
_ROWS: Final = (32, 64, 128, 256)
"""Numbers of rows from which on a product may be made in float32, up to the longest chunk of a prompt. Fewer are always multiplied
one like the other, so that drafts change nothing."""
_SLOW: Final = 3.0
"""A token that takes so many times as long as its products should is slow."""
_OTHER_WORK_S: Final = 0.02
"""What a token takes besides, at most."""
_DOUBTS: Final = 3
"""A busy machine makes replies slow, too: then no choice helps."""


@dataclass(slots=True)
class Choice:
    """A choice between kernels, and what it was made from.

    Attributes:
        timings: what is known of this machine.
        samples: some of a layer's weights in each form that there is a choice of, torch's own kernels first.
        kernels: those that were compiled here; None where there are none.
        weights: how many weights a token is multiplied with.
        chosen: which of the samples has the fastest kernel.
        many_from: from so many rows on a product in float32 is faster; `NEVER` where it is not.
    """

    timings: Timings
    samples: Sequence[Weights]
    kernels: Native | None
    weights: int
    chosen: int = 0
    many_from: int = NEVER
    _doubts: int = 0

    def make(self) -> None:
        """Choose, and measure what isn't known."""
        self.chosen = min(range(len(self.samples)), key=self._rank)
        self.many_from = self._many_from()
        self.timings.save()

    def is_doubtful(self, token_s: float) -> bool:
        """Return whether a reply was so slow that another choice may be better, and that wasn't looked at too often yet.

        Args:
            token_s: how long each of its tokens took.
        """
        if self._doubts >= _DOUBTS or token_s <= _OTHER_WORK_S:
            return False
        return token_s - _OTHER_WORK_S > _SLOW * self.promised_s

    def make_again(self) -> None:
        """Measure everything again, and choose by the shortest times."""
        self._doubts += 1
        self.timings.doubt()
        self.make()

    @property
    def promised_s(self) -> float:
        """How long the products of a token should take."""
        sample = self.samples[self.chosen]
        share = self.weights / (sample.rows * sample.columns)
        return self.timings.seconds(self._few(sample, 1).name) * share / torch.get_num_threads()

    def _rank(self, place: int) -> int:
        """Return how many of the others are faster, or as fast and come first."""
        ways = [self._few(sample, 1) for sample in self.samples]
        mine = ways.pop(place)
        return sum(not self.timings.is_shorter(mine, way, self.kernels) for way in ways)

    def _many_from(self) -> int:
        sample = self.samples[self.chosen]
        if sample.unpacked(0, 1) is None:
            return NEVER
        found = NEVER
        for rows in reversed(_ROWS):
            x = _inputs(rows, sample)
            wide = Way(_name(sample, rows, "float32"), partial(linear.in_float32, sample, x))
            if not self.timings.is_shorter(wide, self._few(sample, rows), self.kernels):
                break
            found = rows
        return found

    def _few(self, sample: Weights, rows: int) -> Way:
        return Way(_name(sample, rows, "own"), partial(sample.few, _inputs(rows, sample)))


def _inputs(rows: int, sample: Weights) -> torch.Tensor:
    return torch.ones(rows, sample.columns, dtype=torch.bfloat16)


def _name(sample: Weights, rows: int, kernel: str) -> str:
    return f"{sample.form} {sample.rows}x{sample.columns} {rows} {kernel}"
