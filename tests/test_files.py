import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from tui import files
from tui.files import (
    StagedFile,
    absolute,
    exists,
    free_name,
    is_file,
    is_folder,
    make_own_folder,
    read_own,
    read_regular,
    stamp,
    typed_path,
    with_ending,
    write_all,
    write_atomic,
)


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


def in_the_way(path: Path, kind: str) -> None:
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/full" if kind == "link to a device" else "nowhere/at/all")


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to a device", "dangling link"])
def test_what_stands_in_the_place_of_an_own_file_is_set_aside(tmp_path, kind):
    path = tmp_path / "file"
    in_the_way(path, kind)
    fd = files.open_own(path, os.O_WRONLY)
    os.write(fd, b"ours")
    os.close(fd)
    assert path.read_bytes() == b"ours"
    assert os.path.lexists(tmp_path / "file.set-aside-1")


def test_a_file_of_somebody_else_is_set_aside(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("theirs")
    real = os.open

    def refuse(name, *rest):
        if os.path.lexists(path) and name == path:
            raise PermissionError(errno.EACCES, "not yours")
        return real(name, *rest)

    monkeypatch.setattr(os, "open", refuse)
    os.close(files.open_own(path, os.O_WRONLY))
    assert (tmp_path / "file.set-aside-1").stat().st_size == len("theirs")


def test_a_link_to_a_file_of_ones_own_is_followed_where_that_is_allowed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("a")
    link.symlink_to(target)
    os.close(files.open_own(link, os.O_WRONLY))
    assert link.is_symlink()
    os.close(files.open_own(link, os.O_WRONLY, follow_links=False))
    assert not link.is_symlink()
    assert target.read_text() == "a"


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link"])
def test_nothing_in_the_place_of_a_staged_file_stops_writing(tmp_path, kind):
    path = tmp_path / "file"
    in_the_way(tmp_path / ".file.tmp", kind)
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_folder_gives_way_to_a_file_only_where_the_name_is_the_apps_own(tmp_path):
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(OSError, match=r".*"):
        files.write_atomic(path, b"new")
    assert path.is_dir()
    files.write_atomic(path, b"new", is_own=True)
    assert path.read_bytes() == b"new"
    assert (tmp_path / "file.set-aside-1").is_dir()


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert files.read_regular(path, most_bytes=5) == b"12345"
    assert files.read_end(path, 2) == b"45"
    assert files.read_end(path, 9) == b"12345"
    with pytest.raises(OSError, match="too large"):
        files.read_regular(path, most_bytes=4)


def test_a_folder_of_ones_own_is_private_and_closed_to_others(tmp_path):
    folder = tmp_path / "a" / "b"
    make_own_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    make_own_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    make_own_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_folder_that_is_a_link_a_file_or_anothers_is_not_ones_own(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    names = ["file", "link", "dangling"]
    if not os.geteuid():
        (tmp_path / "theirs").mkdir()
        os.chown(tmp_path / "theirs", 12345, -1)
        names.append("theirs")
    for name in names:
        with pytest.raises(OSError, match=name):
            make_own_folder(tmp_path / name)


def test_a_file_is_read_only_if_nobody_else_can_have_written_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(0o644)
    assert read_own(path, 7) == b"content"
    with pytest.raises(OSError, match="too large"):
        read_own(path, 6)
    for mode in (0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(PermissionError, match="another user owns it or can change it"):
            read_own(path, 7)
    path.chmod(0o600)
    os.link(path, tmp_path / "second")
    with pytest.raises(PermissionError, match="more than one hard link"):
        read_own(path, 7)
    (tmp_path / "second").unlink()
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder", "nothing"):
        with pytest.raises(OSError, match=name):
            read_own(tmp_path / name, 7)
    if not os.geteuid():
        os.chown(path, 12345, -1)
        with pytest.raises(PermissionError, match="another user owns it or can change it"):
            read_own(path, 7)


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_refusing_a_folder_leaves_nothing_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for read in (read_regular, lambda path: read_own(path, 7)):
        with pytest.raises(IsADirectoryError):
            read(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_path_that_was_typed_never_fails(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert typed_path("~/x") == tmp_path / "x"
    for text in (
        "~no-such-user",
        "~no-such-user/x",
        "x" * 300,
        "/".join("x" * 3000),
        "a\0b",
        "\ud800",
        "",
        ".",
    ):
        path = typed_path(text)
        assert not is_file(path)
        assert exists(path) == is_folder(path)
        assert is_folder(path) == (text in ("", "."))


def test_an_ending_is_put_to_names_that_have_none() -> None:
    wanted = {"a": "a.json", "a.txt": "a.txt", "~/b": "~/b.json", "/": "/", ".": ".", "": "."}
    assert {text: str(with_ending(Path(text), ".json")) for text in wanted} == wanted


def test_a_path_stays_as_it_is_where_the_working_folder_is_gone(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert absolute(Path("x")) == tmp_path / "x"
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert absolute(Path("x")) == Path("x")
