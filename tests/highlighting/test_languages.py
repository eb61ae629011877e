"""How files of a language are named."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tui.highlighting.languages import extension_of


@pytest.mark.parametrize(
    ("language", "extension"),
    [("py", ".py"), ("Bash", ".sh"), ("nonsense", ".txt"), ("", ".txt"), ("x" * 100_000, ".txt")],
)
def test_the_name_of_a_language_says_how_its_files_end(language, extension):
    assert extension_of(language) == extension


def test_neither_a_lexer_nor_a_plugin_is_imported_for_that():
    script = """
import sys
from tui.highlighting.languages import extension_of
assert extension_of("py") == ".py"
import pygments.plugin
loaded = [name for name in sys.modules if name.startswith("pygments.lexers.") and not name.endswith("_mapping")]
assert not loaded, loaded
assert "importlib.metadata" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
