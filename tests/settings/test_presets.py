"""Presets and prompts are files that a person can write, read and pass on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.settings.presets import (
    Library,
    Preset,
    PresetError,
    export_preset,
    parse_preset,
    preset_text,
)

PRESET = Preset("careful", "org/model", "8bit", "Be brief.\nBe right.", {"temperature": 0.2, "stop_strings": ["#"]}, {"enable_thinking": False})  # fmt: skip


@pytest.fixture
def library(tmp_path):
    return Library(tmp_path / "presets", tmp_path / "prompts")


def test_a_preset_is_saved_listed_and_found(library):
    library.save_preset(PRESET)
    assert library.preset_names() == ["careful"]
    assert library.preset("careful") == PRESET
    library.delete_preset("careful")
    assert library.preset_names() == []


def test_an_exported_preset_is_one_file_that_opens_elsewhere(library, tmp_path):
    file = tmp_path / "careful.toml"
    export_preset(PRESET, file)
    assert library.preset(str(file)) == PRESET
    with pytest.raises(PresetError, match="already exists"):
        export_preset(PRESET, file)


def test_a_prompt_is_saved_and_found(library):
    library.save_prompt("pirate", "Talk like a pirate.\nAlways.")
    assert library.prompt_names() == ["pirate"]
    assert library.prompt("pirate") == "Talk like a pirate.\nAlways."


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "x" * 99, "a\nb"])
def test_a_name_never_leads_out_of_the_folder(library, name, tmp_path):
    with pytest.raises(PresetError):
        library.save_preset(Preset(name))
    with pytest.raises(PresetError):
        library.save_prompt(name, "x")
    assert list(tmp_path.rglob("*.*")) == []


def test_an_unknown_name_gets_the_nearest_one(library):
    library.save_preset(PRESET)
    with pytest.raises(PresetError, match=r"'carefull'\. Did you mean careful"):
        library.preset("carefull")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modl = 'x'", "Did you mean model"),
        ("model = 5", "model is not text"),
        ("parameters = 5", "parameters is not a table"),
        ("[parameters]\ntemperature = 900", "must be from 0 to 100, not 900"),
        ("[parameters]\nheat = 9", "no generation parameter 'heat'"),
        ("model = ", "not valid TOML"),
    ],
)
def test_a_preset_that_is_wrong_is_refused_in_a_sentence(text, words):
    with pytest.raises(PresetError, match=words):
        parse_preset("x", text)


@given(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40), st.floats(0, 2))
def test_a_preset_survives_being_written(prompt, temperature):
    preset = Preset("x", system_prompt=prompt, parameters={"temperature": temperature})
    try:
        text = preset_text(preset)
    except ValueError:
        return
    assert parse_preset("x", text) == preset
