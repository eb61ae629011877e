import os
import stat

import pytest

from tui.files import StagedFile, free_name, read_regular, stamp, write_all, write_atomic


def test_a_file_is_replaced_whole_for_its_owner_alone(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_what_is_staged_is_not_in_place_yet(tmp_path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    staged = StagedFile(path, [b"new", b"er"])
    assert path.read_text() == "old"
    staged.commit()
    assert path.read_text() == "newer"
    assert stamp(path) == staged.stamp


def test_pieces_that_fail_leave_nothing(tmp_path) -> None:
    def pieces():
        yield b"half"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        StagedFile(tmp_path / "x", pieces())
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_process_left_is_in_nobodys_way(tmp_path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("precious")
    (tmp_path / ".x.tmp").symlink_to(outside)
    write_atomic(tmp_path / "x", b"new")
    assert outside.read_text() == "precious"
    assert (tmp_path / "x").read_bytes() == b"new"


def test_a_write_in_parts_is_finished(tmp_path, monkeypatch) -> None:
    write = os.write
    monkeypatch.setattr("tui.files.os.write", lambda fd, data: write(fd, bytes(data)[:3]))
    fd = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT)
    write_all(fd, b"0123456789")
    os.close(fd)
    assert (tmp_path / "x").read_bytes() == b"0123456789"


def test_only_regular_files_are_read(tmp_path) -> None:
    (tmp_path / "x").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "x")
    os.mkfifo(tmp_path / "pipe")
    assert read_regular(tmp_path / "link") == b"text"
    with pytest.raises(OSError, match="symbolic links"):
        read_regular(tmp_path / "link", follow_links=False)
    for other in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match=r"not a regular file|directory"):
            read_regular(other)


def test_a_free_name_is_free(tmp_path) -> None:
    path = tmp_path / "x.json"
    assert free_name(path, "damaged").name == "x.json.damaged-1"
    (tmp_path / "x.json.damaged-1").symlink_to("nowhere")
    assert free_name(path, "damaged").name == "x.json.damaged-2"
