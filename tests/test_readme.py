"""The README says what the program does."""

from __future__ import annotations

import re
import shlex

from tests.readme import PATH, renewed
from tui.cli import parser
from tui.subcommands import PARSERS

README = PATH.read_text("utf-8")


def test_the_parts_that_are_made_from_the_code_are_up_to_date():
    assert "<!-- from the code: keys -->" in README
    assert renewed(README) == README, "make readme writes them anew"


def test_every_picture_and_file_that_it_links_to_is_there():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    local = [link for link in links if not link.startswith("http")]
    assert local
    assert [link for link in local if not (PATH.parent / link).exists()] == []


def test_every_command_line_that_it_shows_is_understood():
    shown = [
        line.removeprefix("$ ").partition("  #")[0].partition(" >")[0]
        for line in README.splitlines()
        if line.startswith(("chat-tui ", "$ chat-tui ")) and "--help" not in line
    ]
    assert len(shown) > 3
    for line in shown:
        words = shlex.split(line)[1:]
        known = PARSERS.get(words[0]) if words else None
        if known is not None:
            known().parse_args(words[1:])
        else:
            parser().parse_args(words)
