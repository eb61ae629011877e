"""The registry of actions is what the screens really have."""

from __future__ import annotations

import re
from itertools import product
from unittest.mock import MagicMock

import pytest

from tui.actions import ACTIONS, Action, action
from tui.screens.chat.commands import plain, with_argument


def test_the_table_of_commands_does_each_action_once_and_nothing_else():
    doers = MagicMock()
    takes_none, takes_one = plain(doers), with_argument(doers)
    assert not set(takes_none) & set(takes_one)
    assert {known.id for known in ACTIONS if not known.argument} == set(takes_none)
    assert {known.id for known in ACTIONS if known.argument} == set(takes_one)


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
