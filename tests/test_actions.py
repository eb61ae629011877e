"""The registry of actions is what the screens really have."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import tui
from tui.actions import ACTIONS, Action, action, actions
from tui.app import ChatApp
from tui.keymap import keymap
from tui.scopes import MAIN, PLACES, Scope
from tui.screens.chat import ChatScreen
from tui.screens.chat.commands import plain, with_argument


def own_classes() -> list[type[DOMNode]]:
    """Every class of the app that can have bindings."""
    for found in pkgutil.walk_packages(tui.__path__, "tui."):
        if found.name.startswith(("tui.app", "tui.appearance", "tui.screens", "tui.widgets")):
            importlib.import_module(found.name)
    return sorted(
        (one for one in _below(DOMNode) if one.__module__.startswith("tui.")),
        key=lambda one: one.__qualname__,
    )


def _below(kind: type[DOMNode]) -> Iterator[type[DOMNode]]:
    for one in kind.__subclasses__():
        yield one
        yield from _below(one)


def bindings_of(kind: type[DOMNode]) -> list[Binding]:
    return list(Binding.make_bindings(kind.__dict__.get("BINDINGS", [])))


def test_the_table_of_commands_does_each_action_once_and_nothing_else():
    handlers = MagicMock()
    takes_none, takes_one = plain(handlers), with_argument(handlers)
    assert not set(takes_none) & set(takes_one)
    assert {known.id for known in actions(*MAIN) if not known.argument} == set(takes_none)
    assert {known.id for known in actions(*MAIN) if known.argument} == set(takes_one)


@pytest.mark.parametrize("known", ACTIONS, ids=lambda known: known.id)
def test_each_action_explains_itself(known: Action):
    assert re.fullmatch(r"[A-Z$][^:]*[^.: ]", known.title)
    assert known.help[:1].isupper()
    assert known.help.endswith(".")
    assert action(known.id) is known


def test_no_two_actions_share_an_id_or_a_key_where_both_can_be_reached():
    assert len({known.id for known in ACTIONS}) == len(ACTIONS)
    assert keymap().problems == ()


@pytest.mark.parametrize("kind", own_classes(), ids=lambda kind: kind.__qualname__)
def test_each_key_of_a_class_is_in_the_registry(kind: type[DOMNode]):
    for binding in bindings_of(kind):
        assert binding.id is not None, f"{binding.key} of {kind.__qualname__} can't be remapped"
        default = keymap().keys[binding.id]
        assert binding.key in {_long(key) for key in default}


@pytest.mark.parametrize("kind", own_classes(), ids=lambda kind: kind.__qualname__)
def test_each_key_of_a_class_does_something(kind: type[DOMNode]):
    for binding in bindings_of(kind):
        name = re.sub(r"\(.*", "", binding.action)
        target, _, name = name.rpartition(".")
        owner = {"": kind, "screen": ChatScreen, "app": ChatApp}[target]
        assert callable(getattr(owner, f"action_{name}", None) or getattr(owner, name, None))


def test_each_action_with_a_key_is_bound_somewhere():
    bound = {binding.id for kind in own_classes() for binding in bindings_of(kind)}
    assert {known.id for known in ACTIONS if known.keys and known.bound} == bound


def test_what_is_not_bound_has_fixed_keys():
    assert all(known.fixed for known in ACTIONS if not known.bound)


def test_what_is_listed_has_a_title_of_its_own_and_a_group():
    listed = [known for known in actions(*MAIN) if known.listed]
    assert len({known.title for known in listed}) == len(listed)
    assert all(known.area for known in actions(*MAIN))


def test_every_place_has_a_name_for_help():
    assert set(PLACES) == set(Scope) - set(MAIN)


def _long(key: str) -> str:
    (binding,) = Binding.make_bindings([Binding(key, "")])
    return binding.key
