"""Keys can be remapped, and a clash never takes an action's key away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.actions import ACTIONS
from tui.keymap import MAPS, keymap

DEFAULTS = {one.id: one.keys for one in ACTIONS}
PALETTE_ONLY = {one.id for one in ACTIONS if not one.keys}


@pytest.mark.parametrize("name", MAPS)
def test_a_ready_made_map_has_no_clash_and_takes_no_action_its_key(name):
    found = keymap(name)
    assert found.problems == ()
    assert {one for one, keys in found.keys.items() if not keys} == PALETTE_ONLY


def test_a_former_name_of_an_action_still_names_it():
    found = keymap("default", {"models.favourite": "f6"})
    assert (found.keys["models.favorite"], found.problems) == (("f6",), ())


def test_a_key_of_the_users_own_goes_before_the_maps():
    found = keymap("vim", {"turn.details": "f12, ctrl+b"})
    assert found.problems == ()
    assert found.keys["turn.details"] == ("f12", "ctrl+b")
    assert found.keys["turn.delete"] == ("delete",)
    assert not found.is_default
    assert keymap().is_default


@pytest.mark.parametrize(
    ("bindings", "words"),
    [
        ({"chat.new": "f2"}, "The key f2 is assigned to both sidebar.toggle and chat.new."),
        ({"turn.fork": "f1"}, "The key f1 is assigned to both app.help and turn.fork."),
        ({"transcript.find": "enter"}, "enter is needed for typing"),
        ({"transcript.find": "a"}, "a is needed for typing"),
        (
            {"chats.pin": "ctrl+d"},
            "The key ctrl+d is assigned to both chats.pin and chats.duplicate.",
        ),
        (
            {"chats.pin": "ctrl+f"},
            "The key ctrl+f is assigned to both finder.to_field and chats.pin.",
        ),
        (
            {"models.sort": "escape"},
            "The key escape is assigned to both dialog.close and models.sort.",
        ),
        ({"tree.fold": "f1"}, "The key f1 is assigned to both app.help and tree.fold."),
        (
            {"setting.unset": "down"},
            "The key down is assigned to both list.down and setting.unset.",
        ),
        ({"turns.fold": "y"}, "The key y is assigned to both turn.copy and turns.fold."),
        ({"list.down": "space"}, "space is needed for typing"),
        ({"find.next": "n"}, "n is needed for typing"),
        (
            {"find.next": "pageup"},
            "The key pageup is assigned to both transcript.page_up and find.next.",
        ),
    ],
)
def test_a_clash_is_refused_and_the_defaults_are_kept(bindings, words):
    found = keymap("vim", bindings)
    assert words in " ".join(found.problems)
    assert found.keys == DEFAULTS


@pytest.mark.parametrize(
    ("bindings", "words"),
    [
        ({"chat.nwe": "f12"}, "There is no action 'chat.nwe'. Did you mean chat.new?"),
        ({"chats.pon": "f12"}, "There is no action 'chats.pon'. Did you mean chats.pin?"),
        ({"dialog.close": "q"}, "dialog.close has fixed keys: escape."),
        (
            {"chats.pin": "p"},
            "p types text in the field, so it can't be the only key for chats.pin; the default keys are kept.",
        ),
        (
            {"chat.new": "ctrl+banana"},
            "'ctrl+banana' is not a valid key; chat.new keeps its default keys.",
        ),
    ],
)
def test_what_is_misspelt_is_said_and_the_rest_holds(bindings, words):
    found = keymap("default", {**bindings, "chat.undo": "f12"})
    assert words in found.problems
    assert found.keys["chat.undo"] == ("f12",)
    assert found.keys["chat.new"] == DEFAULTS["chat.new"]


@pytest.mark.parametrize(
    "bindings",
    [
        {"chats.pin": "ctrl+s"},
        {"models.sort": "ctrl+g"},
        {"tree.next_branch": "j", "tree.previous_branch": "k"},
        {"list.down": "ctrl+n,down", "list.up": "up,ctrl+o"},
        {"find.next": "enter,f2"},
        {"details.copy": "c,f4"},
        {"dialog.close": "escape"},
    ],
)
def test_the_same_key_can_mean_other_things_in_other_places(bindings):
    found = keymap("default", bindings)
    assert found.problems == ()
    assert all(found.keys[one] == tuple(keys.split(",")) for one, keys in bindings.items())


def test_an_action_can_do_without_a_key():
    assert keymap("default", {"chat.new": "none"}).keys["chat.new"] == ()


@given(
    st.dictionaries(
        st.sampled_from([one.id for one in ACTIONS]),
        st.sampled_from(["f1", "f2", "x", "ctrl+b", "alt+z", "enter", "none", "?+"]),
    )
)
def test_no_map_in_force_ever_has_a_clash(bindings):
    found = keymap("default", bindings)
    assert found.keys.keys() == DEFAULTS.keys()
    again = keymap("default", {one: ",".join(keys) or "none" for one, keys in found.keys.items()})
    assert again.problems == ()


def test_a_letter_can_not_be_the_only_key_of_what_is_wanted_while_one_types():
    found = keymap(bindings={"chat.new": "a"})
    assert "it can't be the only key for chat.new" in " ".join(found.problems)
    assert found.is_default
    assert not keymap(bindings={"chat.new": "a,f12", "turn.copy": "z"}).problems
