"""Environments for the contestants that need other packages; created once, and kept in the user's cache."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import platformdirs

PIP_S = 3600


class Missing(Exception):  # noqa: N818 - it is a notice
    """A contestant isn't available on this machine; the message says why."""


def model_cache() -> Path:
    """Return the folder of the converted demo model, which the tests use too."""
    named = os.environ.get("CHAT_TUI_TEST_CACHE")
    # Absolute, because the measured apps find it through links.
    return Path(named or platformdirs.user_cache_dir("chat-tui-tests")).absolute()


def llama_cpp_python() -> str:
    """Return a Python with llama-cpp-python.

    Raises:
        Missing: it can't be installed; building it takes a C++ compiler and some minutes.
    """
    return _made("llama-cpp-python", ["llama-cpp-python"], "import llama_cpp")


def serving() -> str:
    """Return a Python with this environment's transformers and what `transformers serve` needs in addition.

    Raises:
        Missing: it can't be installed.
    """
    needed = ["fastapi", "uvicorn", "openai", "python-multipart"]
    check = "from transformers.utils.import_utils import is_serve_available as ok; assert ok()"
    return _made("transformers-serve", needed, check, shares=True)


def _made(name: str, packages: list[str], check: str, *, shares: bool = False) -> str:
    """Return the Python of an environment, which is created if it is missing.

    Args:
        name: the name of its folder.
        packages: to install.
        check: code that fails if something is missing.
        shares: whether it can import the packages of this environment too.
    """
    named = os.environ.get("CHAT_TUI_BENCHMARK_ENVIRONMENTS")
    base = Path(named) if named else Path(platformdirs.user_cache_dir("chat-tui-benchmarks"))
    folder = base / name
    python = folder / "bin" / "python"
    if not _works(python, check):
        print(f"creating an environment for {name}; this can take minutes", file=sys.stderr)
        _run([sys.executable, "-m", "venv", "--clear", str(folder)], name)
        if shares:
            ours = sysconfig.get_path("purelib")
            theirs = subprocess.run(
                [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                capture_output=True, text=True, check=True,
            ).stdout.strip()  # fmt: skip
            (Path(theirs) / "shared.pth").write_text(ours + "\n", "utf-8")
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        _run([*install, *packages], name)
        if not _works(python, check):
            raise Missing(f"{name} was installed but doesn't work")
    return str(python)


def _works(python: Path, check: str) -> bool:
    if not python.exists():
        return False
    return subprocess.run([python, "-c", check], capture_output=True, check=False).returncode == 0


def _run(command: list[str], name: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_S)
    except subprocess.CalledProcessError as error:
        last = (error.stderr or error.stdout or "").strip().splitlines()[-1:] or ["no reason given"]
        raise Missing(f"{name} can't be installed ({last[0]})") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{name} can't be installed ({error})") from error
