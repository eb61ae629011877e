"""Runs every lexer of Pygments on hostile code: does the UI thread stay responsive, and is the code unchanged?

    python -m benchmarks.lexers [--inputs 20] [--seed 1] [--cpu-s 0.3] [--languages tnt,systemd]

Each text is highlighted as in the app, through the real process, with a separate limit. The report lists the lexers that were
stopped by the limit, and the most CPU time of one call in the calling thread. The exit code is 1 if that was too much, or if a
text was changed or never answered.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.highlighting.hostile import KNOWN, inputs
from tests.widgets.lexer_sweep import Outcome, languages, sweep
from tui.highlighting.process import Limits

MOST_S = 0.05


def main() -> None:
    """Test all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--inputs", type=int, default=20, help="number of texts for each lexer")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--cpu-s", type=float, default=0.3, help="CPU seconds that a lexer may use for each"
    )
    parser.add_argument("--languages", help="only these lexers")
    given = parser.parse_args()
    names = given.languages.split(",") if given.languages else languages()
    codes = [*dict.fromkeys(KNOWN.values()), *inputs(given.seed, given.inputs)]
    began = time.perf_counter()
    outcomes = list(sweep(names, codes, Limits(given.cpu_s, 60.0)))
    report(outcomes)
    print(f"took {time.perf_counter() - began:.0f} s")
    sys.exit(any(is_bad(outcome) for outcome in outcomes))


def is_bad(outcome: Outcome) -> bool:
    """Whether the result would have affected a user."""
    return outcome.screen_s > MOST_S or not outcome.is_whole or not outcome.is_answered


def report(outcomes: list[Outcome]) -> None:
    """Print the results."""
    for outcome in filter(is_bad, outcomes):
        print(f"BAD: {outcome}")
    ended = sorted({outcome.language for outcome in outcomes if outcome.lexer_ended})
    print(f"{len(outcomes)} texts in {len({one.language for one in outcomes})} languages")
    print(f"lexers that were stopped ({len(ended)}): {', '.join(ended) or 'none'}")
    worst = sorted(outcomes, key=lambda one: -one.screen_s)[:3]
    for one in worst:
        print(
            f"{one.screen_s * 1000:.1f} ms on the screen's thread: {one.language} {one.code!r:.60}"
        )


if __name__ == "__main__":
    main()
