from __future__ import annotations

import pytest
from textual.widgets import Input, Label, OptionList

from tests.screens.host import OPEN, Host, screen_text, type_text, until
from tui.engine.base import ModelInfo, ModelLoadError
from tui.engine.catalog import ModelKind, ModelSource, resolve
from tui.screens.dialog import TextField
from tui.screens.reply_options import ChosenOptions, ReplyOptions
from tui.widgets.parameter_field import ParameterField, ValueInput

MODELS = [
    ModelSource(name, ModelKind.HUB, name, name, 1024**3)
    for name in ("org/small", "org/large", "else/[b]tiny\x1b")
]

SMALL = ModelInfo("org/small", "small", defaults={"top_k": 20})


@pytest.fixture
def dialog():
    return ReplyOptions({"temperature": 0.3}, SMALL, lambda: MODELS)


def field(dialog: ReplyOptions, name: str) -> ValueInput:
    return dialog.query_one(f"#parameter-{name}", ParameterField).query_one(ValueInput)


async def test_enter_returns_what_was_there(dialog):
    app = Host(dialog)
    async with app.run_test() as pilot:
        await pilot.press("enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result == ChosenOptions({"temperature": 0.3})


async def test_values_words_and_a_model_are_chosen(dialog):
    app = Host(dialog)
    async with app.run_test() as pilot:
        await type_text(pilot, "Sure ")
        field(dialog, "temperature").value = ""
        field(dialog, "seed").value = "42"
        dialog.query_one("#model", Input).value = "org/large"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result == ChosenOptions({"seed": 42}, "org/large", "Sure ")


async def test_words_to_begin_with_may_have_several_lines(dialog):
    app = Host(dialog)
    async with app.run_test() as pilot:
        await type_text(pilot, "one")
        await pilot.press("ctrl+j")
        await type_text(pilot, "two")
        await pilot.press("enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.start_text == "one\ntwo"


async def test_a_value_out_of_range_is_refused_in_place(dialog):
    app = Host(dialog)
    async with app.run_test(size=(80, 40)) as pilot:
        field(dialog, "temperature").focus()
        field(dialog, "temperature").value = "900"
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: "Must be from 0 to 100, not 900" in screen_text(pilot))
        assert app.result is OPEN


async def test_defaults_stand_in_empty_fields(dialog):
    app = Host(dialog)
    async with app.run_test():
        assert field(dialog, "top_k").placeholder == "20 (model)"
        assert field(dialog, "seed").placeholder == "random"


async def test_local_models_are_offered_filtered_and_taken(dialog):
    app = Host(dialog)
    async with app.run_test(size=(80, 40)) as pilot:
        options = dialog.query_one("#models", OptionList)
        await until(pilot, lambda: options.option_count == 3)
        await pilot.pause()
        assert "else/[b]tiny␛" in screen_text(pilot)
        dialog.query_one("#model", Input).focus()
        await type_text(pilot, "lar")
        await until(pilot, lambda: options.option_count == 1)
        options.focus()
        await pilot.press("home", "enter")
        await until(pilot, lambda: dialog.query_one("#model", Input).value == "org/large")
        await pilot.press("enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.model == "org/large"


async def test_naming_the_model_that_is_loaded_is_no_other_model(dialog):
    app = Host(dialog)
    async with app.run_test() as pilot:
        dialog.query_one("#model", Input).value = "org/small"
        await pilot.press("enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.model == ""


async def test_a_model_that_is_none_is_refused_with_the_reason_and_what_to_do(dialog, tmp_path):
    app = Host(dialog)
    async with app.run_test(size=(120, 40)) as pilot:
        dialog.query_one("#model", Input).value = str(tmp_path / "nothing.gguf")
        await pilot.press("enter")
        await until(pilot, lambda: not dialog.query_one("#problem").has_class("-none"))
        with pytest.raises(ModelLoadError) as refused:
            resolve(str(tmp_path / "nothing.gguf"))
        assert refused.value.hint
        assert str(dialog.query_one("#problem", Label).render()) == str(refused.value)
        assert app.result is OPEN
        assert dialog.focused is dialog.query_one("#model", Input)


@pytest.mark.parametrize("way", ["escape", "button"])
async def test_nothing_is_chosen(dialog, way):
    app = Host(dialog)
    async with app.run_test(size=(60, 20)) as pilot:
        await (pilot.press("escape") if way == "escape" else pilot.click("#cancel"))
        await pilot.pause()
        assert app.result is None


async def test_the_button_is_in_sight_on_a_small_screen(dialog):
    app = Host(dialog)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.click("#accept")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result == ChosenOptions({"temperature": 0.3})


async def test_the_first_field_is_that_of_the_words():
    dialog = ReplyOptions({}, None, list, start_text="So \x1b")
    app = Host(dialog)
    async with app.run_test():
        assert isinstance(dialog.focused, TextField)
        assert dialog.focused.text == "So ␛"
