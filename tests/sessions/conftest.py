from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.conversation import Conversation, Generation, Status
from tui.sessions import SessionStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "sessions"


@pytest.fixture
def store(folder: Path) -> Iterator[SessionStore]:
    store = SessionStore(folder)
    yield store
    store.close()


@pytest.fixture
def other_window(folder: Path) -> Iterator[SessionStore]:
    """A second store on the same folder, as another window has."""
    other = SessionStore(folder)
    yield other
    other.close()


@pytest.fixture
def chat() -> Conversation:
    """A question, two replies to it as variants, and a follow-up."""
    asked = Conversation().add_user("What is a KV cache?")
    question = asked.path[0].id
    made = Generation("demo", parameters={"temperature": 0.7, "seed": 3})
    for answer in ("A store of keys and values.", "It keeps what was computed."):
        asked = asked.begin_reply(question, made)
        asked = asked.finish(asked.path[-1].id, Status.COMPLETE, text=answer)
    return asked.add_user("And why is it large?")
