"""What may be said of repeated measurements."""

import pytest

from benchmarks._ranges import Comparison, Range, plain


def test_a_range_shows_the_median_and_both_ends():
    assert Range.of([93.4, 106.2, 99.9]).text(0) == "100 (93 to 106)"


def test_one_measurement_is_shown_without_a_range():
    assert Range.of([5.71]).text() == "5.71"


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.8, "1,234,568"), (1e-9, "0.000"), (12.34, "12.3"), (1.234, "1.23"), (-0.5, "-0.500")],
)
def test_numbers_have_no_exponent_and_no_digits_that_mean_nothing(value, text):
    assert plain(value) == text


def test_a_ratio_is_of_pairs_and_not_of_medians():
    # The machine became slower from pair to pair; each pair agrees all the same.
    found = Comparison.of([20.0, 10.0, 4.0], [10.0, 5.0, 2.0])
    assert found.is_clear
    assert found.text() == "2.00 (2.00 to 2.00)"


def test_a_ratio_on_both_sides_of_1_is_no_difference():
    found = Comparison.of([12.0, 9.0, 15.0], [10.0, 10.0, 10.0])
    assert not found.is_clear
    assert found.text() == "no difference (0.90 to 1.50)"


def test_a_ratio_that_is_printed_as_1_is_no_difference():
    assert Comparison.of([1.004] * 3, [1.0] * 3).text() == "no difference (1.00 to 1.00)"


def test_two_pairs_say_nothing():
    found = Comparison.of([2.0, 2.0], [1.0, 1.0])
    assert not found.is_clear
    assert found.text() == "too few pairs (needs 3)"


def test_without_a_pair_there_is_no_comparison():
    assert Comparison.of([1.0], []) is None
    assert Comparison.of([1.0, 2.0], [0.0, 0.0]) is None
