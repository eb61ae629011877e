"""The private names of libraries that chat-tui uses: when one goes, the test that fails says what it was for.

`pyproject.toml` bounds the libraries for the same reason.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from operator import attrgetter

import pytest
from textual.app import App

NAMES = [
    ("textual.app", "App._handle_exception", "app: leaving in the middle of mounting is no crash"),
    ("textual.app", "App._fatal_error", "app: a traceback goes to the log, not to the screen"),
    ("textual.app", "App._close_messages_no_wait", "app: the same"),
    ("textual._xterm_parser", "XTermParser", "paste_guard: a paste stays a paste"),
    (
        "textual._xterm_parser",
        "XTermParser._sequence_to_key_events",
        "paste_guard: Alt with a digit is a key",
    ),
    (
        "textual.widgets",
        "Input._toggle_cursor",
        "editor: no cursor blinks where nothing is to move",
    ),
    ("textual.widgets", "TextArea._restart_blink", "editor: a field at rest costs nothing"),
    ("textual.widgets", "TextArea._toggle_cursor_blink_visible", "editor: the same"),
    ("textual.widgets", "TextArea._pause_blink", "editor: the same"),
    ("torch", "ops.aten._weight_int8pack_mm", "linear: int8 on a CPU"),
    ("torch", "ops.aten._convert_weight_to_int4pack_for_cpu", "linear: int4 on a CPU"),
    ("torch", "ops.aten._weight_int4pack_mm_for_cpu", "linear: the same"),
    ("torch", "ops.mkldnn._is_mkldnn_bf16_supported", "loading: the dtype on a CPU"),
    ("transformers", "PreTrainedModel._supports_flash_attn", "loading: FlashAttention"),
    ("transformers", "PreTrainedModel._can_compile_fullgraph", "compiled: what can be compiled"),
    ("transformers", "PreTrainedConfig._attn_implementation", "attention: whose place it takes"),
]


@pytest.mark.parametrize(("module", "name", "purpose"), NAMES, ids=[name for _, name, _ in NAMES])
def test_a_private_name_is_still_there(module, name, purpose):
    try:
        attrgetter(name)(import_module(module))
    except (AttributeError, RuntimeError) as error:
        pytest.fail(f"{module}.{name} is gone, which was for: {purpose} ({error})")


def test_an_app_says_privately_whether_it_is_being_left_and_why_it_failed():
    app = App()
    assert app._exit is False
    assert app._exception is None
    assert app._driver is None


def test_the_parser_of_arguments_lists_its_options_privately():
    parser = argparse.ArgumentParser()
    parser.add_argument("--one")
    assert "--one" in [option for action in parser._actions for option in action.option_strings]


def test_the_limit_of_recompilations_has_a_name():
    from torch import _dynamo

    assert isinstance(_dynamo.config.recompile_limit, int)
