from __future__ import annotations

import pytest

from tui.widgets.figures import (
    bar_text,
    bytes_text,
    columns_text,
    context_text,
    count_text,
    of_total,
    seconds_text,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "2 KB"),
        (98 * 1024**2, "98 MB"),
        (1.5 * 1024**3, "1.5 GB"),
    ],
)
def test_bytes(count, text):
    assert bytes_text(count) == text


def test_used_and_total_share_a_unit():
    assert of_total(512 * 1024**2, 24 * 1024**3) == "0.5/24.0 GB"
    assert of_total(10 * 1024**2, 98 * 1024**2) == "10/98 MB"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.314, "0.31 s"), (12.4, "12 s"), (125, "2:05 min")]
)
def test_durations(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize("share", [-1, 0, 0.01, 0.33, 0.5, 0.999, 1, 2])
def test_a_bar_is_always_as_wide_as_asked(share):
    assert len(bar_text(share, 10)) == 10


def test_a_bar_is_full_only_at_the_end():
    assert bar_text(1, 4) == "████"
    assert bar_text(0, 4) == "░░░░"


def test_a_number_too_large_for_a_float_is_a_large_one():
    for text in (bytes_text, count_text, context_text):
        assert text(10**400) == text(10**18)


def test_columns_stand_on_zero():
    assert columns_text([20.0, 10.0, 5.0, 0.1]) == "█▄▂▁"
    assert columns_text([3.0, 3.0]) == "██"
    assert columns_text([]) == columns_text([0.0]) == ""
