"""Files that an earlier version wrote: they open, are written in today's format, and nothing of them is lost on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conversation import format_1
from tui.conversation import codec
from tui.sessions import SessionStore

FILES = sorted(Path(format_1.__file__).parent.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_of_format_1_is_written_anew_without_a_copy_beside_it(
    store: SessionStore, folder: Path, path: Path
) -> None:
    chat_id = json.loads(path.read_bytes())["id"]
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / f"{chat_id}.json")

    loaded = store.load(chat_id)
    before = {turn.id: (turn.text, turn.reasoning) for turn in loaded.conversation.turns.values()}
    store.save(loaded.conversation.add_user("More"))

    assert json.loads(store.path(chat_id).read_bytes())["format"] == codec.FORMAT
    assert [*folder.glob("*.json.*")] == []
    store.unlock(chat_id)
    again = store.load(chat_id).conversation
    after = {turn.id: (turn.text, turn.reasoning) for turn in again.turns.values()}
    assert after.items() >= before.items()
    assert again.extra == loaded.conversation.extra
    assert again.history.undo[:-1] == loaded.conversation.history.undo


def test_a_value_that_has_no_place_is_kept_beside_whatever_the_format(
    store: SessionStore, folder: Path
) -> None:
    document = json.loads(FILES[-1].read_bytes())
    document["tree"]["turns"][0]["origin"] = 7
    folder.mkdir(exist_ok=True)
    store.path(document["id"]).write_text(json.dumps(document))

    store.save(store.load(document["id"]).conversation.add_user("More"))
    assert len([*folder.glob("*.json.original-*")]) == 1
