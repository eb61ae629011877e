"""No lexer of Pygments stops the screen or alters code, whatever the code is.

Known bad ones and a seeded sample; `python -m benchmarks.lexers` tries all of them.
"""

from __future__ import annotations

from random import Random

import pytest

from tests.highlighting.hostile import KNOWN, inputs
from tests.widgets.lexer_sweep import languages, sweep
from tui.highlighting.process import Limits

SEED = 20_261_127
SAMPLE = Random(SEED).sample(languages(), 25)
LIMITS = Limits(cpu_s=0.25, wall_s=60)


@pytest.mark.parametrize("language", sorted({*KNOWN, *SAMPLE}))
def test_no_code_stops_the_screen(language):
    codes = [*dict.fromkeys(KNOWN.values()), *inputs(SEED, 6)]
    for outcome in sweep([language], codes, LIMITS):
        assert outcome.screen_s < 0.05, outcome
        assert outcome.is_answered, outcome
        assert outcome.is_whole, outcome
