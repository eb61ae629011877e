"""Whatever stands in the place of a file that belongs to a chat, the chat is saved, and nothing of anybody's is deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.conversation import Generation, Status
from tui.sessions import SessionStore


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "somebody's file").write_text("words")


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": make_folder,
    "pipe": os.mkfifo,
    "link to a pipe": lambda path: (os.mkfifo(f"{path}-p"), path.symlink_to(f"{path}-p")),
    "dangling link": lambda path: path.symlink_to("nowhere/at/all"),
    "link to a folder": lambda path: path.symlink_to("/"),
    "link to a device": lambda path: path.symlink_to("/dev/full"),
    "10 GB": make_huge,
    "garbage": lambda path: path.write_bytes(b"\x00\xff\n" * 5000),
}
PLACES = {"sidecar": "{}.reply", "lock": "{}.lock", "staged": ".{}.json.tmp"}


@pytest.fixture(params=[*KINDS])
def kind(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    return KINDS[request.param]


@pytest.mark.parametrize(
    ("place", "is_there"),
    [("sidecar", True), ("lock", True), ("lock", False), ("staged", True), ("staged", False)],
)
def test_a_chat_is_saved_and_a_reply_checkpointed_whatever_is_in_the_way(
    store, folder, chat, kind, place, is_there
) -> None:
    folder.mkdir()
    if is_there:
        store.save(chat)
        store.close()
    kind(folder / PLACES[place].format(chat.id))
    opened = SessionStore(folder)
    if is_there:
        assert opened.load(chat.id).conversation == chat
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    reply = streaming.path[-1].id
    opened.save(streaming)
    opened.checkpoint(chat.id, reply, "It keeps two tensors.")
    opened.close()
    again = SessionStore(folder)
    loaded = again.load(chat.id)
    assert loaded.conversation.turn(reply).text == "It keeps two tensors."
    again.save(loaded.conversation.update(reply, status=Status.COMPLETE))
    again.save(loaded.conversation.add_user("and on"))
    again.close()
    assert_nothing_deleted(folder)


def assert_nothing_deleted(folder: Path) -> None:
    for path in folder.rglob("somebody's file"):
        assert path.read_text() == "words"


def test_a_sidecar_that_cannot_be_read_is_said_and_kept(store, folder, chat) -> None:
    store.save(chat)
    store.close()
    make_huge(folder / f"{chat.id}.reply")
    loaded = store.load(chat.id)
    assert "can't be read" in loaded.problems[0]
    store.save(loaded.conversation.add_user("and on"))
    assert (folder / f"{chat.id}.reply.set-aside-1").stat().st_size == 10 << 30
    store.close()
    assert store.load(chat.id).problems == ()


@pytest.mark.parametrize("mark", ["damaged", "original"])
def test_a_copy_is_kept_beside_whatever_has_its_name(store, folder, chat, kind, mark) -> None:
    store.save(chat)
    store.close()
    text = store.path(chat.id).read_text()
    changed = text[:-3] if mark == "damaged" else text.replace('"role": "user"', '"id": 1, "role": "user"', 1)  # fmt: skip
    store.path(chat.id).write_text(changed)
    kind(folder / f"{chat.id}.json.{mark}-1")
    loaded = store.load(chat.id)
    assert f"{mark}-2" in loaded.problems[-1]
    store.save(loaded.conversation)
    assert (folder / f"{chat.id}.json.{mark}-2").read_text() == changed


def test_a_chat_goes_to_the_trash_and_back_with_a_folder_in_the_place_of_its_sidecar(
    store, folder, chat
) -> None:
    store.save(chat)
    make_folder(folder / f"{chat.id}.reply")
    store.trash(chat.id)
    assert store.list() == []
    assert store.restore(chat.id) == chat.id
    assert store.load(chat.id).conversation == chat
    store.trash(chat.id)
    assert store.empty_trash() == 1
    assert_nothing_deleted(folder)


@pytest.mark.parametrize("name", ["folder of the trash", "a chat in it"])
def test_whatever_is_in_the_trash_a_chat_can_go_there(store, folder, chat, kind, name) -> None:
    store.save(chat)
    trash = folder / "trash"
    if name == "a chat in it":
        trash.mkdir()
        kind(trash / f"{'e' * 32}.json")
    else:
        kind(trash)
    store.trashed()
    if not (trash.is_symlink() and trash.is_dir()):
        store.trash(chat.id)
        assert chat.id in {entry.id for entry in store.trashed()}


@pytest.mark.parametrize("name", ["a" * 32 + ".json", "b" * 32 + ".reply", ".x.json.tmp"])
def test_whatever_is_named_like_a_chat_the_others_are_listed(
    store, folder, chat, kind, name
) -> None:
    store.save(chat)
    kind(folder / name)
    os.utime(folder / name, (time.time() - 10**5,) * 2, follow_symlinks=False)
    assert chat.id in {entry.id for entry in store.list()}
    assert store.newest() == chat.id
    store.search("cache")
