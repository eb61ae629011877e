"""Code that lexers were found to choke on, and code of the kind that they may."""

from __future__ import annotations

from random import Random
from typing import Final

KNOWN: Final = {
    "mcschema": "<!--<!--",
    "tnt": "a",
    "systemd": "a" + " " * 989,
    "fan": "a" * 990,
    "autoit": " " * 990,
    "scaml": " " * 990,
}
"""By language: what never ended, or took long enough to be felt, when it ran in the thread of the screen."""
_REPEATED: Final = (
    *" \t<>()[]{}*/\\\"'`#-=.,:;@$%&|~^!?+_aA01",
    *("<!--", "/*", "(*", "{-", "<<", "a ", " a", "a.", "a,", "a:", "\\a", '"a', "<a ", "${", "#{", "{{", "{%", "<%", "1e", "a=", "::", "->", "--", "\\\\", "''", '""', "(a", "[a", "=begin"),
)  # fmt: skip
_LONGEST: Final = 990


def inputs(seed: int, count: int) -> list[str]:
    """Return `count` texts: one thing over and over, in one line or in many, with something before and after it."""
    random = Random(seed)
    found = []
    for _ in range(count):
        unit = random.choice(_REPEATED)
        edge, end = random.choice(_REPEATED), random.choice(("", *_REPEATED))
        row = edge * random.randrange(3) + unit * ((_LONGEST - 20) // len(unit)) + end
        rows = [edge * random.randrange(9) + unit * random.randrange(9) for _ in range(100)]
        found.append(random.choice((row, row, "\n".join(rows), f"a\n{row}\n{edge}")))
    return found
