"""What a chat is set to: sidebar, system prompt, presets, settings, and where each value comes from."""

from __future__ import annotations

from dataclasses import replace

from textual import events
from textual.widgets import Button, Label

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, shown, still, until
from tests.screens.test_commanding import typed
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.engine.base import LoadRequest, TemplateSwitch
from tui.screens.ask import Ask
from tui.settings.config import read_config
from tui.settings.presets import Library, Preset
from tui.settings.state import AppState
from tui.widgets.parameter_field import ParameterField, ValueInput
from tui.widgets.system_prompt import SystemPrompt

SWITCHES = (TemplateSwitch("enable_thinking", (True, False), True), TemplateSwitch("persona"))


def engine_with(*, switches=(), defaults=None):
    engine = ScriptedEngine()
    engine.info = replace(engine.info, template_switches=switches, defaults=defaults or {})
    return engine


def sidebar(pilot):
    """The words in the sidebar, in the order in which they are read."""
    return " ".join(" ".join(line[-36:] for line in shown(pilot).splitlines()).split())


def field(screen, name):
    return screen.query_one(f"#parameter-{name}", ParameterField)


async def test_a_changed_value_is_seen_and_goes_back_by_key_click_and_all_at_once(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        entry = field(screen, "temperature").query_one(ValueInput)
        entry.focus()
        await pilot.press("shift+up", "down")
        assert screen.core.settings.parameters == {"temperature": 1.6}
        await until(
            pilot,
            lambda: "• Temperature" in shown(pilot) and "Sampling · 1 changed" in shown(pilot),
        )
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.core.settings.parameters == {})
        entry.post_message(events.MouseScrollUp(entry, 1, 0, 0, -1, 0, False, False, False))
        await until(pilot, lambda: screen.core.settings.parameters == {"temperature": 0.8})
        await pilot.click("#parameter-temperature .reset")
        await until(pilot, lambda: screen.core.settings.parameters == {})
        await typed(pilot, "/set temperature=1 top_k=9")
        await until(pilot, lambda: screen.query_one("#reset-all").display)
        screen.query_one("#reset-all").scroll_visible(animate=False)
        await until(pilot, lambda: "Reset parameters and prompt" in shown(pilot))
        await pilot.click("#reset-all")
        await until(
            pilot, lambda: screen.core.settings.parameters == {} and "changed" not in shown(pilot)
        )


async def test_an_invalid_value_is_refused_in_place_with_the_reason(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        field(screen, "temperature").query_one(ValueInput).focus()
        await pilot.press(*"900")
        words = "Must be from 0 to 100, not 900. In use: 0.7."
        await until(pilot, lambda: words in " ".join(sidebar(pilot).split()))
        await pilot.press("enter")
        assert screen.core.settings.parameters == {}


async def test_the_models_own_default_is_marked_so(desk: Desk):
    async with desk.app(engine_with(defaults={"temperature": 0.3})).run_test(size=WIDE) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "0.3 (model)" in shown(pilot))
        assert "0.95 (model)" not in shown(pilot)


async def test_groups_close_and_rare_fields_come_when_they_are_wanted_or_set(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        await ready(pilot)
        assert "Typical-p" not in shown(pilot)
        await typed(pilot, "/set typical_p 0.9")
        await until(pilot, lambda: "• Typical-p" in shown(pilot))
        await pilot.click("#group-sampling CollapsibleTitle")
        await until(pilot, lambda: "Temperature" not in shown(pilot))
        assert "Sampling · 1 changed" in shown(pilot)


async def test_switches_of_the_template_are_chosen_in_the_sidebar_and_sent(desk: Desk):
    engine = engine_with(switches=SWITCHES)
    async with desk.app(engine).run_test(size=(120, 60)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "enable_thinking" in shown(pilot))
        select = screen.query_one("SwitchField Select")
        select.value = 1
        screen.query_one("SwitchField Input").focus()
        await pilot.press(*"pirate", "enter")
        await until(pilot, lambda: len(screen.core.settings.template) == 2)
        await until(pilot, lambda: "Template switches · 2 changed" in shown(pilot))
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
    assert engine.requests[0].template == {"enable_thinking": False, "persona": "pirate"}
    (file,) = desk.files()
    assert file["settings"]["template"] == {"enable_thinking": False, "persona": "pirate"}


async def test_a_model_without_switches_has_no_group_for_them(desk: Desk):
    async with desk.app().run_test(size=(120, 60)) as pilot:
        await ready(pilot)
        assert "Template switches" not in shown(pilot)


async def test_the_system_prompt_has_its_tokens_and_says_from_where_a_change_holds(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/system Be very brief.")
        await until(pilot, lambda: "3 tokens" in shown(pilot))
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await typed(pilot, "/system Be kind.")
        await until(pilot, lambda: "System prompt · from reply 2 on" in sidebar(pilot))
        await say(pilot, "ho")
        await answered(pilot, screen, 4)
        await until(pilot, lambda: "from reply" not in shown(pilot))


async def test_prompts_are_kept_in_a_library(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/system Talk like a pirate.")
        await typed(pilot, "/prompt-save pirate")
        await until(pilot, (desk.paths.prompts / "pirate.txt").exists)
        await typed(pilot, "/system none")
        await until(pilot, lambda: screen.core.settings.system_prompt == "")
        await typed(pilot, "/prompt pirate")
        await until(pilot, lambda: screen.core.settings.system_prompt == "Talk like a pirate.")


async def test_a_preset_is_saved_applied_exported_and_taken_away(desk: Desk, tmp_path):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/set temperature=0.1")
        await typed(pilot, "/system Be right.")
        await typed(pilot, "/preset-save careful")
        await until(pilot, (desk.paths.presets / "careful.toml").exists)
        await typed(pilot, f"/preset-export {tmp_path / 'mine.toml'}")
        await until(pilot, (tmp_path / "mine.toml").exists)
        await typed(pilot, "/reset")
        await typed(pilot, "/system none")
        await typed(pilot, "/model other/model")
        await until(pilot, lambda: screen.model.ready and screen.model.info.model == "other/model")
        await typed(pilot, "/preset careful")
        await until(pilot, lambda: screen.core.settings.parameters == {"temperature": 0.1})
        assert screen.core.settings.system_prompt == "Be right."
        await until(pilot, lambda: screen.model.ready and screen.model.info.model == "scripted")
        await typed(pilot, "/preset-delete careful")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press("right", "enter")
        await until(pilot, lambda: not (desk.paths.presets / "careful.toml").exists())
        await typed(pilot, f"/preset {tmp_path / 'mine.toml'}")
        await until(pilot, lambda: screen.core.settings.parameters == {"temperature": 0.1})


async def test_what_is_saved_under_a_name_is_replaced_only_when_that_is_agreed_to(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        file, preset = desk.paths.prompts / "pirate.txt", desk.paths.presets / "cold.toml"
        await typed(pilot, "/system Talk like a pirate.")
        await typed(pilot, "/prompt-save pirate")
        await typed(pilot, "/preset-save cold")
        await until(pilot, lambda: file.exists() and preset.exists())
        await typed(pilot, "/system Talk like a cook.")
        for command, path in (("/prompt-save pirate", file), ("/preset-save cold", preset)):
            before = path.read_text()
            await typed(pilot, command)
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
            await pilot.press("k")
            await until(pilot, lambda: pilot.app.screen is screen)
            assert path.read_text() == before
            await typed(pilot, command)
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
            # Prose answers nothing.
            await pilot.press("r")
            await until(pilot, lambda: screen.composer.text == "r")
            screen.composer.begin()
            await pilot.press("right", "enter")
            await until(pilot, lambda path=path: "cook" in path.read_text())


async def test_a_model_brings_its_default_preset_along(desk: Desk):
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/set temperature=0.1")
        await typed(pilot, "/preset-save cold")
        await until(pilot, (desk.paths.presets / "cold.toml").exists)
        await typed(pilot, "/preset-default cold")
        words = "The preset cold now applies whenever Scripted-1B is loaded."
        await until(pilot, lambda: words in [one.message for one in pilot.app._notifications])
        await until(
            pilot,
            lambda: read_config(desk.paths.config_file).values == {"presets": {"scripted": "cold"}},
        )
        await typed(pilot, "/model other/model")
        await until(pilot, lambda: screen.model.ready and screen.model.info.model == "other/model")
        await typed(pilot, "/reset")
        await typed(pilot, "/model scripted")
        await until(pilot, lambda: screen.core.settings.parameters == {"temperature": 0.1})
        await typed(pilot, "/preset-default none")
        words = f"{screen.model.info.name} no longer has a preset."
        await until(pilot, lambda: words in [one.message for one in pilot.app._notifications])
        assert not read_config(desk.paths.config_file).values.get("presets")


async def test_the_preset_that_a_model_brings_ranks_below_the_file(desk: Desk):
    Library(desk.paths.presets, desk.paths.prompts).save_preset(
        Preset("cold", parameters={"temperature": 0.1, "top_k": 3}, system_prompt="Be cold.")
    )
    desk.paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    desk.paths.config_file.write_text(
        "[generation]\ntop_k = 11\n[chat]\nsystem_prompt = 'Of the file.'\n[presets]\n'other/model' = 'cold'\n"
    )
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/model other/model")
        await until(pilot, lambda: "temperature" in screen.core.settings.parameters)
        assert screen.core.settings.parameters == {"temperature": 0.1, "top_k": 11}
        assert screen.core.settings.system_prompt == "Of the file."


async def test_what_the_command_line_says_goes_before_the_opened_chats_own(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/set temperature=0.1 top_k=3")
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation.id
    app = desk.apps[-1]
    app.close()
    opened = desk.store.load(chat)
    start = Start(opened, LoadRequest("scripted"))
    async with desk.app(start=start, command_line={"generation.top_k": 9}).run_test(
        size=ROOMY
    ) as pilot:
        screen = await ready(pilot)
        assert screen.core.settings.parameters == {"temperature": 0.1, "top_k": 9}


async def test_what_a_file_says_is_not_remembered_beyond_it(desk: Desk):
    desk.paths.config_file.write_text("[generation]\ntop_k = 7\n")
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        assert screen.core.settings.parameters == {"top_k": 7}
        await typed(pilot, "/set temperature=0.1")
        await until(pilot, lambda: desk.states and desk.states[-1].parameters)
    assert desk.states[-1].parameters == {"temperature": 0.1}


async def test_the_sidebar_opens_over_a_narrow_chat(desk: Desk):
    async with desk.app().run_test(size=(60, 20)) as pilot:
        screen = await ready(pilot)
        assert not screen.has_class("-sidebar")
        await pilot.press("f2")
        await until(pilot, lambda: "Quantization" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: "Quantization" not in shown(pilot))


async def test_on_a_low_screen_the_setting_that_has_the_focus_is_shown(desk: Desk):
    async with desk.app().run_test(size=(44, 12)) as pilot:
        screen = await ready(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(screen.focused, ValueInput))
        await until(pilot, lambda: "Temperature" in shown(pilot))
        assert screen.view.sidebar.region.contains_region(screen.focused.region)


async def test_the_sidebar_names_the_model_from_its_first_frame_on(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.do("sidebar.toggle")
        await until(pilot, lambda: screen.query("#model"))
        assert str(screen.query_one("#model", Button).label) == "Scripted-1B ▾"
        assert "2,048 tokens" in str(screen.query_one("#model-note", Label).visual)


async def test_nothing_moves_in_the_sidebar_when_a_value_is_changed(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "When the context is full" in shown(pilot))
        before = screen.query_one("#group-overflow").region
        screen.core.settings.set({"temperature": 0.3})
        await until(pilot, lambda: screen.query_one("#reset-all").display)
        await until(pilot, lambda: "Reset parameters and prompt" in shown(pilot))
        assert screen.query_one("#group-overflow").region == before


async def test_the_fields_of_the_sidebar_end_in_one_column(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "When the context is full" in shown(pilot))
        sidebar = screen.view.sidebar
        fields = [*sidebar.query("SystemPrompt, Select, #parameter-temperature ValueInput")]
        assert len({field.region.right for field in fields if field.region.width}) == 1


async def test_the_first_start_says_how_things_work_and_never_again(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "Esc stop a reply" in shown(pilot))
        await until(pilot, lambda: desk.states and desk.states[-1].toured)
    async with desk.app(state=AppState(toured=True)).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "Ready" in shown(pilot))
        assert "Esc stop a reply" not in shown(pilot)


async def test_a_reset_goes_back_to_what_the_file_and_the_command_line_say(desk: Desk):
    desk.paths.config_file.parent.mkdir(parents=True, exist_ok=True)
    desk.paths.config_file.write_text("[generation]\ntop_k = 11\n")
    app = desk.app(command_line={"generation.top_p": 0.8})
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        assert screen.core.settings.parameters == {"top_k": 11, "top_p": 0.8}
        screen.core.settings.set({"top_k": 5, "top_p": 0.1, "temperature": 0.3})
        screen.do("settings.reset")
        assert screen.core.settings.parameters == {"top_k": 11, "top_p": 0.8}
        sources = {row.title: row.source for row in screen.handlers.settings.rows.all()}
        assert (sources["Top-k"], sources["Top-p"]) == ("configuration file", "command line")
        screen.view.sidebar.focus_on("top_k")
        field = screen.query_one("#parameter-top_k ValueInput")
        field.value = "7"
        field.focus()
        await pilot.press("enter")
        await until(pilot, lambda: screen.core.settings.parameters["top_k"] == 7)
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.core.settings.parameters["top_k"] == 11)
        assert field.value == "11"


async def test_what_is_wanted_before_the_sidebar_is_filled_is_done_when_it_is(desk: Desk):
    state = AppState(parameters={"top_k": 5, "temperature": 0.3})
    async with desk.app(state=state).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        assert not screen.view.sidebar.is_filled
        screen.core.settings.set({"top_k": 6})
        screen.core.settings.set({"top_k": 7, "temperature": None})
        wanted = dict(screen.core.settings.parameters)
        await pilot.pause()
        assert not screen.view.sidebar.is_filled
        screen.do("system.edit")
        await until(pilot, lambda: screen.view.sidebar.is_filled)
        assert isinstance(screen.focused, SystemPrompt)
        assert screen.query_one("#parameter-top_k", ParameterField).value == 7
        assert "· 1 changed" in shown(pilot)
        await still(pilot, screen)
        assert screen.core.settings.parameters == wanted
        assert "Scripted-1B ▾" in shown(pilot)


async def test_the_quantization_in_force_is_no_choice_when_the_settings_are_first_shown(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.core.loader.load(LoadRequest("scripted", "8bit"))
        await until(pilot, lambda: screen.model.ready and screen.model.quantization == "8bit")
        await pilot.press("f2")
        await until(pilot, lambda: screen.view.sidebar.is_filled)
        await still(pilot, screen)
        assert screen.query_one("#quantization").value == "8bit"
        assert [request.quantization for request in engine.load_requests] == ["none", "8bit"]


async def test_what_is_known_only_when_the_app_has_ended_is_not_shown_any_more(desk: Desk):
    """As when it is left right after a load, while what the load took is still written."""
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        sidebar_of_it = screen.view.sidebar
    assert not sidebar_of_it.query("#quantization")
    sidebar_of_it.show_measured({})
    sidebar_of_it.show_model("some", None)


async def test_a_model_that_is_chosen_in_the_app_is_loaded_as_the_settings_say(desk: Desk):
    settings = {"model.threads": 3, "model.kernels": False, "model.dtype": "float32"}
    async with desk.app(command_line=settings).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/model other/model")
        await until(pilot, lambda: screen.model.model == "other/model" and screen.model.ready)
        request = screen.app.worker._engine.load_requests[-1]
        assert (request.threads, request.kernels, request.dtype) == (3, False, "float32")
