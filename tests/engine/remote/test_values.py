"""JSON of any shape is read without harm, and only what is expected is taken from it."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.engine.remote.values import NotJsonError, number, read_json, table, tables, text, whole

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)


@given(ANY)
def test_anything_is_read_as_what_is_expected_or_as_nothing(value):
    assert isinstance(table(value, "a", "b"), dict)
    assert all(isinstance(one, dict) for one in tables(value))
    assert whole(value) >= 0
    assert math.isfinite(number(value))
    text(value).encode("utf-8")


@given(st.text() | st.binary())
def test_any_text_is_json_or_none(said):
    with contextlib.suppress(NotJsonError):
        read_json(said)


@pytest.mark.parametrize("said", ["[" * 10**6, "9" * 5000, b"\xff\xfe", "", "{'a': 1}", "{"])
def test_what_is_no_json(said):
    with pytest.raises(NotJsonError):
        read_json(said)


@pytest.mark.parametrize(
    ("value", "found"),
    [(3, 3), (3.9, 3), (0, 0), (-1, 0), (2**53, 2**53), (2**53 + 1, 0), (10**400, 0), (math.nan, 0), (math.inf, 0),
     (True, 0), ("3", 0), (None, 0), ([3], 0)],
)  # fmt: skip
def test_a_figure_is_a_number_from_zero_up(value, found):
    assert whole(value) == found


def test_half_of_a_surrogate_pair_is_no_text():
    assert text("a\ud83d") == "a?"


def test_a_path_leads_to_a_table_or_to_an_empty_one():
    assert table({"a": {"b": {"c": 1}}}, "a", "b") == {"c": 1}
    assert table({"a": [1]}, "a", "b") == {}
