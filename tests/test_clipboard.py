from __future__ import annotations

import pyperclip
import pytest

from tui.clipboard import TERMINAL_BYTES, copy_natively


@pytest.fixture
def no_tool(monkeypatch):
    def refuse(text: str) -> None:
        raise pyperclip.PyperclipException("no tool")

    monkeypatch.setattr(pyperclip, "copy", refuse)


def test_with_a_tool_nothing_is_written_to_a_file(monkeypatch, tmp_path):
    copied: list[str] = []
    monkeypatch.setattr(pyperclip, "copy", copied.append)
    text = "x" * (TERMINAL_BYTES + 1)
    assert copy_natively(text, tmp_path / "copied.txt") is None
    assert copied == [text]
    assert not list(tmp_path.iterdir())


def test_without_a_tool_a_long_text_goes_to_a_private_file(no_tool, tmp_path):
    file = tmp_path / "cache" / "copied.txt"
    assert copy_natively("é" * TERMINAL_BYTES, file) == file
    assert file.read_text() == "é" * TERMINAL_BYTES
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_tool_a_short_text_is_the_terminals_business(no_tool, tmp_path):
    assert copy_natively("short", tmp_path / "copied.txt") is None
    assert not list(tmp_path.iterdir())


def test_a_file_that_cant_be_written_does_no_harm(no_tool, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert copy_natively("x" * (TERMINAL_BYTES + 1), blocked / "copied.txt") is None
