"""`chat-tui models`, as a shell sees it."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.engine import tiny
from tests.engine.hub.hub_case import QUICK
from tests.hub_server import serving
from tui import model_table
from tui.cli import main
from tui.engine.facts import folder_facts
from tui.engine.hub.hub import Hub
from tui.engine.local.placement import half_dtype
from tui.model_table import print_models
from tui.screens.models import rows
from tui.settings.paths import AppPaths
from tui.settings.state import AppState, save_state
from tui.widgets.figures import bytes_text


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path / "home"))
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    made = AppPaths.default()
    made.ensure()
    return made


@pytest.fixture
def shelf(tmp_path, paths):
    tiny.llama(tmp_path / "shelf" / "tiny\x1b[31m")
    save_state(paths.state, AppState(model_folders=(str(tmp_path / "shelf"),)))
    return tmp_path / "shelf"


def test_the_models_of_this_machine_with_what_they_need(shelf, capsys):
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "27k · float32" in said
    assert "\x1b" not in said
    assert "4bit" in said
    assert "fits" in said
    assert "free on CPU" in said


def test_a_line_has_the_total_that_the_picker_has(shelf, capsys):
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    facts = folder_facts(next(shelf.iterdir()))
    for one in rows.verdicts("tiny", facts, rows.FreeMemory()):
        assert f"{bytes_text(one.needed.total_bytes)}" in rows.total_text(one)
        assert re.search(rf"{one.quantization} .* {bytes_text(one.needed.total_bytes)}", said)


def test_one_bad_model_takes_nothing_from_the_table(shelf, capsys):
    for name, number in (("a", "1" + "0" * 400), ("b", "1e999"), ("c", "[" * 5000)):
        (shelf / name).mkdir()
        (shelf / name / "config.json").write_text(f'{{"hidden_size": {number}}}')
    os.mkfifo(shelf / "pipe.gguf")
    assert main(["models"]) == 0
    said = capsys.readouterr().out
    assert "27k · float32" in said
    assert "401 digits" in said
    assert "nested too deeply" in said or "not valid JSON" in said


def test_the_same_as_json(shelf, capsys):
    assert main(["models", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    [model] = [one for one in answer["models"] if one["kind"] == "folder"]
    assert model["parameters"] == 27008
    assert model["has_template"] is True
    fits = {one["quantization"]: one for one in model["fit"]}
    assert fits["none"]["grade"] == "fits"
    assert (
        fits["4bit"]["weights_bytes"]
        < fits["none"]["weights_bytes"]
        == 54016 * (2 if half_dtype("cpu") == "" else 1)
    )
    for one in fits.values():
        parts = one["weights_bytes"] + one["cache_bytes"] + one["other_bytes"]
        assert one["total_bytes"] == parts
    assert answer["memory"]["free_bytes"] > 0


def test_a_search_of_the_hub(paths, tmp_path, capsys):
    with serving() as server:
        server.add_folder("org/tiny-chat", tiny.llama(tmp_path / "tiny"), downloads=1200)
        print_models(paths, hub_words="tiny", as_json=False, hub=Hub(server.url))
    said = capsys.readouterr().out
    assert "org/tiny-chat" in said
    assert "1.2k downloads · apache-2.0" in said
    assert "1 model;" in said


def test_without_a_network_there_is_a_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tui", "models", "--hub", "x"],
        capture_output=True, text=True, check=False,
        env={"CHAT_TUI_HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("chat-tui models: The Hugging Face Hub can't be reached")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("HTTPS_PROXY", "127.0.0.1:9"), ("ALL_PROXY", "foo://x"), ("SSL_CERT_FILE", "/nowhere.pem")],
)
def test_a_variable_that_keeps_the_hub_away_is_named_with_what_to_do(
    paths, monkeypatch, capsys, name, value
):
    import huggingface_hub

    huggingface_hub.close_session()
    monkeypatch.setenv(name, value)
    monkeypatch.setattr(model_table, "Hub", lambda: Hub("https://hub.invalid", QUICK))
    assert main(["models", "--hub", "x"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("chat-tui models: The Hugging Face Hub can't be")
    assert name in said
    assert re.search(r"\. (Check|Correct) ", said)


@pytest.fixture
def model_server():
    from tests.engine.remote.fake_server import serving as serving_models

    with serving_models("ollama") as running:
        yield running


def test_the_models_of_a_server_are_listed_by_its_name_or_address(
    paths, model_server, capsys, monkeypatch
):
    paths.config_file.write_text(f'[servers.home]\nurl = "{model_server.url}"\nkey_env = "HOME_KEY"\n')  # fmt: skip
    monkeypatch.setenv("HOME_KEY", "sk-1")
    for named in ("home", f"{model_server.url}/v1"):
        assert main(["models", "--server", named]) == 0
        said = capsys.readouterr()
        assert f"{model_server.url}/#org/model-1b\n    Q4_K_M\n1 model on " in said.out
        assert said.err == ""
    assert {one.headers.get("authorization") for one in model_server.requests} == {"Bearer sk-1"}
    assert main(["models", "--server", "home", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["server"] == "Ollama"
    assert [one["id"] for one in report["models"]] == ["org/model-1b"]


@pytest.mark.parametrize(
    ("named", "code", "said"),
    [
        ("hom", 2, "There is no server 'hom'. Did you mean home?"),
        ("http://u:p@h", 2, "must not contain a user name or password"),
        ("home", 1, "home can't be reached"),
    ],
)
def test_a_server_that_can_not_be_asked_is_said(paths, capsys, named, code, said):
    paths.config_file.write_text('[servers.home]\nurl = "http://127.0.0.1:9"\n')
    assert main(["models", "--server", named]) == code
    assert said in capsys.readouterr().err
