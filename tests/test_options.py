"""The command line: that of `transformers chat`, old and new, and our own."""

from __future__ import annotations

import inspect
import json
import os
import shlex
import subprocess
import sys

import pytest

from tests.test_cli import run
from tui.arguments import of_words
from tui.completion import SHELLS, script
from tui.options import OPTIONS, generation_settings, parse, parser
from tui.parameters import PARAMETERS, ParameterError
from tui.settings.schema import SETTINGS


def settings(*words):
    return dict(parse(words).settings)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["org/m"], {"model.name": "org/m"}),
        (["org/m", "http://localhost:8000", "max_new_tokens=100", "do_sample=False", "eos_token_id=[1,2]"],
         {"model.name": "http://localhost:8000/#org/m", "generation.max_new_tokens": 100, "generation.do_sample": False, "generation.eos_token_id": [1, 2]}),
        (["temperature=.9", "org/m", "top_p=1e-1"], {"model.name": "org/m", "generation.temperature": 0.9, "generation.top_p": 0.1}),
        (["org/m", 'stop_strings=["a b", "c"]'], {"model.name": "org/m", "generation.stop_strings": ["a b", "c"]}),
        (["--user", "Ada", "org/m", "--system-prompt", "Be brief.", "--save-folder", "x", "--examples-path", "e.yml"],
         {"chat.user": "Ada", "model.name": "org/m", "chat.system_prompt": "Be brief.", "chat.save_folder": "x", "chat.examples": "e.yml"}),
        (["org/m", "--system_prompt=x", "--save_folder", "y"], {"model.name": "org/m", "chat.system_prompt": "x", "chat.save_folder": "y"}),
        (["--load_in_4bit", "org/m"], {"model.name": "org/m", "model.quantization": "4bit"}),
        (["--load-in-4bit", "True", "org/m"], {"model.name": "org/m", "model.quantization": "4bit"}),
        (["--load_in_4bit", "--bnb_4bit_quant_type", "fp4", "--use_bnb_nested_quant", "False"], {"model.quantization": "4bit-fp4", "model.double_quant": False}),
        (["--load_in_8bit", "--load_in_4bit", "false"], {"model.quantization": "8bit"}),
        (["--torch_dtype", "bfloat16", "--device", "cpu", "--attn_implementation", "sdpa", "--model_revision", "v1"],
         {"model.dtype": "bfloat16", "model.device": "cpu", "model.attention": "sdpa", "model.revision": "v1"}),
        (["--model_name_or_path", "org/m", "--temperature", "0.5", "--max_new_tokens=9", "--eos_token_ids", "1,2"],
         {"model.name": "org/m", "generation.temperature": 0.5, "generation.max_new_tokens": 9, "generation.eos_token_id": [1, 2]}),
        (["org/m", "--preset", "careful", "--theme", "beacon"], {"model.name": "org/m", "chat.preset": "careful", "screen.theme": "beacon"}),
        (["temperature=None"], {}),
        (["http://localhost:8000"], {"model.name": "http://localhost:8000"}),
        (["http://localhost:8000/v1/", "org/m"], {"model.name": "http://localhost:8000/#org/m"}),
        (["https://Host:443/v1/chat/completions", "a#b"], {"model.name": "https://host/#a#b"}),
        (["--base-url", "http://10.0.0.2:1/v1", "m"], {"model.name": "http://10.0.0.2:1/#m"}),
        (["http://localhost:8000/#org/m", "top_k=1"], {"model.name": "http://localhost:8000/#org/m", "generation.top_k": 1}),
    ],
)  # fmt: skip
def test_words_become_settings(words, expected):
    assert settings(*words) == expected


def test_every_option_of_theirs_is_one_of_ours():
    chat = pytest.importorskip("transformers.cli.chat").Chat
    ours = {name for action in parser()._actions for name in action.option_strings}
    theirs = set(inspect.signature(chat.__init__).parameters) - {
        "self",
        "model_id",
        "generate_flags",
    }
    assert {f"--{name.replace('_', '-')}" for name in theirs} <= ours


def test_every_option_is_a_setting():
    assert all(option.key in SETTINGS for option in OPTIONS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--temprature", "1"], "There is no option --temprature. Did you mean --temperature?"),
        (["--contine"], "Did you mean --continue?"),
        (["temprature=1"], "Did you mean temperature?"),
        (["temperature=900"], "must be from 0 to 100, not 900"),
        (["a", "b"], "'b' is not a name=value parameter"),
        (["--load-in-4bit", "--load-in-8bit"], "can't be combined"),
        (["--dtype", "int3"], "invalid choice"),
        (["--continue", "--session", "x"], "not allowed with"),
        (["--load-in-4bit=maybe"], "neither true nor false"),
    ],
)
def test_what_can_not_be_understood_is_said_with_what_was_perhaps_meant(words, sentence, capsys):
    with pytest.raises(SystemExit) as left:
        parse(words)
    assert left.value.code == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["m", "num_beams=4"], "num_beams is ignored: a chat streams one reply"),
        (["m", "--port", "8000"], "--port has no effect"),
        (["m", "--host", "localhost"], "--host has no effect"),
    ],
)
def test_what_has_no_meaning_here_is_said_and_stops_nothing(words, sentence):
    (notice,) = parse(words).notices
    assert sentence in notice


def test_a_generation_config_is_read_as_far_as_a_chat_has_a_use_for_it():
    text = json.dumps({"temperature": 0.3, "num_beams": 4, "eos_token_id": 5, "top_k": "x"})
    assert generation_settings(text) == {
        "generation.temperature": 0.3,
        "generation.eos_token_id": [5],
    }
    with pytest.raises(ParameterError):
        generation_settings("[1]")


def report(*words, home):
    result = run(*words, "--dry-run", home=home)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_a_dry_run_says_every_setting_and_where_it_comes_from(tmp_path, monkeypatch):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text(
        "[generation]\ntemperature = 0.1\ntop_p = 0.2\ntop_k = 3\n[chat]\npreset = 'p'\n"
    )
    (tmp_path / "config" / "presets").mkdir()
    (tmp_path / "config" / "presets" / "p.toml").write_text(
        "system_prompt = 'Hi'\n[parameters]\ntemperature = 1.5\nmin_p = 0.3\n"
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "state.json").write_text('{"parameters": {"min_p": 0.9, "seed": 7}}')
    monkeypatch.setenv("CHAT_TUI_GENERATION_TOP_P", "0.6")
    monkeypatch.setenv("CHAT_TUI_GENERATION_TOP_K", "6")
    said = report("org/m", "top_k=9", "--load-in-8bit", home=tmp_path)
    found = {
        name: said["settings"][f"generation.{name}"]
        for name in ("temperature", "top_p", "top_k", "min_p", "seed", "max_time")
    }
    assert found == {
        "temperature": {"value": 0.1, "origin": "file"},
        "top_p": {"value": 0.6, "origin": "environment"},
        "top_k": {"value": 9, "origin": "command line"},
        "min_p": {"value": 0.3, "origin": "preset"},
        "seed": {"value": 7, "origin": "remembered"},
        "max_time": {"value": None, "origin": "default"},
    }
    assert (said["model"], said["quantization"]) == ("org/m", "8bit")
    assert said["settings"]["chat.system_prompt"] == {"value": "Hi", "origin": "preset"}
    assert said["settings"].keys() == SETTINGS.keys()


def test_a_preset_named_on_the_command_line_goes_before_the_file(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[generation]\ntemperature = 0.1\n")
    preset = tmp_path / "mine.toml"
    preset.write_text("[parameters]\ntemperature = 1.5\n")
    said = report("--preset", str(preset), home=tmp_path)
    assert said["settings"]["generation.temperature"] == {"value": 1.5, "origin": "preset"}


def test_flags_go_before_a_generation_config(tmp_path):
    file = tmp_path / "generation_config.json"
    file.write_text('{"temperature": 0.3, "top_k": 3}')
    said = report("m", "top_k=9", "--generation-config", str(file), home=tmp_path)["settings"]
    assert (said["generation.temperature"]["value"], said["generation.top_k"]["value"]) == (0.3, 9)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--config", "nowhere.toml"], "The configuration file nowhere.toml doesn't exist"),
        (["--generation-config", "nowhere.json"], "nowhere.json can't be used"),
        (["--preset", "none"], "There is no preset 'none'"),
    ],
)
def test_a_named_file_that_is_not_there_is_said(words, sentence, tmp_path):
    result = run(*words, "--dry-run", home=tmp_path)
    assert result.returncode == 2
    assert sentence in result.stderr


def test_a_broken_configuration_file_is_a_notice(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.toml").write_text("[screen")
    said = report(home=tmp_path)
    assert any("not valid TOML" in notice for notice in said["notices"])


def test_config_explains_writes_and_takes_out(tmp_path):
    file = tmp_path / "config" / "config.toml"
    assert run("config", "--path", home=tmp_path).stdout.strip() == str(file)
    assert run("config", "screen.theme=beacon", "generation.top_k=5", home=tmp_path).returncode == 0
    assert 'theme = "beacon"' in file.read_text()
    assert run("config", "screen.theme=", home=tmp_path).returncode == 0
    assert "theme" not in file.read_text()
    text = run("config", "--explain", home=tmp_path).stdout
    assert "\ntop_k = 5\n" in text
    assert "# Environment: CHAT_TUI_SCREEN_THEME. Source: default." in text
    wrong = run("config", "screen.them=x", home=tmp_path)
    assert wrong.returncode == 2
    assert "Did you mean screen.theme?" in wrong.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_completion_script_has_every_option_parameter_and_subcommand(shell):
    text = script(shell, {"list": "List the chats."})
    for name in ("continue", "quantization", "attn-implementation", "dry-run"):
        assert name in text
    assert all(f"{name}=" in text for name in PARAMETERS)
    assert "torchao-int4" in text
    assert "list" in text


def completed(line):
    words = line.split(" ")
    values = {"theme": ["graphite", "glacier"], "preset": ["coder", "two words", "$(touch x)", "'"]}
    program = f"""{script("bash", {"list": "x"}, values)}
COMP_WORDS=({" ".join(words[:-1])} "{words[-1]}"); COMP_CWORD={len(words) - 1}
compopt() {{ :; }}; _chat_tui; printf '%s\\n' "${{COMPREPLY[@]}}" """
    result = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
    return result.stdout.split()


def test_bash_completes():
    assert completed("chat-tui --quantization 4") == ["4bit", "4bit-fp4"]
    assert completed("chat-tui --contin") == ["--continue"]
    assert completed("chat-tui tempera") == ["temperature="]
    assert completed("chat-tui li") == ["list"]
    assert completed("chat-tui --theme g") == ["graphite", "glacier"]
    assert completed("chat-tui --preset ") == ["coder"]


def test_completion_knows_the_presets_and_themes_of_the_user(tmp_path):
    folder = tmp_path / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "coder.toml").write_text("")
    for shell in SHELLS:
        text = run("completion", shell, home=tmp_path).stdout
        assert "coder" in text
        assert "graphite" in text
        assert "stream-json" in text


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_accept_their_script(shell):
    import shutil

    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run(
        [shell, "-n"],
        input=script(shell, {"list": "x"}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_wrong_arguments_answer_without_anything_heavy(tmp_path):
    code = "import sys; from tui.options import parse; parse(['m']); print([m for m in ('torch', 'transformers', 'textual', 'tomlkit', 'yaml') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["demo", "--quantization", "int4", "--load_in_8bit"], "can't be combined"),
        (["demo", "--quantization", "8bit", "--load_in_4bit"], "can't be combined"),
        (["demo", "--model_name_or_path", "other"], "Two models are given"),
        (["http://a", "m", "http://b"], "Two servers are given"),
        (["http://a", "--base-url", "http://b"], "Two servers are given"),
        (["http://u:secret@a/", "m"], "must not contain a user name or password"),
        (["http://a:99999"], "its host or port isn't valid"),
        (["http://a?key=sk-1"], "must not contain a query string"),
        (["localhost:8122"], "Did you mean http://localhost:8122?"),
        (["192.168.1.5:11434/v1"], "Did you mean http://192.168.1.5:11434/v1?"),
    ],
)
def test_what_contradicts_itself_is_refused(words, said, capsys):
    with pytest.raises(SystemExit):
        parse(words)
    assert said in capsys.readouterr().err


def test_a_dry_run_says_on_stderr_what_is_wrong(tmp_path):
    file = tmp_path / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[chatt]\nx = 1\n")
    done = run("demo", "--theme", "grafite", "--dry-run", home=tmp_path)
    assert done.returncode == 0
    assert json.loads(done.stdout)["model"] == "demo"
    assert "chatt" in done.stderr
    assert "There is no theme 'grafite'. Did you mean graphite?" in done.stderr


def test_a_theme_that_is_not_there_is_not_written(tmp_path):
    wrong = run("config", "screen.theme=nope", home=tmp_path)
    assert wrong.returncode == 2
    assert "There is no theme 'nope'" in wrong.stderr
    assert run("config", "screen.theme=nord", home=tmp_path).returncode == 0


@pytest.mark.parametrize("digits", [300, 5_000, 100_000])
def test_a_flag_of_any_length_is_no_file_name(digits):
    with pytest.raises(SystemExit, match="2"):
        parse([f"top_k={'9' * digits}"])


def test_a_pipe_in_place_of_a_generation_config_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "generation_config.json"
    os.mkfifo(pipe)
    result = run("m", "--generation-config", str(pipe), "--dry-run", home=tmp_path / "home")
    assert result.returncode == 2
    assert "can't be used (not a regular file)." in result.stderr


def test_a_server_is_started_with_by_its_name(tmp_path):
    file = tmp_path / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[servers.home]\nurl = "http://localhost:8000/v1"\n')
    assert report("home", home=tmp_path)["model"] == "http://localhost:8000"
    told = report("home", "--quantization", "4bit", home=tmp_path)["notices"]
    assert told == ["--quantization has no effect on a model on a server."]
    told = report("home", "--quantization", "4bit", "--dtype", "float32", home=tmp_path)["notices"]
    assert told == ["--quantization and --dtype have no effect on a model on a server."]


def test_a_preset_does_not_lead_to_a_server_of_its_own(tmp_path):
    file = tmp_path / "shared.toml"
    file.write_text('model = "http://localhost:8000/#m"\n')
    found = report("--preset", str(file), home=tmp_path)
    assert found["model"] is None
    assert any("uses a server that you have not used" in one for one in found["notices"])
    named = report("http://localhost:8000", "m", "--preset", str(file), home=tmp_path)
    assert named["model"] == "http://localhost:8000/#m"


def helps():
    from tui.ask import options as ask
    from tui.subcommands import PARSERS

    return {"chat-tui": parser, "chat-tui ask": ask.parser} | {
        f"chat-tui {name}": make for name, make in PARSERS.items()
    }


@pytest.mark.parametrize("name", list(helps()))
def test_help_begins_with_three_examples_and_fits_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = helps()[name]().format_help().splitlines()
    assert not [line for line in lines if len(line) > 80]
    at = lines.index("examples:")
    assert at <= 4
    assert all(line.startswith("  ") for line in lines[at + 1 : at + 4])


@pytest.mark.parametrize("name", list(helps()))
def test_every_example_of_a_help_is_a_command_line(name):
    known = helps()
    for example in known[name]().examples:
        words = shlex.split(example.replace("$(", "").replace(")", ""))
        at = words.index("chat-tui") if "chat-tui" in words else words.index("eval") + 1
        words = words[at:] if words[at] == "chat-tui" else shlex.split(words[at])
        end = words.index("|") if "|" in words else len(words)
        own = next(one for one in (" ".join(words[:2]), "chat-tui") if one in known)
        known[own]().parse_args(words[len(own.split()) : end])


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["org/model"],
        ["demo"],
        [""],
        ["http://localhost:8000"],
        ["org/model", "http://localhost:8000"],
        ["http://localhost:8000", "org/model"],
    ],
)
def test_words_alone_say_the_same_without_the_parser(words):
    assert of_words(words) == parse(words)


@pytest.mark.parametrize(
    "words",
    [
        ["a", "b"],
        ["temperature=0.5"],
        ["localhost:8000"],
        ["http://localhost:8000", "http://localhost:8001"],
        ["--resume"],
        ["a", "--theme", "dusk"],
        ["--", "a"],
    ],
)
def test_anything_else_is_left_to_the_parser(words):
    assert of_words(words) is None
