"""TOML of anybody: what can be neither shown nor counted with is refused where it is read."""

from __future__ import annotations

import pytest

from tui.settings.config import parse_config
from tui.settings.presets import PresetError, parse_preset
from tui.settings.toml_text import TomlError, parse_toml

HUGE = ("1" + "0" * 400, "0x" + "f" * 5_000, "-1" + "0" * 30, str(2**63))


@pytest.mark.parametrize("number", HUGE, ids=lambda text: text[:8])
@pytest.mark.parametrize(
    "place", ["a = {}", "a = [1, [{}]]", "[t]\nb = {{c = {}}}", "[[t]]\nd = {}"]
)
def test_a_number_that_toml_does_not_promise_to_hold_is_refused_wherever_it_is(number, place):
    with pytest.raises(TomlError, match="too large"):
        parse_toml(place.format(number))


def test_numbers_that_it_promises_to_hold_are_read():
    assert parse_toml(f"a = {2**63 - 1}\nb = {-(2**63)}") == {"a": 2**63 - 1, "b": -(2**63)}


@pytest.mark.parametrize("number", HUGE, ids=lambda text: text[:8])
@pytest.mark.parametrize(
    "key", ["[composer]\nfold_lines", "[alerts]\nafter_s", "[screen]\nsidebar", "[generation]\nseed", "[template]\na"],
)  # fmt: skip
def test_a_configuration_with_such_a_number_is_a_sentence(number, key):
    found = parse_config(f"{key} = {number}")
    assert "too large" in " ".join(found.problems)


def test_a_preset_with_such_a_number_is_a_sentence():
    with pytest.raises(PresetError):
        parse_preset("p", f"[parameters]\ntop_k = {HUGE[1]}")
