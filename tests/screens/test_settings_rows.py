"""What is in force of each setting and where it comes from, told without a screen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui.chat.settings import ChatSettings
from tui.engine.base import Capabilities, ModelInfo
from tui.screens.settings_rows import Keeper, Row, SettingRows
from tui.settings.preferences import Preferences
from tui.settings.schema import SETTINGS
from tui.settings.state import AppState


def info(**facts: Any) -> ModelInfo:
    return ModelInfo("org/model", "model", "cpu", "bfloat16", **facts)


def rows_of(
    model: ModelInfo | None = None, state: AppState | None = None, **given: Any
) -> tuple[ChatSettings, dict[str, Row]]:
    """What the rows say with a model loaded and settings of the command line, by titles."""
    preferences = Preferences(state=state, command_line=given)
    settings = ChatSettings(preferences)
    rows = SettingRows(settings, SimpleNamespace(info=model), {})  # type: ignore[arg-type]
    return settings, {row.title: row for row in rows.all()}


def told(row: Row) -> tuple[str, str]:
    return row.value, row.source


def test_every_setting_has_a_row_and_each_row_a_value():
    _, rows = rows_of()
    assert len(rows) == len(SETTINGS)
    assert all(row.value and row.source and row.group for row in rows.values())


@pytest.mark.parametrize(
    ("model", "value", "source"),
    [
        (None, "0.7", "default"),
        (info(defaults={"temperature": 0.6}), "0.6", "model's default"),
        (info(server="http://x"), "server's own", "server's default"),
    ],
)
def test_what_nobody_sets_is_the_models_default_or_the_apps(model, value, source):
    _, rows = rows_of(model)
    assert told(rows["Temperature"]) == (value, source)
    assert not rows["Temperature"].is_set


def test_what_the_chat_sets_says_what_a_reset_gives():
    settings, _ = rows_of(info(defaults={"temperature": 0.6}))
    settings.set({"temperature": 0.9})
    loader: Any = SimpleNamespace(info=info(defaults={"temperature": 0.6}))
    row = SettingRows(settings, loader, {}).row(SETTINGS["generation.temperature"])
    assert told(row) == ("0.9", "this chat")
    assert row.below == ("0.6", "model's default")
    assert row.keeper is Keeper.CHAT


def test_what_was_used_last_and_what_the_command_line_says_are_told_apart():
    state = AppState(system_prompt="Be brief.", parameters={"top_k": 5})
    _, rows = rows_of(state=state, **{"generation.top_p": 0.5, "chat.user": "Ada"})
    assert told(rows["System prompt"]) == ("Be brief.", "last used")
    assert told(rows["Top-k"]) == ("5", "last used")
    assert told(rows["Top-p"]) == ("0.5", "command line")
    assert told(rows["Your name"]) == ("Ada", "command line")
    assert (rows["Your name"].keeper, rows["Theme"].keeper) == (Keeper.FILE, Keeper.FILE)


def test_a_parameter_that_a_server_does_not_take_says_so():
    capabilities = Capabilities(parameters=frozenset(("temperature",)))
    _, rows = rows_of(info(server="http://x", capabilities=capabilities))
    assert "doesn't support this parameter" in rows["Top-k"].refusal
    assert not rows["Temperature"].refusal
    assert rows["Quantization"].refusal == "The server chooses the quantization."


def test_facts_about_the_model_stand_among_the_settings():
    _, rows = rows_of(info(context_tokens=8192))
    assert rows["Context"].value == "8,192 tokens"
    assert rows["Loaded as"].value.startswith("bfloat16 on cpu")
    assert rows["Context"].setting is None
