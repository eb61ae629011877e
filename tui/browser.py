"""Opens an address in the desktop's browser, never in the terminal that the app is drawn on.

Text browsers (`www-browser`, `BROWSER=lynx`) would write over the screen and take its keys, so they are passed over, and
whatever is started has neither the terminal nor its streams. Which addresses may be opened is not decided here.
"""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_START_S: Final = 2.0
"""Seconds after which a browser that still runs counts as opened."""
_DESKTOPS: Final = ("DISPLAY", "WAYLAND_DISPLAY", "VSCODE_IPC_HOOK_CLI")
_TEXT_BROWSERS: Final = frozenset(
    ("www-browser", "w3m", "lynx", "links", "links2", "elinks", "browsh", "carbonyl", "cha", "chawan", "edbrowse", "retawq",
     "netrik", "curl", "wget", "emacs", "vim", "nvim")
)  # fmt: skip
_LINUX: Final = (
    ("xdg-open",),
    ("gio", "open"),
    ("x-www-browser",),
    ("firefox",),
    ("google-chrome",),
    ("chromium",),
)
_WSL: Final = (("wslview",), ("rundll32.exe", "url.dll,FileProtocolHandler"))


def browser_commands(
    url: str, environment: Mapping[str, str], platform: str = sys.platform
) -> Iterator[list[str]]:
    """Yield the commands that may open `url` on a desktop, best first; none where there is no desktop.

    Args:
        url: an address that begins with its scheme; one that a program could take for an option is refused.
        environment: variables such as `BROWSER` and `DISPLAY`.
        platform: as `sys.platform` names it.
    """
    if not url[:1].isalpha():
        return
    is_wsl = "WSL_DISTRO_NAME" in environment
    has_desktop = platform in ("darwin", "win32") or is_wsl
    if not has_desktop and not any(environment.get(name) for name in _DESKTOPS):
        return
    for wanted in environment.get("BROWSER", "").split(os.pathsep):
        if command := _wanted(wanted, url):
            yield command
    if platform == "darwin":
        yield ["open", url]
    elif platform == "win32":
        yield ["rundll32", "url.dll,FileProtocolHandler", url]
    else:
        yield from ([*command, url] for command in ((*_WSL, *_LINUX) if is_wsl else _LINUX))


def _wanted(entry: str, url: str) -> list[str]:
    """Return an entry of `BROWSER` as a command; nothing for a text browser, or for what can't be read."""
    try:
        words = shlex.split(entry.rstrip().removesuffix("&"))
    except ValueError:
        return []
    if not words or Path(words[0]).name.lower() in _TEXT_BROWSERS:
        return []
    if any("%s" in word for word in words[1:]):
        return [words[0], *(word.replace("%s", url) for word in words[1:])]
    return [*words, url]


def open_address(url: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Open an address in the desktop's browser; return whether that worked. Blocks for a moment: call it off the UI thread."""
    return any(_runs(command) for command in browser_commands(url, environment))


def _runs(command: list[str]) -> bool:
    import shutil

    if shutil.which(command[0]) is None:
        return False
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        _log.info("%s can't be started: %s", command[0], error)
        return False
    try:
        return process.wait(_START_S) == 0
    except subprocess.TimeoutExpired:
        # Waited for later on, so that it leaves no zombie.
        threading.Thread(target=process.wait, name="browser", daemon=True).start()
        return True
