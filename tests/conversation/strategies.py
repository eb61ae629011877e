"""Chats and JSON values of any shape."""

from __future__ import annotations

from hypothesis import strategies as st

from tui.conversation import (
    Conversation,
    FilePart,
    Generation,
    ImagePart,
    ReasoningPart,
    ReplyStats,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)

TEXT = st.text(max_size=20)
ANY_TEXT = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["\ud800", "a\udfff", "\x1b]0;x\x07"]
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
GENERATION = st.builds(
    Generation,
    model=TEXT,
    quantization=st.sampled_from(["none", "4bit"]),
    parameters=st.dictionaries(TEXT, SCALAR, max_size=3),
    stats=st.builds(
        ReplyStats,
        prompt_tokens=st.integers(0, 10_000),
        new_tokens=st.integers(0, 10_000),
        ttft_s=st.floats(0, 1e6),
        decode_s=st.floats(0, 1e6),
    ),
)
EXTRA = st.dictionaries(TEXT.map("x_".__add__), JSON, max_size=2)
OTHER_PARTS = st.one_of(
    st.builds(ImagePart, TEXT, st.just("ab" * 32), TEXT, TEXT, EXTRA),
    st.builds(FilePart, TEXT, ANY_TEXT, EXTRA),
    st.builds(ToolCallPart, TEXT, TEXT, JSON, EXTRA),
    st.builds(ToolResultPart, TEXT, TEXT, ANY_TEXT, EXTRA),
    st.builds(UnknownPart, JSON.map(lambda value: {"type": "sketch", "x": value})),
)
PARTS = (
    st.builds(TextPart, ANY_TEXT.filter(bool), EXTRA)
    | st.builds(ReasoningPart, ANY_TEXT.filter(bool), EXTRA)
    | OTHER_PARTS
)


@st.composite
def chats(draw, *, with_parts: bool = True) -> Conversation:
    """A chat that was really talked in: with variants, unfinished replies, undone steps."""
    most = 2 if with_parts else 0
    chat = Conversation(
        extra={
            "x_" + key: value
            for key, value in draw(st.dictionaries(TEXT, JSON, max_size=2)).items()
        }
    )
    for _ in range(draw(st.integers(0, 10))):
        step = draw(st.sampled_from(["user", "reply", "edit", "delete", "undo", "system"]))
        keys = list(chat.turns)
        if step == "user" or not keys:
            chat = chat.add_user(draw(ANY_TEXT), *draw(st.lists(OTHER_PARTS, max_size=most)))
            continue
        key = draw(st.sampled_from(keys))
        if step == "reply":
            chat = chat.begin_reply(key, draw(GENERATION))
            chat = chat.update(chat.leaf.id, parts=draw(st.lists(PARTS, max_size=most)))
            chat = chat.finish(
                chat.leaf.id,
                draw(st.sampled_from([*Status])),
                text=draw(ANY_TEXT),
                reasoning=draw(ANY_TEXT),
                error=draw(TEXT),
            )
        elif step == "edit":
            chat = chat.edit(key, draw(ANY_TEXT))
        elif step == "delete":
            chat = chat.delete(key, following=draw(st.booleans()))
        elif step == "undo":
            chat = chat.undo()
        else:
            chat = chat.set_system_prompt(draw(ANY_TEXT))
    return chat
