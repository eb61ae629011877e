import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tui.conversation import Conversation, Generation, ReplyStats, Status, codec
from tui.sessions import SessionStore

Draw = Callable[..., Any]

texts = st.text(st.characters(), max_size=40)  # lone surrogates and control characters included
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
new_keys = st.dictionaries(texts.map(lambda text: f"x-{text}"), plain, max_size=3)


ENDS = [status for status in Status if status is not Status.STREAMING]


def replied(chat: Conversation, draw: Draw) -> Conversation:
    made = Generation(
        draw(texts),
        quantization="8bit",
        parameters=draw(new_keys),
        stats=ReplyStats(new_tokens=3, ttft_s=0.25),
    )
    chat = chat.begin_reply(draw(st.sampled_from([None, *chat.turns])), made)
    words = {"text": draw(texts), "reasoning": draw(texts), "error": draw(texts)}
    return chat.finish(chat.path[-1].id, draw(st.sampled_from(ENDS)), **words)


def any_turn(chat: Conversation, draw: Draw) -> str:
    return draw(st.sampled_from([*chat.turns]))


STEPS: dict[str, Callable[[Conversation, Draw], Conversation]] = {
    "user": lambda chat, draw: chat.add_user(draw(texts)),
    "reply": replied,
    "undo": lambda chat, draw: chat.undo(),
    "redo": lambda chat, draw: chat.redo(),
    "prompt": lambda chat, draw: chat.set_system_prompt(draw(texts)),
    "rename": lambda chat, draw: chat.rename(draw(texts)),
    "edit": lambda chat, draw: chat.edit(any_turn(chat, draw), draw(texts)),
    "select": lambda chat, draw: chat.select(any_turn(chat, draw)),
    "delete": lambda chat, draw: chat.delete(any_turn(chat, draw), following=draw(st.booleans())),
}


@st.composite
def conversations(draw: Draw) -> Conversation:
    chat = Conversation(extra=draw(new_keys), settings=draw(new_keys))
    for step in draw(st.lists(st.sampled_from([*STEPS]), max_size=12)):
        if chat.turns or step not in ("edit", "select", "delete"):
            chat = STEPS[step](chat, draw)
    return chat


@settings(max_examples=150, deadline=None)
@given(conversations())
def test_any_chat_comes_back_as_it_was_saved(chat) -> None:
    with TemporaryDirectory() as name:
        store = SessionStore(Path(name))
        store.save(chat)
        store.list()
        store.search("x")
        store.close()
        window = SessionStore(Path(name))
        loaded = window.load(chat.id)
        assert loaded.conversation == chat
        assert loaded.problems == ()
        window.save(loaded.conversation)
        window.close()
        assert [path.name for path in Path(name).glob("*.json*")] == [f"{chat.id}.json"]


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_the_file_is_plain_indented_json(chat) -> None:
    document = codec.encode(chat)
    assert json.loads(codec.dumps(chat)) == document
    try:
        expected = json.dumps(document, ensure_ascii=False, indent=1).encode()
    except UnicodeEncodeError:
        return
    assert codec.dumps(chat) == expected


def test_an_encoder_that_wrote_the_chat_before_writes_the_same_bytes(chat) -> None:
    encoder = codec.ChatEncoder()
    for version in (chat, chat.add_user("more"), chat.undo(), replace(chat, title="é"), chat):
        assert b"".join(encoder.pieces(version)) == codec.dumps(version)
