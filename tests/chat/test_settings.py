from __future__ import annotations

from tui.chat.settings import Area, ChatSettings
from tui.conversation import Conversation
from tui.conversation.context import OverflowPolicy
from tui.engine.base import ModelInfo, Speculation
from tui.settings.preferences import Origin, Preferences
from tui.settings.state import AppState


def made(tmp_path, config: str = "", *, chat: Conversation | None = None, **layers):
    file = tmp_path / "config.toml"
    file.write_text(config)
    states: list[AppState] = []
    settings = ChatSettings(Preferences(file, **layers), chat, keep=states.append)
    return settings, states


def test_what_is_set_in_the_chat_goes_before_the_file_and_gives_way_to_it_again(tmp_path):
    settings, _ = made(tmp_path, "[generation]\ntop_k = 11\n")
    assert settings.parameters == {"top_k": 11}
    assert settings.origin("top_k") is Origin.FILE
    settings.set({"top_k": 5})
    assert (settings.parameters["top_k"], settings.origin("top_k")) == (5, Origin.CHAT)
    settings.set({"top_k": None})
    assert (settings.parameters["top_k"], settings.origin("top_k")) == (11, Origin.FILE)


def test_the_chat_s_own_parameters_go_before_the_file_but_not_before_the_command_line(tmp_path):
    chat = Conversation().with_settings({"config": {"top_k": 7, "top_p": 0.5}})
    settings, _ = made(
        tmp_path,
        "[generation]\ntop_k = 11\n",
        chat=chat,
        command_line={"generation.top_p": 0.9},
    )
    assert settings.parameters == {"top_k": 7, "top_p": 0.9}
    assert settings.origin("top_k") is Origin.CHAT
    assert settings.origin("top_p") is Origin.COMMAND_LINE


def test_only_what_was_chosen_in_the_app_is_remembered(tmp_path):
    settings, states = made(
        tmp_path,
        "[generation]\ntop_k = 11\n[chat]\nsystem_prompt = 'of the file'\n",
        state=AppState(system_prompt="of last time"),
    )
    settings.set({"temperature": 0.3})
    assert states[-1].parameters == {"temperature": 0.3}
    assert states[-1].system_prompt == "of last time"
    settings.set_prompt("typed")
    assert states[-1].system_prompt == "typed"


def test_a_changed_file_holds_but_for_what_was_changed_in_the_chat(tmp_path):
    settings, _ = made(tmp_path, "[generation]\ntop_k = 11\ntop_p = 0.9\nmin_p = 0.1\n")
    settings.set({"top_k": 5})
    (tmp_path / "config.toml").write_text("[generation]\ntop_k = 12\ntop_p = 0.8\n# longer\n")
    assert settings.preferences.reload()
    settings.take_configuration()
    assert settings.parameters == {"top_k": 5, "top_p": 0.8}


def test_a_snapshot_is_a_copy(tmp_path):
    settings, _ = made(tmp_path)
    settings.set({"top_k": 5})
    settings.set_switch("thinking", False)
    taken = settings.snapshot()
    settings.set({"top_k": 6})
    settings.set_switch("thinking", None)
    assert taken.parameters == {"top_k": 5}
    assert taken.template == {"thinking": False}
    assert settings.template == {}
    assert settings.snapshot({"top_p": 0.1}).parameters == {"top_p": 0.1}


def test_each_change_says_what_is_another(tmp_path):
    settings, states = made(tmp_path)
    heard: list[Area] = []
    settings.changed.listen(heard.append)
    settings.set({"top_k": 5})
    settings.set_switch("thinking", True)
    settings.set_template({})
    settings.set_prompt("x")
    settings.set_quantization("8bit")
    settings.set_overflow(OverflowPolicy.DROP_OLDEST)
    settings.set_speculation(Speculation.OFF)
    settings.open(Conversation(system_prompt="y"))
    assert heard == [
        Area.PARAMETERS,
        Area.TEMPLATE,
        Area.TEMPLATE,
        Area.PROMPT,
        Area.QUANTIZATION,
        Area.OVERFLOW,
        Area.SPECULATION,
        Area.ALL,
    ]
    assert states[-1].speculation == "off"
    assert states[-1].quantization == "8bit"
    assert settings.system_prompt == "y"


def test_the_prompt_of_undo_is_shown_and_not_remembered(tmp_path):
    settings, states = made(tmp_path)
    settings.show_prompt_of(Conversation(system_prompt="before"))
    assert settings.system_prompt == "before"
    assert states == []


def test_a_chat_s_file_says_what_its_replies_were_made_with(tmp_path):
    settings, _ = made(tmp_path)
    settings.set({"top_k": 5})
    chat = Conversation().with_settings({"of another tool": 1})
    assert settings.for_file(chat, None) == {
        "of another tool": 1,
        "config": {"top_k": 5},
        "template": {},
    }
    info = ModelInfo("org/m", "M", quantization="4bit")
    assert settings.for_file(chat, info)["model_id"] == "org/m"


def test_models_are_loaded_as_the_settings_say(tmp_path):
    settings, _ = made(tmp_path, "[model]\ndtype = 'float32'\n")
    settings.set_quantization("8bit")
    request = settings.load_request("org/m")
    assert (request.model, request.quantization, request.dtype) == ("org/m", "8bit", "float32")
    assert settings.load_request("org/m", "none").quantization == "none"
