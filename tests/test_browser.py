"""An address opens on the desktop, or not at all: never in the terminal, and never so that the app waits."""

from __future__ import annotations

import os
import pty
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tui import browser
from tui.browser import browser_commands, open_address

URL = "https://a.example/x?y=1&z=$(touch%20pwned);#%s"


def script(folder: Path, body: str, name: str = "fake") -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize(
    ("value", "command"),
    [
        ("firefox", ["firefox", URL]),
        ("firefox --new %s -x", ["firefox", "--new", URL, "-x"]),
        ("opera --to=%s &", ["opera", f"--to={URL}"]),
        ("w3m:/usr/bin/lynx %s:my-browser", ["my-browser", URL]),
        ("'unclosed", ["xdg-open", URL]),
        ("www-browser", ["xdg-open", URL]),
        ("", ["xdg-open", URL]),
    ],
)
def test_the_browser_that_is_wanted_comes_first_unless_it_is_one_for_text(
    value: str, command: list[str]
) -> None:
    environment = {"DISPLAY": ":0", "BROWSER": value}
    assert next(browser_commands(URL, environment, "linux")) == command


def test_without_a_desktop_nothing_is_opened() -> None:
    assert not list(browser_commands(URL, {"BROWSER": "firefox"}, "linux"))
    assert next(browser_commands(URL, {}, "darwin")) == ["open", URL]
    assert next(browser_commands(URL, {"WSL_DISTRO_NAME": "Debian"}, "linux")) == ["wslview", URL]


def test_an_address_is_never_taken_for_an_option() -> None:
    assert not list(browser_commands("--remote", {"DISPLAY": ":0"}, "linux"))
    assert not list(browser_commands("", {"DISPLAY": ":0"}, "linux"))


def test_the_address_is_one_word_and_no_shell_reads_it(tmp_path: Path) -> None:
    fake = script(tmp_path, f'printf "%s\\n" "$#" "$1" > {tmp_path}/seen')
    assert open_address(URL, {"DISPLAY": ":0", "BROWSER": str(fake)})
    assert (tmp_path / "seen").read_text() == f"1\n{URL}\n"
    assert not (tmp_path / "pwned").exists()


def test_a_browser_that_fails_was_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_LINUX", ())
    assert not open_address(URL, {"DISPLAY": ":0", "BROWSER": str(script(tmp_path, "exit 3"))})
    assert not open_address(URL, {"DISPLAY": ":0", "BROWSER": str(tmp_path / "missing")})


def test_a_browser_that_blocks_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "_START_S", 0.3)
    fake = script(tmp_path, f"echo $$ > {tmp_path}/pid\nexec sleep 300")
    assert open_address(URL, {"DISPLAY": ":0", "BROWSER": str(fake)})
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_a_browser_can_neither_read_the_terminal_nor_write_on_it(tmp_path: Path) -> None:
    body = f"echo stolen\necho stolen >&2\n(echo stolen > /dev/tty) 2> {tmp_path}/tty\ncat > {tmp_path}/read\n: > {tmp_path}/done"
    fake = script(tmp_path, body)
    program = (
        "import sys; from tui.browser import open_address; "
        "sys.exit(not open_address('https://a.example', {'DISPLAY': ':0', 'BROWSER': sys.argv[1]}))"
    )
    master, terminal = pty.openpty()
    os.write(master, b"typed\n")
    try:
        done = subprocess.run(
            [sys.executable, "-c", program, str(fake)],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
            timeout=60,
            check=False,
        )
        os.set_blocking(master, False)
        seen = os.read(master, 10_000)
    finally:
        os.close(master)
        os.close(terminal)
    assert done.returncode == 0
    assert (tmp_path / "done").exists()
    assert (tmp_path / "tty").read_text()
    assert (tmp_path / "read").read_text() == ""
    assert b"stolen" not in seen
