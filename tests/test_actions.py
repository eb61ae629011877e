"""The registry of actions is what the screens really have."""

from __future__ import annotations

import re
from itertools import product

import pytest

from tui.actions import ACTIONS, Action, action
from tui.app import ChatApp
from tui.screens.chat import ChatScreen

OWNERS = {"app": ChatApp, "chat": ChatScreen, "turn": ChatScreen}


@pytest.mark.parametrize("known", ACTIONS, ids=lambda known: known.id)
def test_each_action_is_something_that_its_screen_does(known: Action):
    assert callable(getattr(OWNERS[known.scope], f"action_{known.method}"))


@pytest.mark.parametrize("known", ACTIONS, ids=lambda known: known.id)
def test_each_action_explains_itself(known: Action):
    assert re.fullmatch(r"[A-Z][\w ]*: .+", known.title)
    assert known.help.endswith(".")
    assert action(known.id) is known


def test_no_two_actions_share_an_id_or_a_key_where_both_can_be_reached():
    assert len({known.id for known in ACTIONS}) == len(ACTIONS)
    reach = {"app": {"app", "chat", "turn"}, "chat": {"chat", "turn"}, "turn": {"turn"}}
    seen: dict[tuple[str, str, str], str] = {}
    for known in ACTIONS:
        states = [known.when] if known.when in ("busy", "idle") else ["busy", "idle"]
        for key, scope, state in product(known.keys, reach[known.scope], states):
            assert seen.setdefault((scope, key, state), known.id) == known.id, key


def test_every_id_gives_a_method_name_of_its_own():
    assert len({known.method for known in ACTIONS}) == len(ACTIONS)
