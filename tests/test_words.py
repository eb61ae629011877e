"""The texts of the tables keep to the list of words in CONTRIBUTING.md, to American spelling, and to plain sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_options import helps
from tui.actions import ACTIONS
from tui.parameters import PARAMETERS
from tui.scopes import PLACES
from tui.settings.schema import SETTINGS

ROOT = Path(__file__).parent.parent
TABLE = re.compile(
    r"^\| (?!term|---)(?P<terms>[^|]+) \| [^|]+ \| (?P<others>[^|]+) \|$", re.MULTILINE
)
BRITISH = re.compile(
    r"\b\w*(?:colour|favour|behaviour|neighbour|honour|labour|centre|licence)\w*\b"
    r"|\b\w+(?:quantis|summaris|initialis|recognis|organis|normalis|optimis|serialis)\w*\b"
    r"|\b(?:quantis|summaris|initialis|recognis|organis|normalis|optimis|serialis)\w*\b",
    re.IGNORECASE,
)
RIDDLES = re.compile(
    r"takes nothing behind|is told|holds from|of its own accord|by itself alone|nobody else|made anew", re.IGNORECASE
)  # fmt: skip


def unwanted() -> dict[str, str]:
    """Words that are not used, with the terms that stand in their place."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## Words")[2].partition("\n## ")[0]
    return {
        other.strip(): row["terms"]
        for row in TABLE.finditer(section)
        for other in row["others"].split(",")
    }


def tables() -> Iterator[tuple[str, str]]:
    """Every text of the tables that the app, its help and the reference are made of, with where it is from."""
    for action in ACTIONS:
        yield action.id, f"{action.title}. {action.help}"
    for name, parameter in PARAMETERS.items():
        yield name, f"{parameter.label}. {parameter.help}"
    for key, setting in SETTINGS.items():
        yield key, f"{setting.title}. {setting.help}"
    yield from ((str(place), title) for place, title in PLACES.items())
    for name, make in helps().items():
        yield name, make().format_help()


TEXTS = dict(tables())


def test_there_is_a_list_and_there_are_texts():
    assert len(unwanted()) > 30
    assert len(TEXTS) > 250


@pytest.mark.parametrize("word", sorted(unwanted()))
def test_a_word_that_is_not_used_stands_in_no_table(word):
    found = re.compile(rf"(?<![\w-]){re.escape(word)}(?![\w-])", re.IGNORECASE)
    assert {where for where, text in TEXTS.items() if found.search(text)} == set()


def test_the_tables_are_american_and_without_riddles():
    wrong = {
        where: match[0]
        for where, text in TEXTS.items()
        for match in (BRITISH.search(text) or RIDDLES.search(text),)
        if match
    }
    assert wrong == {}


def test_every_help_is_a_sentence():
    """It begins with a capital, a name or a number, and ends with a period."""
    helps = {one.id: one.help for one in ACTIONS}
    helps |= {one.key: one.help for one in SETTINGS.values()}
    helps |= {name: one.help for name, one in PARAMETERS.items()}
    assert {where for where, text in helps.items() if not text.endswith(".")} == set()
    assert {where for where, text in helps.items() if text[0].islower()} == set()
