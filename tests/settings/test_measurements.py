"""What was measured here, from a file that anybody may have written to."""

import json

import pytest

from tui.settings.measurements import Measurements


@pytest.mark.parametrize(
    "number", ["1e999", "NaN", "-5", "true", '"7"', "1" + "0" * 400, "[]", "null"]
)
def test_a_figure_that_can_not_be_is_not_known(tmp_path, number):
    path = tmp_path / "measurements.json"
    entry = f'{{"memory_bytes": {number}, "tokens_per_s": [{number}, 5.0]}}'
    path.write_text(f'{{"m": {{"none": {entry}}}}}')
    assert Measurements(path).figures["m"]["none"] == (0, 5.0)


def test_what_was_measured_is_known_again(tmp_path):
    path = tmp_path / "measurements.json"
    Measurements(path).note_load("m", "none", 10**9)
    Measurements(path).note_speed("m", "none", 12.5)
    assert Measurements(path).figures == {"m": {"none": (10**9, 12.5)}}
    assert json.loads(path.read_text())
