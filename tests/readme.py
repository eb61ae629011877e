"""The parts of the README that are made from the code: keys, parameters, the command line's help.

`make readme` writes them anew; a test checks that they are up to date.
"""

from __future__ import annotations

import re
from argparse import HelpFormatter
from functools import partial
from pathlib import Path

from tui.actions import actions
from tui.cli import parser
from tui.parameters import PARAMETERS, format_value
from tui.screens.help import keys_text

PATH = Path(__file__).parent.parent / "README.md"

_PART = re.compile(r"(<!-- from the code: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_HELP_COLUMNS = 100


def renewed(readme: str) -> str:
    """Return the README with every part between its marks made anew."""
    return _PART.sub(lambda part: f"{part[1]}\n{_MAKERS[part[2]]()}\n\n{part[3]}", readme)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines
    )


def _keys(*scopes: str) -> str:
    return _table(
        ("key", "what it does"),
        [(keys_text(action), action.help) for action in actions(*scopes) if action.keys],
    )


def _parameters() -> str:
    return _table(
        ("parameter", "range", "default", "what it does"),
        [
            (f"`{known.name}`", known.range_text, format_value(known.default) or "none", known.help)
            for known in PARAMETERS.values()
        ],
    )


def _help() -> str:
    made = parser()
    made.formatter_class = partial(HelpFormatter, width=_HELP_COLUMNS)
    return f"```\n$ chat-tui --help\n{made.format_help().strip()}\n```"


_MAKERS = {
    "keys": lambda: _keys("app", "chat"),
    "keys of a turn": lambda: _keys("turn"),
    "parameters": _parameters,
    "help": _help,
}

if __name__ == "__main__":
    PATH.write_text(renewed(PATH.read_text("utf-8")), "utf-8")
