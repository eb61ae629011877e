"""A folder in the cache is used as long as it is what was written there: any damage, addition or foreign hand is noticed."""

import os
import random

import pytest

from tui.engine.local import manifest


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "made"
    (made / "inside").mkdir(parents=True, mode=0o700)
    for name, size in (("config.json", 300), ("weights", 5000), ("inside/more", 10), ("empty", 0)):
        (made / name).write_bytes(random.Random(name).randbytes(size))
        (made / name).chmod(0o600)
    manifest.write(made)
    return made


def test_what_is_as_it_was_written_is_whole(folder):
    assert manifest.is_whole(folder)
    assert (folder / manifest.NAME).stat().st_mode & 0o777 == 0o600


def test_a_folder_without_a_list_is_not(folder):
    (folder / manifest.NAME).unlink()
    assert not manifest.is_whole(folder)


def cut(folder):
    os.truncate(folder / "weights", 4000)


def flipped_in_the_same_moment(folder):
    path = folder / "weights"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[2500] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def missing(folder):
    (folder / "inside" / "more").unlink()


def added(folder):
    (folder / "modeling.py").write_text("")


def added_pipe(folder):
    os.mkfifo(folder / "pipe")


def linked(folder):
    (folder / "weights").rename(folder.parent / "weights")
    (folder / "weights").symlink_to(folder.parent / "weights")


def a_link_to_a_folder(folder):
    (folder / "inside").rename(folder.parent / "inside")
    (folder / "inside").symlink_to(folder.parent / "inside")


def folder_in_place_of_a_file(folder):
    (folder / "weights").unlink()
    (folder / "weights").mkdir()


def file_writable_by_others(folder):
    (folder / "weights").chmod(0o622)


def folder_writable_by_others(folder):
    folder.chmod(0o770)


def inner_folder_writable_by_others(folder):
    (folder / "inside").chmod(0o777)


def file_of_another(folder):
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(folder / "weights", 12345, -1)


def folder_of_another(folder):
    if os.geteuid():
        pytest.skip("only root can give a folder away")
    os.chown(folder, 12345, -1)


def whole_folder_is_a_link(folder):
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def list_is_a_folder(folder):
    (folder / manifest.NAME).unlink()
    (folder / manifest.NAME).mkdir()


def list_is_a_pipe(folder):
    (folder / manifest.NAME).unlink()
    os.mkfifo(folder / manifest.NAME)


DAMAGES = [
    cut, flipped_in_the_same_moment, missing, added, added_pipe, linked, a_link_to_a_folder,
    folder_in_place_of_a_file, file_writable_by_others, folder_writable_by_others,
    inner_folder_writable_by_others, file_of_another, folder_of_another, whole_folder_is_a_link,
    list_is_a_folder, list_is_a_pipe,
]  # fmt: skip


@pytest.mark.parametrize("small_bytes", [0, 1 << 26], ids=["by stamp", "by content"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed(folder, damage, small_bytes, monkeypatch):
    monkeypatch.setattr(manifest, "_SMALL_BYTES", small_bytes)
    damage(folder)
    assert not manifest.is_whole(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b'{"format": 1}', b'{"format": 1, "files": []}', b"[" * 100_000,
        b'{"format": 1, "files": {"config.json": null}}', b"\xff\xfe", b'{"format": 2, "files": {}}',
        b'{"format": 1, "files": {}}', b'{"format": 1, "files": {"weights": {"size": "x"}}}',
    ],
)  # fmt: skip
def test_a_list_that_makes_no_sense_lists_nothing(folder, content):
    (folder / manifest.NAME).write_bytes(content)
    assert not manifest.is_whole(folder)


def test_a_copy_is_read_once_and_then_known(folder, monkeypatch):
    monkeypatch.setattr(manifest, "_SMALL_BYTES", 0)
    for path in (folder / "weights", folder / "config.json"):
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)
        path.chmod(0o600)
    read = []
    digest = manifest._digest
    monkeypatch.setattr(
        manifest, "_digest", lambda path, *a, **k: read.append(path.name) or digest(path, *a, **k)
    )
    assert manifest.is_whole(folder)
    assert {"weights", "config.json"} <= set(read)
    read.clear()
    assert manifest.is_whole(folder)
    assert read in ([], ["empty"])


def test_long_reading_can_be_ended(folder):
    def ends():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        manifest.is_whole(folder, ends)


def test_only_what_is_intact_is_kept(folder):
    flipped_in_the_same_moment(folder)
    added(folder)
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "away").symlink_to(folder.parent)
    assert manifest.keep_intact(folder) == 4
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"config.json", "empty", "inside/more", manifest.NAME}
    assert folder.parent.is_dir()


def test_nothing_is_kept_of_a_folder_without_a_list(folder):
    (folder / manifest.NAME).unlink()
    manifest.keep_intact(folder)
    assert not [path for path in folder.rglob("*") if path.is_file()]
