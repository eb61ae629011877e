import logging
import stat
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tui.logs import LogError, log_path, start_logging


@pytest.fixture(autouse=True)
def restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, __import__("threading").excepthook, sys.unraisablehook
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    sys.excepthook, __import__("threading").excepthook, sys.unraisablehook = hooks


def run(folder, code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own that logs to `folder`."""
    start = f"import pathlib\nfrom tui.logs import start_logging\nstart_logging(pathlib.Path({str(folder)!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", start + code], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("code", "logged"),
    [
        ("import logging; logging.getLogger('lib').warning('careful')", "lib: careful"),
        ("import warnings; warnings.warn('old', FutureWarning)", "FutureWarning: old"),
        ("1 // 0", "ZeroDivisionError"),
        ("import threading; t = threading.Thread(target=lambda: 1 // 0, name='worker'); t.start(); t.join()", "thread worker"),
        ("class Freed:\n    def __del__(self):\n        raise OSError('while it is freed')\nFreed()\n", "while it is freed"),
        ("import logging; logging.warning('%d', 'no number')", ""),
        ("import logging; logging.warning('\\ud800')", ""),
    ],
)  # fmt: skip
def test_nothing_reaches_the_screen_and_all_of_it_the_log(tmp_path, code, logged) -> None:
    done = run(tmp_path, code)
    assert (done.stdout, done.stderr) == ("", "")
    assert logged in log_path(tmp_path).read_text()


def test_the_log_is_the_owners_and_does_not_grow_without_end(tmp_path) -> None:
    folder = tmp_path / "logs"
    path = start_logging(folder)
    assert path == log_path(folder)
    for _ in range(4_000):
        logging.getLogger("lib").warning("x" * 1_000)
    files = sorted(folder.iterdir())
    assert len(files) == 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.stat().st_size <= 1_000_000


def test_a_second_start_takes_the_place_of_the_first(tmp_path) -> None:
    start_logging(tmp_path / "a")
    start_logging(tmp_path / "b")
    logging.getLogger("lib").warning("once")
    assert "once" not in log_path(tmp_path / "a").read_text()
    assert log_path(tmp_path / "b").read_text().count("once") == 1


def test_without_a_folder_there_is_a_sentence_and_still_no_noise(tmp_path, capfd) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="works without"):
        start_logging(tmp_path / "file" / "logs")
    logging.getLogger("lib").warning("into the void")
    assert capfd.readouterr() == ("", "")
