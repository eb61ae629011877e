"""The cost of Markdown that is written to be slow: the worst frame of each kind, in milliseconds of CPU time."""

from __future__ import annotations

import argparse
from time import thread_time

from tests.widgets.hostile_markdown import KINDS
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.parser import warm_up

_SLICE_S = 0.03
"""As in the app: the time limit for one layout before the next frame."""


def _worst(text: str, width: int, step: int) -> float:
    """Return the most that a frame costs while `text` arrives in pieces of `step` characters."""
    worst = 0.0
    live = LiveDocument(finished=False)
    for start in range(0, len(text), step):
        begun = thread_time()
        live.append(text[start : start + step])
        live.lines(width, budget_s=_SLICE_S)
        worst = max(worst, thread_time() - begun)
        while live.is_waiting:
            begun = thread_time()
            live.lines(width, budget_s=_SLICE_S)
            worst = max(worst, thread_time() - begun)
    return worst * 1000


def main() -> None:
    """Print the kinds, the most expensive first."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--size", type=int, default=15_500, help="number of characters of each text"
    )
    arguments.add_argument("--kind", default="", help="only kinds with this in their names")
    given = arguments.parse_args()
    warm_up()
    rows = []
    for kind, write in KINDS.items():
        if given.kind in kind:
            text = write(given.size)
            opened = max(_worst(text, width, len(text)) for width in (20, 80, 200))
            rows.append((opened, _worst(text, 80, max(1, given.size // 25)), kind))
    print(f"{'kind':34} {'opened':>8} {'streamed':>8}   ms")
    for opened, streamed, kind in sorted(rows, key=lambda row: -max(row[:2])):
        print(f"{kind:34} {opened:8.1f} {streamed:8.1f}")


if __name__ == "__main__":
    main()
