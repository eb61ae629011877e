"""Scratch folders are private, and gone when they are done with, whether their process ended well, badly or not at all."""

import os
import signal
import subprocess
import sys

import pytest

from tui.engine.local import scratch as module
from tui.engine.local.scratch import clear, scratch


def test_a_scratch_folder_is_private_and_goes(tmp_path):
    with scratch(tmp_path, "made") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("")
        clear(tmp_path)
        assert (folder / "file").exists()
    assert not list(tmp_path.iterdir())


def test_it_goes_too_when_the_work_fails(tmp_path):
    def work():
        with scratch(tmp_path, "made") as folder:
            (folder / "file").write_text("")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not list(tmp_path.iterdir())


def test_what_was_made_may_be_moved_out(tmp_path):
    with scratch(tmp_path, "made") as folder:
        (folder / "inside").mkdir()
        (folder / "inside").rename(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


WAIT = """
import sys
from pathlib import Path
from tui.engine.local.scratch import scratch
with scratch(Path(sys.argv[1]), "made") as folder:
    (folder / "file").write_text("")
    print("there", flush=True)
    sys.stdin.read()
"""


def test_that_of_a_killed_process_goes_later_and_that_of_a_live_one_stays(tmp_path):
    command = [sys.executable, "-c", WAIT, str(tmp_path)]
    one, other = (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)
    )
    for process in (one, other):
        assert process.stdout.readline() == b"there\n"
    one.send_signal(signal.SIGKILL)
    one.wait()
    assert len(list(tmp_path.iterdir())) == 2
    clear(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    other.communicate()
    assert not list(tmp_path.iterdir())


def test_links_and_files_of_such_a_name_are_left_alone(tmp_path):
    parent, elsewhere = tmp_path / "parent", tmp_path / "elsewhere"
    parent.mkdir()
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("")
    (parent / "a.part").symlink_to(elsewhere)
    (parent / "b.part").write_text("")
    clear(parent)
    assert (elsewhere / "precious").exists()
    assert (parent / "b.part").exists()


def test_a_folder_that_another_took_for_an_old_one_is_made_again(tmp_path, monkeypatch):
    lock, taken = module._lock, []

    def late(folder):
        if not taken:
            taken.append(folder)
            clear_lock = os.open(folder, os.O_RDONLY)
            folder.rmdir()
            os.close(clear_lock)
        return lock(folder)

    monkeypatch.setattr(module, "_lock", late)
    with scratch(tmp_path, "made") as folder:
        assert folder.is_dir()
        assert folder != taken[0]


def test_without_locks_a_folder_is_lent_and_no_other_is_removed(tmp_path, monkeypatch):
    def fails(*_args):
        raise OSError(95, "Operation not supported")

    (tmp_path / "old.part").mkdir()
    monkeypatch.setattr(module.fcntl, "flock", fails)
    with scratch(tmp_path, "made") as folder:
        assert folder.is_dir()
        clear(tmp_path)
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["old.part"]
