"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import re

import pytest

from tui.pattern import pattern


@pytest.mark.parametrize(
    ("source", "text"), [(r"(?P<a>\w)(\d)", "a1 B2"), (rb"(?P<a>\w)(\d)", b"a1 B2")]
)
def test_a_pattern_answers_as_a_compiled_one_does(source, text):
    ours, theirs = pattern(source, re.IGNORECASE), re.compile(source, re.IGNORECASE)
    for name in ("findall", "split"):
        assert getattr(ours, name)(text) == getattr(theirs, name)(text)
    for name in ("match", "search", "fullmatch"):
        mine, other = getattr(ours, name)(text, 3), getattr(theirs, name)(text, 3)
        assert (mine and mine.groups()) == (other and other.groups())
    assert [one.span() for one in ours.finditer(text)] == [
        one.span() for one in theirs.finditer(text)
    ]
    assert ours.sub(text[:0], text) == theirs.sub(text[:0], text)
    assert ours.subn(text[:0], text, count=1) == theirs.subn(text[:0], text, count=1)
    assert (ours.pattern, ours.flags, ours.groups) == (theirs.pattern, theirs.flags, theirs.groups)
    assert dict(ours.groupindex) == dict(theirs.groupindex)


def test_a_pattern_is_compiled_when_it_is_first_used():
    broken = pattern("(")
    with pytest.raises(re.error):
        broken.match("")


def test_a_pattern_has_no_other_attributes():
    assert not hasattr(pattern("a"), "__wrapped__")
