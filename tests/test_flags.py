"""Generation flags: everything that `transformers chat` understands means the same here."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tui.flags import flag_value, looks_like_flag, read_flags, split_words
from tui.parameters import PARAMETERS, ParameterError

NAMES = st.sampled_from([*PARAMETERS, "num_beams", "x"]) | st.from_regex(
    r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True
)
NUMBERS = (
    st.integers().map(str) | st.floats().map(repr) | st.from_regex(r"-?\d*\.?\d*", fullmatch=True)
)
WORDS = st.sampled_from(
    ["true", "False", "TRUE", "None", "null", "none", "", "[]", "[1,2]", '["a"]', "[true]"]
)
LISTS = st.recursive(
    st.integers(-9, 99)
    | st.floats(-9, 9)
    | st.sampled_from(["a", "true", "null", "[x", "y]", "a b"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
).map(lambda value: __import__("json").dumps(value))
VALUES = (
    NUMBERS | WORDS | LISTS | st.text(max_size=10) | st.text('[]",\\ 1.-truefalsn', max_size=12)
)


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("transformers.cli.chat").parse_generate_flags


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
@example([("a", "-5")])
@example([("a", '["true"]')])
@example([("a", '["[1]"]')])
def test_wherever_their_parser_succeeds_ours_returns_the_same(theirs, pairs):
    flags = [f"{name}={value}" for name, value in pairs]
    try:
        expected = theirs(flags)
        # It joins all flags before it reads them, so that a quote in one can close a list in another.
        apart = {name: value for flag in flags for name, value in theirs([flag]).items()}
    except Exception:  # noqa: BLE001 - theirs fails in many ways
        return
    if repr(apart) == repr(expected):
        ours = {name: flag_value(name, value) for name, value in pairs}
        assert repr(ours) == repr(expected)


@pytest.mark.parametrize(
    "value", ["5", "0.7", "-1", "True", "false", "None", "[1,2]", "auto", '[["a"]]']
)
def test_their_parser_succeeds_on_what_people_type(theirs, value):
    assert theirs([f"x={value}"]) == {"x": flag_value("x", value)}


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("temperature=.9", 0.9),
        ("temperature=1e-3", 0.001),
        ("temperature=1", 1.0),
        ("top_k=5", 5),
        ("top-k=5", 5),
        ("do_sample=False", False),
        ("temperature=None", None),
        ("stop_strings=a b", ["a b"]),
        ("stop_strings=5", ["5"]),
        ('stop_strings=["a b", "c"]', ["a b", "c"]),
        ('stop_strings=["[INST]"]', ["[INST]"]),
        ("eos_token_id=[1,2]", [1, 2]),
        ("eos_token_id=2", [2]),
    ],
)
def test_a_flag_becomes_its_parameters_kind(flag, value):
    assert list(read_flags([flag]).values()) == [value]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("temprature=1", "Did you mean temperature"),
        ("temperature=hot", "must be a number, not 'hot'"),
        ("temperature=900", "must be from 0 to 100, not 900"),
        ("num_beams=4", "can't be set in a chat"),
        ("temperature", "has no '='"),
        ("eos_token_id=[1,", "must be a list of token IDs"),
        ("top_k=true", "must be a number, not True"),
    ],
)
def test_a_flag_that_can_not_be_taken_is_refused_in_a_sentence(flag, words):
    with pytest.raises(ParameterError, match=words):
        read_flags([flag])


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a=1  b=2", ["a=1", "b=2"]),
        ('stop="a b" x=1', ["stop=a b", "x=1"]),
        ("stop='a b'", ["stop=a b"]),
        ('s=["a b", "c]"] x=1', ['s=["a b", "c]"]', "x=1"]),
        ('x=""', ["x="]),
        ("it's", ["it's"]),
        ("", []),
    ],
)
def test_a_line_is_split_outside_quotes_and_brackets(line, words):
    assert split_words(line) == words


@pytest.mark.parametrize("line", ['a="b', "a=[1"])
def test_what_is_not_closed_is_refused(line):
    with pytest.raises(ParameterError, match="not closed"):
        split_words(line)


@pytest.mark.parametrize(
    ("word", "is_flag"),
    [("temperature=1", True), ("a/b", False), ("./x=y", False), ("=1", False), ("top-k=1", True)],
)
def test_what_is_a_flag(word, is_flag):
    assert looks_like_flag(word) is is_flag


@pytest.mark.parametrize(
    "flag",
    ["temperature=5", "repetition_penalty=8", "repetition_penalty=0.05", "guidance_scale=50"],
)
def test_what_generate_can_use_is_taken_however_unusual(flag):
    name, _, text = flag.partition("=")
    assert read_flags([flag]) == {name: float(text)}
