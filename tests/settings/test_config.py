"""The configuration file: strict, kind to comments, and never in the way of a start."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation.strategies import JSON
from tui.parameters import PARAMETERS
from tui.settings.config import (
    Config,
    ConfigError,
    changed_text,
    explain,
    parse_config,
    read_config,
    read_environment,
    write_setting,
    write_settings,
)
from tui.settings.schema import SECTIONS, SETTINGS, SettingError

COMMENTED = """\
# my settings
[screen]   # looks
theme = "beacon"  # easy on the eye

# how it writes
[generation]
temperature = 0.5
"""


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("composer.fold_lines", "the number is not between 0 and 100000."),
        ("alerts.after_s", "the number is not between 0 and 86400."),
        ("keys.map", "a number is not one of default, vim, emacs."),
    ],
)
def test_a_number_that_is_too_large_to_show_is_refused_without_it(key, words):
    for number in (2**63 + 1, 10**5_000):
        with pytest.raises(SettingError) as raised:
            SETTINGS[key].check(number)
        assert raised.value.message == f"Setting {key}: {words}"


def test_every_setting_stands_in_a_section_and_explains_itself():
    for key, setting in SETTINGS.items():
        assert key.partition(".")[0] in SECTIONS
        assert setting.help.endswith(".")
        assert setting.title[:1].isupper() or setting.title[:1].isdigit()
        assert setting.group
        if setting.default is not None:
            assert setting.check(setting.default) == setting.default
    assert {f"generation.{name}" for name in PARAMETERS} <= SETTINGS.keys()
    assert len({setting.variable for setting in SETTINGS.values()}) == len(SETTINGS)


def test_a_former_choice_is_still_read():
    config = parse_config('[chat]\nwhen_full = "summarise"')
    assert (config.values, config.problems) == ({"chat.when_full": "summarize"}, ())


def test_a_file_is_read():
    found = parse_config(COMMENTED)
    assert found == Config({"screen.theme": "beacon", "generation.temperature": 0.5})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[scren]\ntheme = 'x'", "There is no setting 'scren'. Did you mean screen?"),
        ("[screen]\nthem = 'x'", "There is no setting 'screen.them'. Did you mean screen.theme?"),
        ("theme = 'x'", "There is no setting 'theme'"),
        ("[screen]\nplain = 1", "screen.plain: '1' is not true or false"),
        ("[generation]\ntemperature = 900", "must be from 0 to 100, not 900"),
        ("[keys]\nmap = 'nano'", "'nano' is not one of default, vim, emacs"),
        ("[keys.bindings]\n'chat.new' = 5", "is not a table of actions and keys"),
        ("screen = 1", "There is no setting 'screen'"),
    ],
)
def test_what_is_wrong_is_said_and_the_rest_is_used(text, words):
    found = parse_config("[chat]\nuser = 'Ada'\n" + text if text.startswith("[") else text)
    assert len(found.problems) == 1
    assert words in found.problems[0]
    assert found.values == ({"chat.user": "Ada"} if text.startswith("[") else {})


@given(
    st.dictionaries(
        st.sampled_from([*SECTIONS, "x"]),
        st.dictionaries(st.text(max_size=8), JSON, max_size=3) | JSON,
        max_size=4,
    )
)
def test_a_strict_reader_takes_nothing_that_is_not_valid(document):
    import tomlkit

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if one is not None}
        if isinstance(value, list):
            return [plain(one) for one in value if one is not None]
        return value

    try:
        text = tomlkit.dumps(plain(document))
    except (ValueError, TypeError, UnicodeError):
        return
    found = parse_config(text)
    for key, value in found.values.items():
        assert SETTINGS[key].check(value) == value


@given(st.text())
def test_any_text_is_read_without_an_error(text):
    found = parse_config(text)
    assert found.is_whole or (found.problems and not found.values)


VALUES = st.sampled_from(
    [("screen.theme", "ember-dark"), ("generation.top_k", 7), ("screen.plain", True), ("chat.system_prompt", "a\nb\"\\"),
     ("keys.bindings", {"chat.new": "f12"}), ("template", {"enable_thinking": False}), ("alerts.after_s", 3.5),
     ("generation.stop_strings", ["a b", "c"]), ("presets", {"org/model": "careful"})]
)  # fmt: skip


@given(st.lists(VALUES, max_size=5))
def test_a_round_trip_keeps_comments_and_every_other_key(changes):
    text = COMMENTED
    wanted = dict(parse_config(COMMENTED).values)
    for key, value in changes:
        text = changed_text(text, {key: value})
        wanted[key] = value
    assert parse_config(text) == Config(wanted)
    for comment in ("# my settings", "# looks", "# easy on the eye", "# how it writes"):
        assert comment in text


def test_taking_a_key_out_leaves_the_rest():
    text = changed_text(COMMENTED, {"generation.temperature": None, "screen.plain": None})
    assert parse_config(text) == Config({"screen.theme": "beacon"})
    assert "# how it writes" in text


@pytest.mark.parametrize("content", [b"[screen", b'theme = "', b"\xff\xfe\x00", b"[a]\n[a]"])
def test_a_half_written_file_stops_nothing_and_is_never_overwritten(tmp_path, content):
    path = tmp_path / "config.toml"
    path.write_bytes(content)
    found = read_config(path)
    assert found.values == {}
    assert "left unchanged" in found.problems[0]
    with pytest.raises(ConfigError, match="Not saved"):
        write_setting(path, "screen.plain", True)
    assert path.read_bytes() == content


def test_a_folder_in_its_place_stops_nothing(tmp_path):
    (tmp_path / "config.toml").mkdir()
    assert not read_config(tmp_path / "config.toml").is_whole


def test_writing_makes_the_file_and_refuses_what_is_not_allowed(tmp_path):
    path = tmp_path / "config" / "config.toml"
    write_settings(path, {"screen.plain": True, "generation.top_k": 3})
    assert read_config(path).values == {"screen.plain": True, "generation.top_k": 3}
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(SettingError):
        write_setting(path, "screen.plain", "maybe")


def test_a_link_stays_a_link(tmp_path):
    real = tmp_path / "dotfiles.toml"
    real.write_text(COMMENTED)
    path = tmp_path / "config.toml"
    path.symlink_to(real)
    write_setting(path, "screen.plain", True)
    assert path.is_symlink()
    assert "plain = true" in real.read_text()


def test_the_environment_is_read_by_the_same_table():
    found = read_environment(
        {
            "CHAT_TUI_SCREEN_THEME": "beacon",
            "CHAT_TUI_GENERATION_TEMPERATURE": "1e-1",
            "CHAT_TUI_SCREEN_PLAIN": "yes",
            "CHAT_TUI_TEMPLATE": "enable_thinking=false",
            "CHAT_TUI_HOME": "/x",
            "PATH": "/bin",
        }
    )
    assert found.problems == ()
    assert found.values == {
        "screen.theme": "beacon",
        "generation.temperature": 0.1,
        "screen.plain": True,
        "template": {"enable_thinking": False},
    }


def test_a_misspelt_variable_is_said():
    found = read_environment({"CHAT_TUI_SCREEN_THEM": "x", "CHAT_TUI_SCREEN_PLAIN": "maybe"})
    assert "Did you mean CHAT_TUI_SCREEN_THEME?" in " ".join(found.problems)
    assert len(found.problems) == 2


def test_the_explanation_names_every_key_and_is_a_file_itself():
    text = explain({key: one.default for key, one in SETTINGS.items()}, {})
    for key, setting in SETTINGS.items():
        assert key in SECTIONS or f"{setting.name} =" in text
        assert setting.help in text
    assert parse_config(text) == Config({"template": {}, "presets": {}, "servers": {}})


def test_what_the_file_sets_stands_in_the_explanation_as_it_is():
    found = parse_config(COMMENTED)
    text = explain(found.values, dict.fromkeys(found.values, "file"))
    assert parse_config(text).values == {
        **found.values,
        "template": {},
        "presets": {},
        "servers": {},
    }


def test_servers_are_tables_with_names_of_the_users_own():
    text = '[servers.home]\nurl = "http://localhost:8000"\n[servers."x-1.y"]\nurl = "https://y"\nkey_env = "K"\ncontext = 4096\n'
    found = parse_config(text)
    assert found.problems == ()
    assert found.values == {
        "servers": {
            "home": {"url": "http://localhost:8000"},
            "x-1.y": {"url": "https://y", "key_env": "K", "context": 4096},
        }
    }
    assert parse_config(explain(found.values, {"servers": "file"})).values["servers"] == found.values["servers"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servers = 3", "'3' is not a table of server names and addresses"),
        ('[servers]\nhome = "http://x"', "[servers.home] must be a table"),
        (
            '[servers."a b"]\nurl = "http://x"',
            "[servers.a b] must be a table, and its name may contain only letters",
        ),
        ('[servers.home]\nurll = "http://x"', "'urll' is not a known key. Did you mean url?"),
        ("[servers.home]\nurl = 3", "'3' is not a string"),
        ('[servers.home]\ndialect = "x"', "'x' is not one of transformers, vllm"),
        ("[servers.home]\ncontext = -1", "'-1' is not a number from 0"),
    ],
)
def test_a_server_that_is_not_right_is_said(text, said):
    found = parse_config(text)
    assert said in found.problems[0]
    assert not found.values.get("servers")
    both = (
        parse_config(f'{text}\n[servers.good]\nurl = "http://y"')
        if text != "servers = 3"
        else found
    )
    assert list(both.values.get("servers", ())) == ([] if both is found else ["good"])


def test_servers_are_not_set_by_the_environment():
    found = read_environment({"CHAT_TUI_SERVERS": "home=http://x"})
    assert "only be set in the file" in found.problems[0]
