"""Keys have one spelling wherever they are named."""

import re
from pathlib import Path

import pytest

import tui
from tui.widgets.bindings import key_text, keys_text, main_keys, pair_text


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ctrl+n", "Ctrl+N"), ("f2", "F2"), ("escape", "Esc"), ("enter", "Enter"), ("alt+up", "Alt+Up"), ("up", "↑"), ("pageup", "PgUp"),
        ("alt+pagedown", "Alt+PgDn"), ("shift+delete", "Shift+Del"), ("E", "E"), ("e", "e"), ("number_sign", "#"), ("=", "="),
        ("ctrl+underscore", "Ctrl+_"), ("+", "+"), ("Esc", "Esc"), ("Tab", "Tab"),
    ],
)  # fmt: skip
def test_a_key_is_written_as_people_write_it(key, text):
    assert key_text(key) == text
    assert key_text(key, ascii_only=True) == text.replace("↑", "Up")


def test_several_keys_stand_beside_each_other():
    assert keys_text(("f3", "ctrl+o")) == "F3, Ctrl+O"
    assert pair_text(("up", "down")) == "↑ ↓"
    assert pair_text(("up", "down"), ascii_only=True) == "Up/Down"
    assert pair_text(("n", "N")) == "n/N"
    assert main_keys(("up", "down", "pageup")) == ("up", "down")
    assert main_keys(("up", "k")) == ("up",)


def test_no_text_of_the_app_spells_a_key_otherwise():
    wrong = re.compile(
        r"\bEscape\b|\^[A-Z]\b|\bCTRL|\bctrl-|\bPageUp\b|\bPage Up\b|⏎|\bpress Delete\b"
    )
    found = [
        f"{path.name}: {text}"
        for path in Path(tui.__path__[0]).rglob("*.py")
        if path.parent.name not in ("markdown", "highlighting", "local")
        and path.name not in ("appearance.py", "long_text.py")
        for text in re.findall(
            r'(?<!")"([^"\n]+)"(?!")', re.sub(r'"""[\s\S]*?"""|#.*', "", path.read_text("utf-8"))
        )
        if wrong.search(text)
    ]
    assert found == []
