"""Where each value comes from, layer upon layer."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from tui.settings.preferences import Origin, Preferences
from tui.settings.presets import Preset
from tui.settings.schema import SETTINGS, SettingError
from tui.settings.state import AppState
from tui.settings.values import Values

LAYERS = ["default", "remembered", "preset", "file", "environment", "command line"]


@pytest.mark.parametrize("top", range(len(LAYERS)), ids=LAYERS)
def test_each_layer_goes_before_those_below_it(tmp_path, top):
    path = tmp_path / "config.toml"
    if top >= 3:
        path.write_text("[generation]\ntop_k = 3\n")
    preferences = Preferences(
        path,
        state=AppState(parameters={"top_k": 1}) if top >= 1 else None,
        environment={"CHAT_TUI_GENERATION_TOP_K": "4"} if top >= 4 else {},
        command_line={"generation.top_k": 5} if top >= 5 else {},
    )
    if top >= 2:
        preferences.apply_preset(Preset("p", parameters={"top_k": 2}))
    assert preferences.value("generation.top_k") == (top or None)
    assert preferences.origin("generation.top_k") == LAYERS[top]
    assert preferences.values.generation == ({"top_k": top} if top else {})


@pytest.mark.parametrize(
    ("named_by", "top_k", "top_p"),
    [("command line", "preset", "preset"), ("environment", "preset", "environment"), ("file", "file", "environment"), ("a model", "file", "environment")],
)  # fmt: skip
def test_a_preset_ranks_right_below_what_names_it(tmp_path, named_by, top_k, top_p):
    path = tmp_path / "config.toml"
    chat = '[chat]\npreset = "p"\n' if named_by == "file" else ""
    path.write_text(f"{chat}[generation]\ntop_k = 11\n")
    environment = {"CHAT_TUI_CHAT_PRESET": "p"} if named_by == "environment" else {}
    preferences = Preferences(
        path,
        environment={"CHAT_TUI_GENERATION_TOP_P": "0.5", **environment},
        command_line={"chat.preset": "p"} if named_by == "command line" else {},
        state=AppState(parameters={"min_p": 0.3}),
    )
    preferences.apply_preset(Preset("p", parameters={"top_k": 99, "top_p": 0.1, "min_p": 0.2}))
    assert preferences.origin("generation.top_k") == top_k
    assert preferences.origin("generation.top_p") == top_p
    assert preferences.values.generation["min_p"] == 0.2


def test_what_the_app_begins_with_is_what_is_in_force_and_all_else_that_was_remembered():
    state = AppState(model="a", theme="x", toured=True, parameters={"seed": 1})
    preferences = Preferences(
        state=state, command_line={"screen.theme": "y", "generation.top_k": 5}
    )
    begun = preferences.state()
    assert (begun.model, begun.theme, begun.toured) == ("a", "y", True)
    assert begun.parameters == {"seed": 1, "top_k": 5}
    assert preferences.remembered == state


def test_a_written_setting_holds_at_once_with_and_without_a_file(tmp_path):
    for path in (None, tmp_path / "config.toml"):
        preferences = Preferences(path)
        preferences.write({"screen.plain": True})
        assert preferences.value("screen.plain") is True
        assert preferences.origin("screen.plain") is Origin.FILE
        preferences.write({"screen.plain": None})
        assert preferences.origin("screen.plain") is Origin.DEFAULT


def test_every_setting_is_read_by_its_attribute_as_by_its_key():
    for preferences in (Preferences(), Preferences(command_line={"alerts.after_s": 2.5})):
        for key in (key for key in SETTINGS if not key.startswith("generation.")):
            found = preferences.values
            for name in key.split("."):
                found = getattr(found, name)
            assert found == preferences.value(key), key
    assert Preferences().values == Values()


def test_a_setting_takes_what_its_annotation_says():
    sections = {one.name: one.default_factory for one in fields(Values)}
    for key, setting in SETTINGS.items():
        section, _, name = key.partition(".")
        if is_dataclass(sections[section]):
            annotation = next(one.type for one in fields(sections[section]) if one.name == name)
            kind = "Mapping[str, str]" if setting.kind is dict else setting.kind.__name__
            assert annotation == kind, key


def test_the_values_in_force_are_others_after_a_change_and_those_from_before_stay(tmp_path):
    path = tmp_path / "config.toml"
    preferences = Preferences(path)
    before = preferences.values
    assert preferences.values is before
    preferences.write({"alerts.after_s": 3})
    assert (before.alerts.after_s, preferences.values.alerts.after_s) == (10.0, 3.0)
    path.write_text("[alerts]\nafter_s = 4\n# longer than it was before\n")
    preferences.reload()
    assert preferences.values.alerts.after_s == 4.0
    preferences.apply_preset(Preset("p", system_prompt="Be brief.", template={"thinking": False}))
    assert preferences.values.chat.system_prompt == "Be brief."
    assert preferences.values.template == {"thinking": False}
    with pytest.raises(FrozenInstanceError):
        before.alerts.after_s = 1.0


def test_a_file_that_is_half_written_changes_nothing_until_it_is_whole(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[screen]\nplain = true\n")
    preferences = Preferences(path)
    path.write_text("[screen]\nplain = fal")
    assert preferences.reload()
    assert preferences.value("screen.plain") is True
    assert "not valid TOML" in preferences.problems[0]
    path.write_text("[screen]\nplain = false\n")
    assert preferences.reload()
    assert preferences.value("screen.plain") is False
    assert not preferences.reload()


def test_the_preset_of_a_model_is_found_unless_one_is_named(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[presets]\n"org/m" = "careful"\n')
    assert Preferences(path).preset_name("org/m") == "careful"
    assert Preferences(path).preset_name("other") == ""
    assert Preferences(path, command_line={"chat.preset": "x"}).preset_name("org/m") == "x"


@pytest.mark.parametrize("what", ["itself", "folder"])
def test_a_configuration_that_is_a_link_in_a_circle_leaves_what_held(tmp_path, what):
    folder = tmp_path / "config"
    folder.mkdir()
    path = folder / "config.toml"
    path.write_text("[composer]\nfold_lines = 7\n")
    preferences = Preferences(path)
    path.unlink()
    if what == "itself":
        path.symlink_to(path)
    else:
        folder.rmdir()
        folder.symlink_to(folder)
    preferences.reload()
    preferences.reload()
    assert preferences.value("composer.fold_lines") in (7, 40)


@pytest.mark.parametrize("typed", ["9" * 400, "9" * 5_000, "-" + "9" * 30])
@pytest.mark.parametrize("key", ["composer.fold_lines", "alerts.after_s", "model.threads"])
def test_a_number_of_any_length_that_is_typed_is_refused(key, typed):
    with pytest.raises(SettingError):
        SETTINGS[key].parse(typed)
