"""Numbers of models, bounded where they are read."""

import pytest

from tui.engine import limits


@pytest.mark.parametrize(
    "value",
    [None, True, -1, 0, 11, 10**400, 2.0, float("nan"), float("inf"), "5", [5], {"a": 5}],
)
def test_what_is_no_plausible_number_counts_as_unknown(value):
    assert limits.count({"a": value}, 10, "a") == 0
    assert limits.count({"a": value, "b": 7}, 10, "a", "b") == 7


def test_a_shape_is_a_few_lengths_whose_product_can_be():
    assert limits.shape([2, 3]) == (2, 3)
    assert limits.shape([]) == ()
    for value in ([-1], [2**40, 2**40], [True], ["2"], [2.0], [1] * 9, None, "ab", {}, [10**30]):
        with pytest.raises(ValueError, match="tensor"):
            limits.shape(value)
