"""The README says what the program does."""

from __future__ import annotations

import inspect
import re
import shlex

import pytest

from tests.readme import PATH, renewed
from tui.options import parse
from tui.subcommands import PARSERS

README = PATH.read_text("utf-8")


def test_the_parts_that_are_made_from_the_code_are_up_to_date():
    assert "<!-- from the code: keys -->" in README
    assert renewed(README) == README, "make readme writes them anew"


def test_nothing_in_it_is_written_for_the_interpreter():
    assert (
        re.findall(
            r"<(?:function|bound method|class|\w+ object)|<lambda>| at 0x[0-9a-f]{4}", README
        )
        == []
    )


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
            parse(words)


def test_everything_that_transformers_chat_has_stands_in_the_table():
    chat = pytest.importorskip("transformers.cli.chat")
    table = README.partition("<!-- from the code: transformers chat -->")[2].partition(
        "<!-- end -->"
    )[0]
    known = set(inspect.signature(chat.Chat.__init__).parameters)
    options = {
        f"--{name.replace('_', '-')}"
        for name in known - {"self", "model_id", "base_url", "generate_flags"}
    }
    commands = set(re.findall(r"\*\*(!\w+)", chat.HELP_STRING))
    assert options
    assert commands
    assert [one for one in options | commands if f"`{one}`" not in table] == []
