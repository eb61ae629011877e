"""The Hugging Face cache as it may be found: one damaged repository takes nothing from the others."""

import os

import pytest

from tests.engine.test_model_files import make_trap
from tui.engine.hub.scan import cached_repos

OLD, NEW = "a" * 40, "b" * 40


def add(cache, name, *commits, main=""):
    folder = cache / f"models--{name.replace('/', '--')}"
    (folder / "blobs").mkdir(parents=True)
    for commit in commits or (OLD,):
        snapshot = folder / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (folder / "blobs" / commit).write_bytes(b"{}")
        (snapshot / "config.json").symlink_to(f"../../blobs/{commit}")
    if main:
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(main)
    return folder


def names(cache):
    return sorted(repo.repo_id for repo in cached_repos(cache))


def test_a_model_is_listed_with_its_size_and_the_revision_of_main(tmp_path):
    folder = add(tmp_path, "org/name", OLD, NEW, main=OLD)
    (repo,) = cached_repos(tmp_path)
    assert (repo.repo_id, repo.size_bytes) == ("org/name", 4)
    assert repo.snapshot == folder / "snapshots" / OLD
    assert repo.used_at > 0


def test_without_main_the_newest_revision_is_taken(tmp_path):
    folder = add(tmp_path, "org/name", OLD, NEW)
    os.utime(folder / "blobs" / OLD, (1, 1))
    (repo,) = cached_repos(tmp_path)
    assert repo.snapshot.name == NEW


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "loop", "dangling"])
@pytest.mark.parametrize(
    "place", ["refs/main", "snapshots/x", f"snapshots/{OLD}/x", "blobs/x", "x"]
)
def test_a_trap_in_one_repository_leaves_it_and_the_others_in_the_list(tmp_path, kind, place):
    add(tmp_path, "org/good")
    folder = add(tmp_path, "org/bad")
    (folder / "refs").mkdir()
    make_trap(folder / place, kind)
    assert names(tmp_path) == ["org/bad", "org/good"]


@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "dangling"])
def test_a_trap_in_place_of_a_repository_or_its_config_is_no_model(tmp_path, kind):
    add(tmp_path, "org/good")
    make_trap(tmp_path / "models--org--pipe", kind)
    config = add(tmp_path, "org/bad") / "snapshots" / OLD / "config.json"
    config.unlink()
    make_trap(config, kind)
    assert names(tmp_path) == ["org/good"]


def test_refs_that_are_no_text_and_a_download_that_was_not_finished(tmp_path):
    add(tmp_path, "org/good")
    folder = add(tmp_path, "org/bytes", main="x")
    (folder / "refs" / "main").write_bytes(b"\xff\xfe" * 10_000)
    part = add(tmp_path, "org/part")
    (part / "snapshots" / OLD / "model.safetensors").symlink_to("../../blobs/gone")
    assert names(tmp_path) == ["org/bytes", "org/good", "org/part"]


def test_a_folder_that_is_named_like_no_repository_is_none(tmp_path):
    for name in ("..", "../..", "a/../b", "-", "a b", "\udcff"):
        add(tmp_path, name)
    assert names(tmp_path) == []


def test_there_may_be_no_cache(tmp_path):
    assert cached_repos(tmp_path / "none") == []
    make_trap(tmp_path / "pipe", "pipe")
    assert cached_repos(tmp_path / "pipe") == []
