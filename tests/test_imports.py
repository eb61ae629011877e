"""What may import what, and what must not be imported before it is needed.

Importing torch takes seconds, so neither the command line nor the first frame may wait for it. The layers themselves are
contracts in pyproject.toml; here they are checked with everything else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

_REPORT = """
import sys
loaded = {name.partition(".")[0] for name in globals().get("at_first_frame") or sys.modules}
print("loaded:", *sorted(loaded & {"torch", "transformers", "textual", "tokenizers", "bitsandbytes"}))
"""

_MODULES = """
print("modules:", *sorted(at_first_frame))
"""

_HELP = (
    """
from tui.cli import main
try:
    main(["--help"])
except SystemExit as ended:
    assert not ended.code, ended.code
"""
    + _REPORT
)

_FIRST_FRAME = (
    """
import asyncio, sys
from tui import cli
from tui.app import ChatApp
from tui.arguments import of_words
from tui.engine.llama.choice import takes
from tui.engine.process.engine import ProcessEngine
from tui.sessions.store import SessionStore
from tui.sessions.writer import SessionWriter
from tui.settings.paths import AppPaths
from tui.settings.state import AppState
from tui.settings.themes import first_themes, shipped_themes
from tui.startup import load_request, preferences_for

at_first_frame = []

# What comes behind the first frame may be imported any moment from there on.
ChatApp.on_ready = lambda self: at_first_frame.extend(sys.modules)

async def paint():
    paths = AppPaths.default()
    paths.ensure()
    arguments = of_words(["demo"])
    preferences, _ = preferences_for(arguments, paths)
    request, _ = load_request(arguments, preferences)
    assert request is None or takes(request) in (True, False)
    app = ChatApp(
        ProcessEngine(paths.cache),
        SessionWriter(SessionStore(paths.sessions, paths.index)),
        AppState(),
        preferences=preferences,
        paths=paths,
        themes=first_themes(),
        more_themes=shipped_themes,
    )
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "chat-tui" in app.export_screenshot()
        assert at_first_frame
    app.close()

asyncio.run(paint())
"""
    + _REPORT
)


def _run(script: str, home: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "CHAT_TUI_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_help_imports_nothing_heavy(tmp_path):
    output = _run(_HELP, tmp_path)
    assert "usage" in output.lower()
    assert output.splitlines()[-1] == "loaded:"


def test_the_first_frame_needs_neither_torch_nor_transformers(tmp_path):
    loaded = _run(_FIRST_FRAME, tmp_path).splitlines()[-1].split()[1:]
    assert "textual" in loaded
    assert not {"torch", "transformers", "bitsandbytes"} & set(loaded)


_AFTERWARDS = [
    r"httpx2|psutil|pyperclip|sqlite3|statistics",
    # A start without options needs no parser of them.
    r"argparse|gettext|tui\.(options|parser)",
    # Dialogs, each imported when it is first opened.
    r"tui\.screens\.(?!chat\b|presenting$).*",
    # What carries out actions: created right after the first frame.
    r"tui\.screens\.chat\.(handlers|\w+(?<!offered)_actions|attaching|completing|copying|details|downloading|editing|importing|leaving|looking_up|reading|stopping)",
    # Widgets that are hidden at first, and the settings, whose column is empty in the first frame.
    r"tui\.widgets\.(attachment_bar|chat_list|command_menu|find_bar|line_input|turn_editor|waiting_message)",
    r"tui\.widgets\.(drafting_group|explanation|parameter_\w+|setting_groups|switch_field|system_prompt)",
    # Models: the first frame knows only which one is wanted.
    r"tui\.engine\.(catalog|checkpoint|facts|fit|gguf\w*|quantization|safetensors\w*|foreign|local\b.*)",
    r"tui\.engine\.hub\b.*",
    r"tui\.engine\.remote\.(?!address$|servers$).*",
    # What draws turns: an empty chat has none.
    r"tui\.widgets\.markdown\.(?!palette$).*",
    r"tui\.widgets\.turn_(?!window$).*",
    r"tui\.highlighting\..*",
    # What reads and writes chats.
    r"tui\.conversation\.(codec|entries|formats\b.*|mending|merging|messages|reasoning_marks|thoughts)",
    r"tui\.sessions\.(index|salvage)",
    r"tui\.(transfer|export_html)",
]
_MOST_OWN_MODULES = 131
"""A new module that the first frame needs is a third of a millisecond; look whether it can wait before you raise this."""


def test_the_first_frame_of_an_empty_chat_imports_only_what_it_shows(tmp_path):
    output = _run(_FIRST_FRAME + _MODULES, tmp_path)
    line = next(line for line in output.splitlines() if line.startswith("modules:"))
    modules = line.split()[1:]
    early = [one for one in modules if any(re.fullmatch(rule, one) for rule in _AFTERWARDS)]
    assert not early, f"imported before the first frame: {early}"
    own = [one for one in modules if one.partition(".")[0] == "tui"]
    assert len(own) <= _MOST_OWN_MODULES, own


@pytest.mark.parametrize("layer", ["conversation", "parameters", "sanitize"])
def test_the_lowest_layers_import_only_the_standard_library(layer, tmp_path):
    script = f"""
import sys
before = set(sys.modules)
import tui.{layer}
new = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print("foreign:", *sorted(new - set(sys.stdlib_module_names) - {{"tui"}}))
"""
    assert _run(script, tmp_path).splitlines()[-1] == "foreign:"


def test_the_import_contracts_hold():
    checked = subprocess.run(
        [
            sys.executable,
            "-c",
            'from importlinter.cli import lint_imports_command as c; c(["--no-logo", "--no-cache"])',
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
