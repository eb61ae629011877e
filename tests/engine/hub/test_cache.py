"""The Hugging Face cache on disk: what lies in it is looked at before it is written to, and other programs find what is put there."""

import errno
import os
import stat

import pytest

from tests.engine.hub.hub_case import (
    CONFIG,
    DIGEST,
    ID,
    WEIGHTS,
    hub,
    is_whole,
    leads_out,
    leave_a_part,
    model,
    outside,
)
from tests.hub_server import git_oid
from tui.engine.base import ModelLoadError
from tui.engine.hub.cache import RepoCache


def as_link(path, victim):
    path.symlink_to(victim)


def as_hard_link(path, victim):
    os.link(victim, path)


def as_pipe(path, _victim):
    os.mkfifo(path)


def as_folder(path, _victim):
    path.mkdir()
    (path / "x").write_bytes(b"x")


def as_link_to_nowhere(path, victim):
    path.symlink_to(victim.with_name("new.txt"))


ODD = [as_link, as_hard_link, as_pipe, as_folder, as_link_to_nowhere]


@pytest.mark.parametrize("put", ODD)
@pytest.mark.parametrize("place", ["partial", "blob", "lock"])
def test_what_lies_in_the_place_of_a_file_is_not_followed(
    hub_server, hub_cache, tmp_path, place, put
):
    model(hub_server)
    cache = RepoCache(ID)
    cache.prepare()
    victim = tmp_path / "precious.txt"
    before = outside(tmp_path, hub_cache)
    path = {
        "partial": cache.partial(DIGEST),
        "blob": cache.blob(DIGEST),
        "lock": hub_cache / ".locks" / cache.folder.name / f"{DIGEST}.lock",
    }[place]
    put(path, victim)
    assert is_whole(hub(hub_server).snapshot(ID))
    assert outside(tmp_path, hub_cache) == before
    assert leads_out(hub_cache) == []
    assert stat.S_ISREG(cache.blob(DIGEST).lstat().st_mode)


@pytest.mark.parametrize("place", ["blobs", "snapshots", "refs", "snapshots/commit", ".locks"])
def test_a_folder_that_leads_out_is_said_and_nothing_goes_there(
    hub_server, hub_cache, tmp_path, place
):
    repo = model(hub_server)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder = RepoCache(ID).folder
    path = hub_cache / place if place == ".locks" else folder / place.replace("commit", repo.sha)
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    with pytest.raises(ModelLoadError, match="it is a link") as raised:
        hub(hub_server).snapshot(ID)
    assert str(path) in raised.value.message
    assert list(elsewhere.iterdir()) == []


def test_a_folder_in_a_snapshot_that_leads_out_is_not_entered(hub_server, hub_cache, tmp_path):
    repo = model(hub_server)
    repo.files["sub/a.json"] = b"{}"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = RepoCache(ID).folder / "snapshots" / repo.sha / "sub"
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    with pytest.raises(ModelLoadError, match="it is a link"):
        hub(hub_server).snapshot(ID)
    assert list(elsewhere.iterdir()) == []


def test_a_repository_that_the_user_keeps_on_another_disk_is_used_there(
    hub_server, hub_cache, tmp_path
):
    model(hub_server)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    hub_cache.mkdir()
    RepoCache(ID).folder.symlink_to(elsewhere)
    folder = hub(hub_server).snapshot(ID)
    assert is_whole(folder)
    assert folder.resolve().is_relative_to(elsewhere)
    assert hub(hub_server).plan(ID).missing_bytes == 0


def test_a_blob_that_was_cut_short_is_fetched_again(hub_server, hub_cache):
    model(hub_server)
    folder = hub(hub_server).snapshot(ID)
    RepoCache(ID).blob(DIGEST).write_bytes(WEIGHTS[:1000])
    assert hub(hub_server).plan(ID).missing_bytes == len(WEIGHTS)
    assert hub(hub_server).snapshot(ID) == folder
    assert is_whole(folder)


def test_a_link_in_a_snapshot_that_leads_elsewhere_is_made_anew(hub_server, hub_cache, tmp_path):
    model(hub_server)
    folder = hub(hub_server).snapshot(ID)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "precious.txt")
    assert is_whole(hub(hub_server).snapshot(ID))
    assert (tmp_path / "precious.txt").read_text() == "words of the user"
    assert leads_out(hub_cache) == []


@pytest.mark.parametrize("text", ["../../../evil", "", "0" * 40, "main", "\0", "x" * 10_000])
def test_a_note_of_a_revision_that_leads_nowhere_is_not_followed(
    hub_server, hub_cache, tmp_path, text
):
    model(hub_server)
    hub(hub_server).snapshot(ID)
    (RepoCache(ID).folder / "refs" / "main").write_text(text)
    (tmp_path / "evil").mkdir()
    hub_server.broken = 503
    with pytest.raises(ModelLoadError):
        hub(hub_server).snapshot(ID)
    hub_server.broken = 0
    assert is_whole(hub(hub_server).snapshot(ID))
    hub_server.broken = 503
    assert is_whole(hub(hub_server).snapshot(ID))


def test_a_note_that_is_a_pipe_blocks_nothing(hub_server, hub_cache):
    model(hub_server)
    hub(hub_server).snapshot(ID)
    note = RepoCache(ID).folder / "refs" / "main"
    note.unlink()
    os.mkfifo(note)
    assert is_whole(hub(hub_server).snapshot(ID))
    assert note.is_file()


def test_a_cache_that_can_not_be_written_is_a_sentence(hub_server, hub_cache):
    model(hub_server)
    hub_cache.write_text("no folder")
    with pytest.raises(ModelLoadError, match="can't be used") as raised:
        hub(hub_server).snapshot(ID)
    assert "cache" in raised.value.hint


def test_the_library_finds_what_was_put_there(hub_server, hub_cache):
    from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

    repo = model(hub_server)
    repo.files |= {"sub/a.json": b'{"a": 1}', "same.json": b'{"a": 1}'}
    folder = hub(hub_server).snapshot(ID)
    assert (folder / "sub" / "a.json").read_bytes() == (folder / "same.json").read_bytes()
    asked = len(hub_server.requests)
    assert snapshot_download(ID, local_files_only=True) == str(folder)
    found = hf_hub_download(ID, "model.safetensors", local_files_only=True)
    assert found == str(folder / "model.safetensors")
    [known] = scan_cache_dir(hub_cache).repos
    [revision] = known.revisions
    assert (known.repo_id, revision.commit_hash, revision.refs) == (ID, repo.sha, {"main"})
    assert {file.file_name for file in revision.files} == {
        "config.json", "model.safetensors", "a.json", "same.json",
    }  # fmt: skip
    blobs = {path.name for path in RepoCache(ID).blobs.iterdir()}
    assert blobs == {DIGEST, git_oid(CONFIG), git_oid(b'{"a": 1}')}
    assert len(hub_server.requests) == asked


def test_what_the_library_has_put_there_is_not_fetched_again(hub_server, hub_cache, monkeypatch):
    from huggingface_hub import snapshot_download

    model(hub_server)
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    folder = snapshot_download(ID, endpoint=hub_server.url)
    assert hub(hub_server).plan(ID).missing_bytes == 0
    hub_server.sent_bytes = 0
    assert str(hub(hub_server).snapshot(ID)) == folder
    assert hub_server.sent_bytes == 0


def test_without_links_the_snapshot_holds_the_files(hub_server, hub_cache, monkeypatch):
    from huggingface_hub import file_download

    monkeypatch.setattr(file_download, "are_symlinks_supported", lambda *_args: False)
    repo = model(hub_server)
    repo.files |= {"a.json": b"[]", "b.json": b"[]"}
    folder = hub(hub_server).snapshot(ID)
    assert is_whole(folder)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    hub_server.sent_bytes = 0
    assert hub(hub_server).plan(ID).missing_bytes == 0
    assert hub(hub_server).snapshot(ID) == folder
    assert hub_server.sent_bytes == 0


def test_a_disk_that_fills_up_half_way_leaves_no_part(hub_server, hub_cache, monkeypatch):
    from tui.engine.hub import fetching

    model(hub_server)
    add = fetching._Growing.add

    def full(growing, piece):
        # The whole file may come as one piece.
        if growing.done + len(piece) > 20_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return add(growing, piece)

    monkeypatch.setattr(fetching._Growing, "add", full)
    with pytest.raises(ModelLoadError, match="disk is full"):
        hub(hub_server).snapshot(ID)
    # Of a small file that came at the same time there may be one.
    assert RepoCache(ID).partial_bytes() < 100
    monkeypatch.undo()


def test_a_part_grows_with_the_rights_of_any_file(hub_server, hub_cache):
    model(hub_server)
    path = leave_a_part(WEIGHTS[:1000])
    umask = os.umask(0)
    os.umask(umask)
    path.unlink()
    with RepoCache(ID).open_partial(DIGEST) as opened:
        assert os.get_inheritable(opened.fileno()) is False
        assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("error", [errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("at", ["prepare", "make_snapshot", "link"])
def test_a_cache_that_can_not_be_written_to_is_used_as_it_is(
    hub_server, hub_cache, monkeypatch, error, at
):
    repo = model(hub_server)
    folder = hub(hub_server).snapshot(ID)
    # The Hub has moved on.
    repo.files |= {"config.json": b'{"model_type": "llama", "a": 1}'}

    def refuse(*_arguments, **_options):
        raise OSError(error, os.strerror(error), str(hub_cache))

    monkeypatch.setattr(RepoCache, at, refuse)
    assert hub(hub_server).snapshot(ID) == folder


def test_a_cache_that_can_not_be_written_to_and_holds_no_model_is_named(
    hub_server, hub_cache, monkeypatch
):
    model(hub_server)

    def refuse(*_arguments):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(hub_cache))

    monkeypatch.setattr(RepoCache, "prepare", refuse)
    with pytest.raises(ModelLoadError, match="Read-only file system") as raised:
        hub(hub_server).snapshot(ID)
    assert "permissions" in raised.value.hint


def test_without_the_hub_a_model_of_the_list_is_found_though_no_revision_is_noted(
    hub_server, hub_cache, monkeypatch
):
    from huggingface_hub import constants

    model(hub_server)
    folder = hub(hub_server).snapshot(ID)
    (RepoCache(ID).folder / "refs" / "main").unlink()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert hub(hub_server).snapshot(ID) == folder
    with pytest.raises(ModelLoadError):
        hub(hub_server).snapshot(ID, revision="other")
