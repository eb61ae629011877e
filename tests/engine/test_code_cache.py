"""What torch compiles is kept where nobody else can write, and taken again only as it was left."""

import os
import subprocess
import sys
import tempfile

import pytest

from tui.engine.local import manifest
from tui.engine.local.code_cache import CodeCache

NAME = "TORCHINDUCTOR_CACHE_DIR"
HEADERS = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in (NAME, HEADERS):
        # Set first, so that what the test sets is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", os.environ["PATH"])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "compiled"


@pytest.fixture
def left(folder):
    """A folder that a process left, which is gone."""
    folder.mkdir(parents=True, mode=0o700)
    (folder / "ab").mkdir()
    (folder / "ab" / "code.so").write_bytes(b"code")
    (folder / "ab" / "code.py").write_bytes(b"print()")
    manifest.write(folder)
    return folder


def opened(folder):
    made = CodeCache(folder)
    made.open()
    return made


def names(folder):
    return {path.name for path in folder.rglob("*") if not path.is_dir()} - {manifest.NAME}


def test_torch_is_told_of_a_private_folder(folder):
    opened(folder)
    assert os.environ[NAME] == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_headers_are_not_precompiled_into_the_folder_that_all_users_share(folder):
    opened(folder)
    assert os.environ[HEADERS] == "0"


def test_a_folder_that_the_user_named_stays(folder, monkeypatch):
    monkeypatch.setenv(NAME, "/somewhere")
    opened(folder).seal()
    assert os.environ[NAME] == "/somewhere"
    assert not folder.exists()


def test_the_folder_that_torch_takes_by_itself_was_named_by_nobody(folder, monkeypatch):
    """Merely importing what belongs to torch can set the variable."""
    monkeypatch.setenv(NAME, f"{tempfile.gettempdir()}/torchinductor_somebody")
    opened(folder)
    assert os.environ[NAME] == str(folder)


def test_no_program_is_looked_for_in_the_current_folder(folder, monkeypatch):
    monkeypatch.setenv("PATH", ":.:/usr/bin:bin:/bin")
    opened(folder)
    assert os.environ["PATH"] == "/usr/bin:/bin"


def test_what_was_left_is_taken_again(left):
    opened(left)
    assert names(left) == {"code.so", "code.py"}


def test_what_is_damaged_or_was_never_noted_is_not(left):
    os.truncate(left / "ab" / "code.so", 2)
    (left / "planted").write_bytes(b"code")
    opened(left)
    assert names(left) == {"code.py"}


def test_a_folder_that_others_could_write_to_is_closed_and_theirs_is_dropped(left):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    left.chmod(0o777)
    os.chown(left / "ab" / "code.so", 12345, -1)
    opened(left)
    assert left.stat().st_mode & 0o777 == 0o700
    assert names(left) == {"code.py"}


def test_what_is_compiled_is_kept_with_any_umask(folder):
    before = os.umask(0)
    try:
        code = opened(folder)
        (folder / "cd").mkdir()
        (folder / "cd" / "new.so").write_bytes(b"new")
        code.seal()
    finally:
        os.umask(before)
    del code
    os.environ.pop(NAME)
    assert manifest.is_whole(folder)
    opened(folder)
    assert names(folder) == {"new.so"}


@pytest.mark.parametrize("kind", ["link", "file", "another owner"])
def test_a_folder_that_is_not_the_users_own_is_replaced_by_a_passing_one(folder, kind, caplog):
    folder.parent.mkdir()
    if kind == "link":
        (folder.parent / "other").mkdir()
        folder.symlink_to(folder.parent / "other")
    elif kind == "file":
        folder.write_text("")
    else:
        if os.geteuid():
            pytest.skip("only root can give a folder away")
        folder.mkdir()
        os.chown(folder, 12345, -1)
    code = opened(folder)
    code.seal()
    assert "can't keep" in caplog.text
    assert os.environ[NAME] != str(folder)
    assert os.stat(os.environ[NAME]).st_mode & 0o777 == 0o700  # noqa: PTH116


def test_a_cache_that_cannot_be_written_to_is_replaced_by_a_passing_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    code = opened(tmp_path / "file" / "compiled")
    code.seal()
    assert os.environ[NAME] != str(tmp_path / "file" / "compiled")
    assert os.stat(os.environ[NAME]).st_mode & 0o777 == 0o700  # noqa: PTH116


HOLD = """
import os, sys
from pathlib import Path
from tui.engine.local.code_cache import CodeCache
code = CodeCache(Path(sys.argv[1]))
code.open()
print(os.environ["TORCHINDUCTOR_CACHE_DIR"], flush=True)
sys.stdin.read()
"""


def test_two_processes_do_not_share_it(left):
    held = opened(left)
    os.environ.pop(NAME)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(left)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    other = process.stdout.readline().decode().strip()
    assert other.startswith(str(left))
    assert other != str(left)
    process.communicate()
    assert not os.path.exists(other)  # noqa: PTH110
    assert names(left) == {"code.so", "code.py"}
    held.seal()
