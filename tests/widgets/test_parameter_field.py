"""The field of one parameter: what it keeps, and what counts as changed."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Button, Label

from tui.engine.base import Capabilities, ModelInfo
from tui.parameters import PARAMETERS
from tui.widgets.defaults import Defaults
from tui.widgets.parameter_field import ParameterField, ValueInput


class Host(App[None]):
    def __init__(self, value=None) -> None:
        super().__init__()
        self.field = ParameterField(PARAMETERS["temperature"], value)

    def compose(self) -> ComposeResult:
        yield self.field
        yield Button("elsewhere")

    @property
    def input(self) -> ValueInput:
        return self.field.query_one(ValueInput)

    @property
    def problem(self) -> str:
        return str(self.field.query_one(".problem", Label).visual)


async def test_what_is_refused_stays_with_the_reason_until_it_is_mended():
    app = Host(0.5)
    async with app.run_test() as pilot:
        app.input.focus()
        await pilot.press("ctrl+u", *"1", "full_stop", *"9x", "tab")
        await pilot.pause()
        assert app.input.value == "1.9x"
        assert app.field.has_class("-invalid")
        assert app.problem == "Must be a number, not '1.9x'.\nIn use: 0.5."
        # Nothing but the message looks as if it were in force.
        assert app.input.share is None
        assert app.input.styles.text_style.strike
        assert app.field.value == 0.5
        app.input.focus()
        await pilot.press("end", "backspace", "tab")
        await pilot.pause()
        assert app.field.value == 1.9
        assert not app.field.has_class("-invalid")
        assert app.input.share is not None
        assert not app.input.styles.text_style.strike


async def test_escape_takes_a_refused_value_back():
    app = Host(1.5)
    async with app.run_test() as pilot:
        app.input.focus()
        await pilot.press("ctrl+u", *"abc")
        await pilot.pause()
        assert app.field.has_class("-invalid")
        await pilot.press("escape")
        await pilot.pause()
        assert app.input.value == "1.5"
        assert not app.field.has_class("-invalid")


async def test_a_value_that_holds_anyway_is_no_change():
    app = Host()
    async with app.run_test() as pilot:
        for value, is_changed in ((0.7, False), (0.8, True), (None, False)):
            app.field.set_value(value)
            await pilot.pause()
            assert app.field.has_class("-changed") is is_changed
        app.field.set_value(0.6)
        app.field.set_defaults(Defaults({"temperature": 0.6}))
        await pilot.pause()
        assert not app.field.has_class("-changed")


def test_what_a_server_does_not_say_is_its_own():
    info = ModelInfo(
        "http://x/#m",
        "m",
        defaults={"top_k": 40},
        server="x",
        capabilities=Capabilities(parameters=frozenset({"temperature", "top_k", "seed"})),
    )
    defaults = Defaults.of(info)
    shown = {name: defaults.text(PARAMETERS[name]) for name in ("temperature", "top_k", "seed")}
    assert shown == {"temperature": "server's own", "top_k": "40", "seed": "random"}
    assert defaults.refusal(PARAMETERS["top_p"]) == "x doesn't support this parameter."
    assert defaults.refusal(PARAMETERS["top_k"]) == ""
    assert Defaults.of(None).text(PARAMETERS["temperature"]) == "0.7"
