import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.settings import AppState, StateError, load_state, save_state

STATE = AppState(
    model="org/model",
    quantization="4bit",
    parameters={"temperature": 0.3, "top_k": 7},
    system_prompt="Be brief.\nBe kind.",
    theme="ember-light",
    sidebar=False,
    recent_commands=("chat.new",),
)


def test_what_was_remembered_comes_back(tmp_path) -> None:
    path = tmp_path / "new" / "state.json"
    save_state(path, STATE)
    assert load_state(path) == (STATE, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_former_names_are_still_read(tmp_path) -> None:
    path = tmp_path / "state.json"
    path.write_text('{"favourites": ["org/one"], "overflow": "summarise"}')
    state, problem = load_state(path)
    assert (state.favorites, state.overflow, problem) == (("org/one",), "summarize", "")
    save_state(path, state)
    assert "favourites" not in path.read_text()
    assert load_state(path) == (state, "")


def test_without_a_file_the_defaults_hold(tmp_path) -> None:
    assert load_state(tmp_path / "state.json") == (AppState(), "")
    assert load_state(tmp_path / "no" / "state.json") == (AppState(), "")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\x00", b"[" * 100_000])
def test_a_broken_file_is_kept_aside_and_said(tmp_path, content) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    state, problem = load_state(path)
    assert state == AppState()
    assert "state.json.damaged-1" in problem
    assert (tmp_path / "state.json.damaged-1").read_bytes() == content
    save_state(path, STATE)
    assert load_state(path) == (STATE, "")


def test_values_that_can_not_be_used_are_left_out(tmp_path) -> None:
    path = tmp_path / "state.json"
    path.write_text(
        json.dumps(
            {
                "model": 7,
                "theme": None,
                "sidebar": "yes",
                "quantization": "8bit",
                "parameters": {"temperature": 999, "top_p": 0.5, "seed": "x", "unknown": 1},
                "unknown": 1,
            }
        )
    )
    expected = AppState(quantization="8bit", parameters={"top_p": 0.5})
    assert load_state(path) == (expected, "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
keys = st.sampled_from(["model", "quantization", "parameters", "system_prompt", "theme", "sidebar"])


@given(document=st.dictionaries(keys, json_values))
def test_no_content_is_an_error(tmp_path_factory, document) -> None:
    path = tmp_path_factory.mktemp("state") / "state.json"
    path.write_text(json.dumps(document))
    state, _ = load_state(path)
    save_state(path, state)
    assert load_state(path) == (state, "")


def test_a_folder_that_can_not_be_written_is_said(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="can't be saved"):
        save_state(tmp_path / "file" / "state.json", STATE)


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path) -> None:
    (tmp_path / "state.json").mkdir()
    state, problem = load_state(tmp_path / "state.json")
    assert state == AppState()
    assert "can't be read" in problem


def test_a_command_that_is_chosen_again_comes_to_the_front_and_the_oldest_goes() -> None:
    state = AppState(recent_commands=("a", "b", "c", "d", "e", "f"))
    assert state.with_recent_command("c") == ("c", "a", "b", "d", "e", "f")
    assert state.with_recent_command("g") == ("g", "a", "b", "c", "d", "e")
