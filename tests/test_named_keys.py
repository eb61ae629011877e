"""A sentence that names a key names the one in force: only keys that nobody can change are written out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tui
from tui.actions import ACTIONS

ROOT = Path(tui.__file__).parent
SAYING = sorted(
    path for folder in ("chat", "screens", "widgets") for path in (ROOT / folder).rglob("*.py")
)
KEY = re.compile(
    r"\b(F(?:[1-9]|1[0-2])|(?:Ctrl|Alt|Shift)\+\w+|[Pp]ress (?:[a-zA-Z#/=]|Del|Esc|PgUp|PgDn))(?!\w)"
)
FIXED = {
    # Escape closes every dialog; see `dialog.close`.
    "screens/session_list.py": {"press Esc"},
    "screens/chat/leaving.py": {"Press Esc"},
}


def sentences(path: Path) -> list[str]:
    """Every text of a module that could be shown: no docstrings."""
    tree = ast.parse(path.read_text())
    described = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in described
    ]


@pytest.mark.parametrize("path", SAYING, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_writes_out_a_key_that_can_be_changed(path: Path):
    found = {key for text in sentences(path) for key in KEY.findall(text)}
    assert found <= FIXED.get(str(path.relative_to(ROOT)), set())


def test_keys_that_are_written_out_are_fixed():
    close = next(one for one in ACTIONS if one.id == "dialog.close")
    assert (close.fixed, close.keys) == (True, ("escape",))
